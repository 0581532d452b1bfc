"""Train the digit classifier that ships as the feature space ``digits``.

``python -m dcgan.train_classifier --seed 0 --out digits.safetensors`` writes the weights, and one JSON line per epoch
beside them. The test split is only looked at: nothing is chosen on it, the last epoch is what is kept.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from dcgan.classifier import DigitClassifier
from dcgan.data.module import load_mnist
from dcgan.images import to_float


def random_affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate by up to 12 degrees, shear by 0.2, scale by 10 %, shift by 2 pixels: each image by its own draw."""
    n, _, _, width = images.shape
    angle, shear, scale_x, scale_y, shift_x, shift_y = torch.rand(6, n, generator=generator).mul_(2).sub_(1)
    angle, shear = angle * 0.21, shear * 0.2
    cos, sin = angle.cos(), angle.sin()
    rows = [
        [cos * (1 + 0.1 * scale_x), -sin + shear, shift_x * 4 / width],
        [sin, cos * (1 + 0.1 * scale_y), shift_y * 4 / width],
    ]
    theta = torch.stack([torch.stack(row, -1) for row in rows], -2)
    where = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)


def train_classifier(*, root: Path, out: Path, seed: int, epochs: int, batch_size: int = 128) -> float:
    """Train on the 60,000 training images; write ``out`` and, beside it, a ``.jsonl``; return the test accuracy."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = load_mnist(root, split="train")
    classifier = DigitClassifier()
    num_batches = len(images) // batch_size
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * num_batches)
    log = out.with_suffix(".jsonl")
    log.write_text("")
    for epoch in range(1, epochs + 1):
        started, total = time.process_time(), 0.0
        classifier.train()
        for index in torch.randperm(len(images), generator=generator)[: num_batches * batch_size].view(-1, batch_size):
            logits = classifier(random_affine(to_float(images[index]), generator))
            loss = F.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        line = {
            "seed": seed,
            "epoch": epoch,
            "train_loss": round(total / num_batches, 5),
            "test_accuracy": accuracy(classifier, root),
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)
    save_file(classifier.state_dict(), out)
    return line["test_accuracy"]


@torch.inference_mode()
def accuracy(classifier: DigitClassifier, root: Path) -> float:
    """Share of the 10,000 test images that the classifier, in eval mode, gets right."""
    classifier.eval()
    images, labels = load_mnist(root, split="test")
    right = [
        (classifier(to_float(batch)).argmax(1) == truth).sum()
        for batch, truth in zip(images.split(500), labels.split(500), strict=True)
    ]
    return int(sum(right)) / len(images)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--root", type=Path, default=os.environ.get("DCGAN_DATA", "data"), help="where data sets are kept"
    )
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    for path in (arguments.out, arguments.out.with_suffix(".jsonl")):
        if path.exists():
            parser.error(f"{path} exists: a shipped extractor never changes; write elsewhere")
    train_classifier(root=arguments.root, out=arguments.out, seed=arguments.seed, epochs=arguments.epochs)


if __name__ == "__main__":
    main()
