"""How many images does a GAN need, and what does DiffAugment do where they are few? A queue of 18 runs.

    python experiments/2026-11-29_few_images/run.py

100, 1,000 and 10,000 images of Fashion-MNIST's training set (the first of an order drawn with seed 0, as an .npz, of
which `data=folder` holds one in seven out), without and with DiffAugment, seeds 0 to 2. Each run is what a person would
type; its 10,000 samples are scored against the whole test set, and the samples' nearest images among those it was
trained on are held against those of 2,000 test images. One JSON line for each finished run; runs that have theirs are
skipped.
"""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcgan.config.options import FolderData
from dcgan.data.prepared import found, read_own
from dcgan.data.readers import read
from dcgan.metrics.copies import find_copies, nearest
from dcgan.runs.provenance import provenance

HERE = Path(__file__).parent
OUT = Path("outputs") / "few_images"
ROOT = Path(os.environ.get("DCGAN_DATA", "data"))
SETTING = (
    "model.width=16 data.batch_size=64 trainer.max_steps=3000 optimizer.lr=1e-3 samples.every=3000 trainer.gpus=0 "
    "metrics=none logger=none"
)
AUGMENTS = {"none": "augment=none", "diffaugment": "augment=diffaugment augment.flip=true"}


def typed(module: str, *words: str) -> str:
    command = [sys.executable, "-m", f"dcgan.{module}", *words]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ).stdout


def folder_of(images: torch.Tensor, number: int) -> Path:
    path = OUT / f"{number}.npz"
    chosen = np.random.default_rng(0).permutation(len(images))[:number]
    if not path.exists():
        np.savez(path, images=images[chosen, 0].numpy())
    return path


def measured(data: Path, augment: str, seed: int, test: torch.Tensor) -> dict[str, Any]:
    words = ["data=folder", f"data.folder={data}", *AUGMENTS[augment].split(), *SETTING.split(), f"seed={seed}"]
    run = OUT / f"{data.stem}_{augment}_{seed}"
    typed("train", *words, f"hydra.run.dir={run}", "resume=auto")  # what was killed goes on
    samples = run / "samples.npz"
    typed("generate", f"run={run}", "checkpoint=last", "n=10000", "format=npz", f"out={samples}", "overwrite=true")
    typed("evaluate", f"samples={samples}", "metrics=fashion", f"out={run / 'scores'}")
    records = [json.loads(line) for line in (run / "scores" / "metrics.jsonl").read_text().splitlines()]
    own = FolderData(
        name="folder", folder=str(data), root=str(ROOT), batch_size=64, background="black", unreadable="stop", memory=4
    )
    train, _ = read_own(own, found(own), split="train")
    drawn = torch.from_numpy(np.load(samples)["images"][:2000])[:, None]
    copies = find_copies(nearest(drawn, train), nearest(test[:2000], train))
    return {
        "images": int(data.stem),
        "trained_on": len(train),
        "augment": augment,
        "seed": seed,
        "command": f"python -m dcgan.train {' '.join(words)}",
        **{record["metric"]: round(record["value"], 2) for record in records},
        **{
            name: round(records[0]["measures"][name]["value"], 3)
            for name in ("precision", "recall", "coverage", "modes")
        },
        "copies": {name: round(value, 4) for name, value in copies._asdict().items()} | {"accused": copies.accused},
        "status": json.loads((run / "status.json").read_text())["results"],
        **{
            key: value
            for key, value in provenance([]).items()
            if key in ("git_commit", "git_changes", "packages", "machine")
        },
    }


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    splits = {split: read("fashion_mnist", ROOT, split=split)[0] for split in ("train", "test")}
    results = HERE / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    done = {(one["images"], one["augment"], one["seed"]) for one in map(json.loads, lines)}
    for seed, number, augment in product((0, 1, 2), (100, 1000, 10_000), AUGMENTS):
        if (number, augment, seed) in done:
            continue
        line = measured(folder_of(splits["train"], number), augment, seed, splits["test"])
        with results.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print({key: line[key] for key in ("images", "augment", "seed", "fid_fashion_test_10k", "coverage")}, flush=True)


if __name__ == "__main__":
    main()
