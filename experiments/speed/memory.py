"""What ``keep_freed_memory`` saves: images/s of ``dcgan.train`` with it over without it, in alternating pairs.

    python experiments/speed/memory.py

Width 32, one thread, 100 steps a run, no evaluation; the run's own clock, without imports. Appends to memory.jsonl.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "memory.jsonl"
PAIRS = 9
WORDS = ["metrics=none", "logger=none", "trainer.gpus=0", "trainer.max_steps=100", "trainer.enable_progress_bar=false"]


def images_per_second(*, keep: bool, folder: str) -> float:
    command = [sys.executable, "-m", "dcgan.train", "model.width=32", f"keep_freed_memory={keep}", *WORDS]
    command.append(f"data.root={Path(os.environ.get('DCGAN_DATA', 'data')).absolute()}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=environment)
    return float(re.findall(r"\((\d+) images/s\)", result.stdout)[0])


def main() -> None:
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(PAIRS):
            order = (True, False) if pair % 2 else (False, True)
            speed = {keep: images_per_second(keep=keep, folder=folder) for keep in order}
            ratios.append(round(speed[True] / speed[False], 3))
            print(speed, flush=True)
    line = {
        "date": date.today().isoformat(),
        "ratios": ratios,
        "median": statistics.median(ratios),
        "torch": torch.__version__,
        "cpu": torch.cpu.get_capabilities().get("cpu_name"),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line["median"])


if __name__ == "__main__":
    main()
