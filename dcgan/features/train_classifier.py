"""Train a classifier as those that ship as the feature spaces ``digits`` and ``fashion``.

``python -m dcgan.features.train_classifier --data mnist --seed 0 --out digits.safetensors`` writes the weights and,
beside them, one JSON line per epoch. The test split is only looked at: nothing is chosen on it, the last epoch is what
is kept.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save

from dcgan.data.readers import read
from dcgan.features.classifier import Classifier, accuracy, training
from dcgan.shell.streams import forgiving


def train_classifier(*, data: str, root: Path, out: Path, seed: int, epochs: int) -> float:
    """Train on the 60,000 training images; write ``out`` and, beside it, a ``.jsonl``; return the test accuracy."""
    torch.manual_seed(seed)
    train, test = (read(data, root, split=split) for split in ("train", "test"))
    classifier = Classifier()
    log = out.with_suffix(".jsonl")
    log.write_text("")
    started = time.process_time()
    for epoch, loss in enumerate(training(classifier, *train, epochs=epochs, seed=seed), 1):
        right = accuracy(classifier, *test)
        line = {
            "data": data,
            "seed": seed,
            "epoch": epoch,
            "train_loss": round(loss, 5),
            "test_accuracy": right,
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)
        started = time.process_time()
    out.write_bytes(save(classifier.state_dict()))  # save_file's are for their owner alone
    return right


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=os.environ.get("DCGAN_DATA") or "data", help="where data sets are kept"
    )
    parser.add_argument("--data", choices=("mnist", "fashion_mnist"), default="mnist")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    for path in (arguments.out, arguments.out.with_suffix(".jsonl")):
        if path.exists():
            parser.error(f"{path} exists: a shipped extractor never changes; write elsewhere")
    with forgiving():
        train_classifier(
            data=arguments.data, root=arguments.root, out=arguments.out, seed=arguments.seed, epochs=arguments.epochs
        )


if __name__ == "__main__":
    main()
