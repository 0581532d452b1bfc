"""Judges: classifiers of another make than those that choose (spaces ``digits_residual``, ``fashion_residual``)."""

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.features.classifier import halvings, run_epochs

# Features come in such units that FIDs are about as large as the first extractors'. A power of two rounds nothing.
UNITS = 4


class ResidualClassifier(nn.Module):
    """A residual network for images in [-1, 1], 0.30 M parameters at 28x28; its 96 pooled values are the features.

    Nothing of it is shared with ``Classifier``: pre-activation residual blocks (He et al. 2016), SiLU and an average
    over the picture here; plain convolutions, ReLU, a dense layer and dropout there.
    """

    num_features = 96  # of 10,000 images in float16, which a reference holds, 1.9 MB

    def __init__(self, *, resolution: int = 28, channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 5, stride=2, padding=2, bias=False),
            *(ResidualBlock(32, 32, stride=2) for _ in range(halvings(resolution))),
            ResidualBlock(32, 32, stride=1),
            ResidualBlock(32, 64, stride=2),
            ResidualBlock(64, 64, stride=1),
            ResidualBlock(64, self.num_features, stride=2),
            nn.BatchNorm2d(self.num_features),
            nn.SiLU(),
        )
        self.head = Head(self.num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> (N, 96), at least -1.12."""
        return self.body(images).mean((2, 3)) * UNITS  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> logits (N, K)."""
        return self.head(self.features(images))  # type: ignore[no-any-return]


class Head(nn.Linear):
    """Linear in the features as they were before they were put in units."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) -> logits (N, K)."""
        return super().forward(features / UNITS)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after norm and activation, and the way around them."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.SiLU(),
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        self.around = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.around(maps) + self.residual(maps)  # type: ignore[no-any-return]


def residual_training(
    classifier: ResidualClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    seed: int,
    pixels: float = 3,
    degrees: float = 15,
) -> Iterator[float]:
    """Train on uint8 images (N, 1, 28, 28) and labels (N,); yields the mean loss after each epoch.

    SGD with momentum and a one-cycle rate in bfloat16, each image shifted and rotated by its own draw, by so many
    ``pixels`` and ``degrees`` at most.
    """
    classifier.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(classifier.parameters(), momentum=0.9, nesterov=True, weight_decay=5e-4)
    return run_epochs(
        classifier,
        images,
        labels,
        optimizer=optimizer,
        rate=0.1,
        augment=partial(random_shift_and_rotation, pixels=pixels, degrees=degrees),
        bfloat16=True,
        epochs=epochs,
        seed=seed,
    )


def random_shift_and_rotation(
    images: Tensor, generator: torch.Generator, *, pixels: float = 3, degrees: float = 15
) -> Tensor:
    """Shift by up to so many pixels and rotate by up to so many degrees: each image by its own draw."""
    n, _, _, width = images.shape
    angle, shift_x, shift_y = torch.rand(3, n, generator=generator).mul_(2).sub_(1)
    angle = angle * torch.pi / (180 / degrees)
    cos, sin = angle.cos(), angle.sin()
    rows = [[cos, -sin, shift_x * (2 * pixels) / width], [sin, cos, shift_y * (2 * pixels) / width]]
    theta = torch.stack([torch.stack(row, -1) for row in rows], -2)
    where = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)
