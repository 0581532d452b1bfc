"""Does a run leak? Memory, open files and files on disk of half an hour that evaluates and saves all the time.

    python experiments/2026-11-29_faults/soak.py            # 30 minutes of one thread; --draw alone draws the figure

Writes soak.jsonl (one line every ten seconds) and soak.png beside itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
LINES, FIGURE = HERE / "soak.jsonl", HERE / "soak.png"
WORDS = [
    *("model.width=8", "data.batch_size=32", "optimizer.schedule=constant", "trainer.max_steps=-1", "trainer.gpus=0"),
    *("metrics.every=1000", "samples.every=1000", "checkpoints.every=1000", "checkpoints.keep=3"),
    "trainer.enable_progress_bar=false",
]


def soak(minutes: int) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    LINES.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = [*WORDS, f"trainer.max_time=00:00:{minutes}:00", f"hydra.run.dir={run}"]
        process = subprocess.Popen([sys.executable, "-m", "dcgan.train", *words], env=environment)
        started = time.monotonic()
        while process.poll() is None:
            time.sleep(10)
            proc = Path(f"/proc/{process.pid}")
            try:
                status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
                line = {
                    "seconds": round(time.monotonic() - started),
                    "resident_megabytes": round(int(status["VmRSS"].split()[0]) / 1024, 1),
                    "descriptors": len(list((proc / "fd").iterdir())),
                    "threads": int(status["Threads"]),
                    "files": len([path for path in run.rglob("*") if path.is_file() and path.parent.name != "samples"]),
                    "evaluations": len((run / "metrics.jsonl").read_text().splitlines()),
                }
            except (OSError, KeyError):  # it has not begun yet, or is over
                continue
            with LINES.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if process.returncode:
            raise SystemExit(process.returncode)


def draw() -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    lines = [json.loads(line) for line in LINES.read_text().splitlines()]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    names = {"resident_megabytes": "memory, MB", "descriptors": "open files", "files": "files in the folder"}
    for axis, (key, title) in zip(axes, names.items(), strict=True):
        values = [line[key] for line in lines]
        axis.plot([line["seconds"] / 60 for line in lines], values)
        axis.set(title=title, xlabel="minutes", ylim=(0, 1.2 * max(values)))
    figure.savefig(FIGURE, dpi=100)
    late = [line for line in lines if line["seconds"] > 300]
    growth = late[-1]["resident_megabytes"] / late[0]["resident_megabytes"] - 1
    print(f"{late[-1]['evaluations']} evaluations; memory from minute 5 to the end: {growth:+.1%}; {late[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--draw", action="store_true", help="of the lines that are there")
    arguments = parser.parse_args()
    if not arguments.draw:
        soak(arguments.minutes)
    draw()


if __name__ == "__main__":
    main()
