"""Two cores: one job with two threads, one job in two processes (DDP), two jobs of a sweep. In turns, images/s.

    python experiments/speed/processes.py

``dcgan.train`` at width 32 and 128 images a step and process, no evaluation; the speed that it logs over steps 51 to
150, so without imports, start of the second process and first steps. Of two jobs at once the sum: they start together
and take as long. They are given no number of threads: dividing the cores is the launcher's part. Appends to
processes.jsonl.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import record

RESULTS = Path(__file__).parent / "processes.jsonl"
ROUNDS = 9
WORDS = ["metrics=none", "logger=csv", "trainer.max_steps=150", "trainer.enable_progress_bar=false"]
WAYS: dict[str, tuple[list[str], int | None]] = {  # words of the command line, threads
    "one job, one thread": (["trainer.gpus=0"], 1),
    "one job, two threads": (["trainer.gpus=0"], 2),
    "one job, two processes of one thread": (["trainer.accelerator=cpu", "trainer.devices=2"], 1),
    "two jobs at once": (
        ["-m", "seed=0,1", "trainer.gpus=0", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        None,
    ),
}


def images_per_second(words: list[str], threads: int | None, root: str) -> float:
    """The sum over the jobs."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dcgan.train", *words, *WORDS, f"data.root={root}"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
        tables = [path.read_text().splitlines() for path in Path(folder).rglob("metrics.csv")]
    assert len(tables) == (2 if "-m" in words else 1)
    return sum(statistics.mean(logged_speeds(table)[1:]) for table in tables)


def logged_speeds(table: list[str]) -> list[float]:
    rows = [row["speed/images_per_second"] for row in csv.DictReader(table)]
    return [float(value) for value in rows if value]


def main() -> None:
    root = str(Path(os.environ.get("DCGAN_DATA", "data")).absolute())
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    for i in range(ROUNDS):
        names = list(WAYS)[i % len(WAYS) :] + list(WAYS)[: i % len(WAYS)]
        for name in names:
            words, threads = WAYS[name]
            speeds[name].append(images_per_second([*words, "model.width=32"], threads, root))
        print({name: values[-1] for name, values in speeds.items()}, flush=True)
    alone = speeds["one job, one thread"]
    ratios = {name: [round(a / b, 3) for a, b in zip(values, alone, strict=True)] for name, values in speeds.items()}
    for name, values in ratios.items():
        print(f"{name:<38} {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    record(RESULTS, {"images_per_second": speeds, "ratios": ratios})


if __name__ == "__main__":
    main()
