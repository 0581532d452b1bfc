"""The small classifier whose features measure generators (the spaces ``digits`` and ``fashion``), and its training."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.images import to_float

SIDE = 32  # pixels; what is larger is halved first


def halvings(resolution: int) -> int:
    """How often images of so many pixels are halved until they have 32 at most."""
    return max(0, math.ceil(math.log2(resolution / SIDE)))


class Classifier(nn.Module):
    """A CNN for images in [-1, 1], 0.23 M parameters at 28x28; its 128 penultimate activations are the features."""

    num_features = 128

    def __init__(self, *, resolution: int = 28, channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.num_classes = num_classes
        extra = halvings(resolution)
        side = math.ceil(math.ceil(resolution / 2**extra) / 8)
        larger = [layer for i in range(extra) for layer in _block(32 if i else channels, 32, stride=2)]
        self.body = nn.Sequential(
            *larger,
            *_block(32 if extra else channels, 32, stride=1),
            *_block(32, 32, stride=2),
            *_block(32, 64, stride=1),
            *_block(64, 64, stride=2),
            *_block(64, 64, stride=2),
            nn.Flatten(),
            nn.Linear(64 * side * side, self.num_features, bias=False),
            nn.BatchNorm1d(self.num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(self.num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> (N, 128), non-negative."""
        return self.body(images)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> logits (N, K)."""
        return self.head(F.dropout(self.features(images), 0.3, self.training))  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int, *, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def training(
    classifier: Classifier, images: Tensor, labels: Tensor, *, epochs: int, seed: int, batch_size: int = 128
) -> Iterator[float]:
    """Train on uint8 images (N, 1, 28, 28) and labels (N,); yields the mean loss after each epoch.

    AdamW with a one-cycle rate, each image moved by its own random affine map. Dropout draws from the global stream.
    """
    return run_epochs(
        classifier,
        images,
        labels,
        optimizer=torch.optim.AdamW(classifier.parameters(), weight_decay=0.02),
        rate=3e-3,
        augment=random_affine,
        bfloat16=False,
        epochs=epochs,
        seed=seed,
        batch_size=batch_size,
    )


def run_epochs(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    optimizer: torch.optim.Optimizer,
    rate: float,
    augment: Callable[[Tensor, torch.Generator], Tensor],
    bfloat16: bool,
    epochs: int,
    seed: int,
    batch_size: int = 128,
) -> Iterator[float]:
    """The loop of every classifier here, with a one-cycle rate up to ``rate``; yields the mean loss of each epoch."""
    generator = torch.Generator().manual_seed(seed)
    num_batches = len(images) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * num_batches)
    for _ in range(epochs):
        total = 0.0
        classifier.train()
        for index in torch.randperm(len(images), generator=generator)[: num_batches * batch_size].view(-1, batch_size):
            moved = augment(to_float(images[index]), generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = classifier(moved)
            loss = F.cross_entropy(logits.float(), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        yield total / num_batches


@torch.inference_mode()
def accuracy(classifier: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of the uint8 images (N, C, H, W) that the classifier, in eval mode, gets right."""
    classifier.eval()
    batches = zip(images.split(500), labels.split(500), strict=True)
    right = sum(int((classifier(to_float(batch)).argmax(1) == truth).sum()) for batch, truth in batches)
    return right / len(images)


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
