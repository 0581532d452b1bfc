"""Do the first steps of the defaults learn? A queue, with and without a warm-up.

    OMP_NUM_THREADS=1 python experiments/2026-11-30_warmup/starts.py

One JSON line for each finished start, with what the monitor saw: `spread`, of the samples of fixed latents beside that
of real images, and its last word. Starts that have their line are skipped.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan.data.readers import read

HERE = Path(__file__).parent
OUT = HERE / "starts.jsonl"
FOLDER = Path("outputs") / "starts"
SETTINGS = {
    "mnist": ["model=dcgan", "trainer.max_steps=450"],
    "5000": ["experiment=folder_small", f"data.folder={FOLDER / '5000.npz'}", "trainer.max_steps=450"],
    "mnist_4e-3": ["model=dcgan", "trainer.max_steps=300", "optimizer.lr=4e-3"],
}
SHORT = ["optimizer.schedule=constant", "metrics=none", "logger=csv", "samples.every=450"]


def prepare() -> None:
    """The first 5,000 of the training images and of the test images, without labels."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    root = Path(os.environ.get("DCGAN_DATA") or "data")
    images = {f"x_{split}": read("mnist", root, split=split)[0][:5000, 0].numpy() for split in ("train", "test")}
    np.savez(FOLDER / "5000.npz", **images)


def start(words: list[str], folder: Path) -> list[float]:
    """The spread at each of the monitor's looks."""
    run = [*words, *SHORT, "trainer.enable_progress_bar=false", f"hydra.run.dir={folder}"]
    subprocess.run([sys.executable, "-m", "dcgan.train", *run], check=True)
    with (folder / "csv/version_0/metrics.csv").open() as file:
        return [round(float(row["health/spread"]), 3) for row in csv.DictReader(file) if row["health/spread"]]


def draw() -> None:
    """`starts.png`: seed 1 on MNIST after 450 steps, without and with a warm-up."""
    grids = [Image.open(FOLDER / f"mnist_{warmup}_1/samples/step_000450.png") for warmup in (0, 100)]
    sheet = Image.new("L", (2 * grids[0].width + 12, grids[0].height), 255)
    for number, grid in enumerate(grids):
        sheet.paste(grid, (number * (grid.width + 12), 0))
    sheet.save(HERE / "starts.png", optimize=True)


def main() -> None:
    done = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    prepare()
    for seed in range(10):
        for data, words in SETTINGS.items():
            for warmup in (0, 100):
                asked = {"data": data, "warmup": warmup, "seed": seed}
                if any(asked.items() <= line.items() for line in done):
                    continue
                folder = FOLDER / f"{data}_{warmup}_{seed}"
                spread = start([*words, f"optimizer.warmup={warmup}", f"seed={seed}"], folder)
                status = json.loads((folder / "status.json").read_text())
                line = {
                    **asked,
                    "spread": spread,
                    "health": status["health"]["state"],
                    "since": status["health"]["since"],
                }
                with OUT.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    draw()


if __name__ == "__main__":
    main()
