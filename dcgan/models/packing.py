"""PacGAN: a discriminator that judges several images at once."""

from torch import Tensor

from dcgan.models.base import Discriminator, Verdict


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


def packed(discriminator: Discriminator, pack: int) -> Discriminator:
    """``discriminator`` itself where there is nothing to pack."""
    return discriminator if pack == 1 else Packed(discriminator, pack)
