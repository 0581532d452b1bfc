"""PacGAN: a discriminator that judges several images at once."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from dcgan.config.options import Model
from dcgan.models.base import Discriminator, Shape, Verdict


class Packed(Discriminator):
    """Judges ``pack`` images as one of ``pack`` times the channels (Lin et al. 2018): a pack without variety is fake.

    Args:
        discriminator: takes images of ``pack * C`` channels.
    """

    def __init__(self, discriminator: Discriminator, pack: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.pack = pack

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) -> logits (N / pack,)."""
        num_images, channels, height, width = images.shape
        packs = images.reshape(num_images // self.pack, self.pack * channels, height, width)
        return self.discriminator(packs)  # type: ignore[no-any-return]


def packed(discriminator: Callable[[Any, Shape], Discriminator]) -> Callable[[Any, Shape], Discriminator]:
    """``discriminator`` for packs of images where a model's ``discriminator.pack`` asks for them, else itself."""

    def build(model: Model, shape: Shape) -> Discriminator:
        pack = model.discriminator.pack
        one = discriminator(model, shape._replace(channels=shape.channels * pack))
        return one if pack == 1 else Packed(one, pack)

    return build
