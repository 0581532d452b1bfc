"""What every model of this package agrees on."""

from typing import NamedTuple, Protocol

from torch import Tensor, nn


class Verdict(NamedTuple):
    """What a discriminator says of N images. ``sigmoid(logits)`` is the probability of being real."""

    logits: Tensor  # (N,)
    classes: Tensor | None = None  # (N, num_classes), auxiliary classifier only


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1]."""

    num_classes = 0  # unconditional

    def __init__(self, *, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw one image per latent."""
        raise NotImplementedError


class Discriminator(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> Verdict."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Judge each image."""
        raise NotImplementedError


class Builder(Protocol):
    """Makes a generator and the discriminator it is trained against.

    Raises:
        ValueError: the arguments describe no network; the message names the argument and what it may be.
    """

    def __call__(
        self, *, width: int, depth: int | None, latent_dim: int, channels: int, resolution: int
    ) -> tuple[Generator, Discriminator]:
        """The pair."""
        ...
