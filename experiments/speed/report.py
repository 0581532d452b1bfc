"""What a report over 200 runs costs: asked, 20 seconds and 1 GB.

    python experiments/speed/report.py

40 groups of 5 seeds, each with four evaluations, as the tests write them (no run is trained), and with the scalars of
5,000 steps as TensorBoard keeps them. CPU-seconds, wall seconds and peak memory of a process of its own, three times.
Appends to report.jsonl.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

RESULTS = Path(__file__).parent / "report.jsonl"
AXES = {
    "loss.name": ["hinge", "least_squares", "non_saturating", "relativistic_average"],
    "optimizer.lr": [1e-4, 2e-4, 5e-4, 1e-3, 2e-3],
    "d_steps": [1, 2],
}


def write(folder: Path) -> None:
    """In a process of its own, whose memory would count as its children's."""
    from torch.utils.tensorboard import SummaryWriter

    from dcgan.reports.frames import ACCURACIES, LOSSES

    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from synthetic import write_sweep

    write_sweep(folder, AXES, lambda loss, rate, steps, seed: len(loss) + steps + seed / 9, seeds=range(5))
    for run in [path for path in folder.iterdir() if path.is_dir()]:
        with SummaryWriter(str(run)) as writer:
            for step in range(50, 5001, 50):
                for tag in (*LOSSES, *ACCURACIES):
                    writer.add_scalar(tag, step / 5000, step)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, folder], check=True)
        runs = len([path for path in Path(folder).iterdir() if path.is_dir()])
        assert runs == 200
        for _ in range(3):
            command = [sys.executable, "-m", "dcgan.report", f"run={folder}"]
            started = time.perf_counter()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
            _, status, usage = os.wait4(child.pid, 0)
            assert status == 0
            line = {
                "runs": runs,
                "wall_seconds": round(time.perf_counter() - started, 1),
                "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
                "peak_mb": usage.ru_maxrss // 1024,
                "page_kb": (Path(folder) / "report.html").stat().st_size // 1024,
            }
            print(line, flush=True)
            record(RESULTS, line)


if __name__ == "__main__":
    write(Path(sys.argv[1])) if sys.argv[1:] else main()
