"""Train a classifier as those that ship as the feature spaces ``digits``, ``fashion`` and their judges.

``python -m dcgan.features.train_classifier --data mnist --seed 0 --out digits.safetensors`` writes the weights and,
beside them, one JSON line per epoch; ``--kind residual`` trains a judge. The test split is only looked at: nothing is
chosen on it, the last epoch is what is kept.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from dcgan.data.readers import read
from dcgan.features.classifier import Classifier, accuracy, training
from dcgan.features.residual import ResidualClassifier, residual_training
from dcgan.shell.streams import forgiving

KINDS: dict[str, tuple[type[nn.Module], Callable[..., Iterator[float]]]] = {
    "plain": (Classifier, training),
    "residual": (ResidualClassifier, residual_training),
}  # the network, and what trains it
# Of a judge's training: clothes stand straighter than digits (92.4 % with theirs).
MOVES: dict[tuple[str, str], dict[str, float]] = {("residual", "fashion_mnist"): {"pixels": 2, "degrees": 5}}
EPOCHS = {"plain": 20, "residual": 40}


def train_classifier(*, kind: str, data: str, root: Path, out: Path, seed: int, epochs: int) -> float:
    """Train on the 60,000 training images; write ``out`` and, beside it, a ``.jsonl``; return the test accuracy.

    In one thread, so that the same weights come out again.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    train, test = (read(data, root, split=split) for split in ("train", "test"))
    network, train_network = KINDS[kind]
    classifier = network()
    losses = train_network(classifier, *train, epochs=epochs, seed=seed, **MOVES.get((kind, data), {}))
    log = out.with_suffix(".jsonl")
    log.write_text("")
    started = time.process_time()
    for epoch, loss in enumerate(losses, 1):
        right = accuracy(classifier, *test)
        line = {
            "kind": kind,
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
    weights = {name: tensor.contiguous() for name, tensor in classifier.state_dict().items()}
    out.write_bytes(save(weights))  # save_file's are for their owner alone
    return right


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=os.environ.get("DCGAN_DATA") or "data", help="where data sets are kept"
    )
    parser.add_argument("--data", choices=("mnist", "fashion_mnist"), default="mnist")
    parser.add_argument("--kind", choices=sorted(KINDS), default="plain", help="residual: a judge's")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help=f"default: {EPOCHS}")
    arguments = parser.parse_args()
    for path in (arguments.out, arguments.out.with_suffix(".jsonl")):
        if path.exists():
            parser.error(f"{path} exists: a shipped extractor never changes; write elsewhere")
    with forgiving():
        train_classifier(
            kind=arguments.kind,
            data=arguments.data,
            root=arguments.root,
            out=arguments.out,
            seed=arguments.seed,
            epochs=arguments.epochs or EPOCHS[arguments.kind],
        )


if __name__ == "__main__":
    main()
