"""The fully connected GAN, in the style of Goodfellow et al. 2014: no convolution anywhere."""

import math

from torch import Tensor, nn

from dcgan.models.base import Discriminator, Generator, Verdict


class MLPGenerator(Generator):
    """``depth`` hidden layers, ``width`` units in the first, doubled in each next; batch norm, LeakyReLU, tanh."""

    def __init__(self, *, width: int, depth: int, latent_dim: int, shape: tuple[int, int, int]) -> None:
        super().__init__(latent_dim=latent_dim)
        self.body = nn.Sequential()
        inputs = latent_dim
        for outputs in (width * 2**i for i in range(depth)):
            self.body.append(nn.Linear(inputs, outputs, bias=False))
            self.body.append(nn.BatchNorm1d(outputs))
            self.body.append(nn.LeakyReLU(0.2))
            inputs = outputs
        self.body.append(nn.Linear(inputs, math.prod(shape)))
        self.body.append(nn.Tanh())
        self.body.append(nn.Unflatten(1, shape))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        return self.body(latents)  # type: ignore[no-any-return]


class MLPDiscriminator(Discriminator):
    """``depth - 1`` hidden layers, twice ``width`` units in the first and half as many in each next; LeakyReLU."""

    def __init__(self, *, width: int, depth: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten())
        inputs = math.prod(shape)
        for outputs in (max(1, 2 * width // 2**i) for i in range(max(1, depth - 1))):
            self.body.append(nn.Linear(inputs, outputs))
            self.body.append(nn.LeakyReLU(0.2))
            inputs = outputs
        self.body.append(nn.Linear(inputs, 1))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        return Verdict(self.body(images).squeeze(1))


def build(
    *, width: int, depth: int | None, latent_dim: int, channels: int, resolution: int
) -> tuple[Generator, Discriminator]:
    """The pair; ``depth=None`` means 3, which with width 256 is 256-512-1024 against 512-256."""
    depth = 3 if depth is None else depth
    shape = (channels, resolution, resolution)
    generator = MLPGenerator(width=width, depth=depth, latent_dim=latent_dim, shape=shape)
    return generator, MLPDiscriminator(width=width, depth=depth, shape=shape)
