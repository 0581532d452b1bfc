"""What every model of this package agrees on."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn


class Verdict(NamedTuple):
    """What a discriminator says of N images. ``sigmoid(logits)`` is the probability of being real."""

    logits: Tensor  # (N,), or one for each pack of images
    classes: Tensor | None = None  # (N, num_classes), auxiliary classifier only
    features: Tensor | None = None  # (N, ...), what it is made of: as ``Discriminator.features``


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1].

    Args:
        num_classes: how many labels it draws images of; 0: it takes none.
    """

    def __init__(self, *, latent_dim: int, num_classes: int = 0) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_classes = num_classes

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw one image per latent, of the class that labels (N,) say."""
        raise NotImplementedError


class Discriminator(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> Verdict."""

    pack = 1  # images that are judged as one

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the verdict is made of: (N, ...), the inputs of the last layer."""
        raise NotImplementedError

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Judge each image."""
        raise NotImplementedError


Builder = Callable[..., tuple[Generator, Discriminator]]
"""Makes a generator and the discriminator it is trained against.

It is given, by name, those keys of the model's configuration that it has arguments for (``model.discriminator.norm`` as
``discriminator_norm``), and ``channels``, ``resolution`` and, if it has an argument for it, ``num_classes``. It raises
ValueError where they describe no network; the message names the key and what it may be.
"""
