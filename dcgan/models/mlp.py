"""The fully connected GAN, in the style of Goodfellow et al. 2014: no convolution anywhere."""

import math

from torch import Tensor, nn

from dcgan.models.base import Discriminator, Generator, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.layers import MinibatchStddev, initialise
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed


class MLPGenerator(Generator):
    """``depth`` hidden layers, ``width`` units in the first, doubled in each next; norm, LeakyReLU, tanh."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        latent_dim: int,
        shape: tuple[int, int, int],
        norm_kind: str,
        init: str,
        num_classes: int,
        conditioning: str | None,
    ) -> None:
        super().__init__(latent_dim=latent_dim, num_classes=num_classes)
        self.labelled = LabelledLatents(num_classes) if conditioning == "concat" else None
        self.body = Labelled()
        classes = num_classes if conditioning == "norm" else 0
        inputs = latent_dim + (EMBEDDING_DIM if self.labelled else 0)
        for outputs in (width * 2**i for i in range(depth)):
            self.body.append(nn.Linear(inputs, outputs, bias=norm_kind == "none"))
            self.body.extend(norm(norm_kind, outputs, dense=True, num_classes=classes))
            self.body.append(nn.LeakyReLU(0.2))
            inputs = outputs
        self.body.append(nn.Linear(inputs, math.prod(shape)))
        self.body.append(nn.Tanh())
        self.body.append(nn.Unflatten(1, shape))
        initialise(self, init)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        if self.labelled is not None:
            latents = self.labelled(latents, labels)
        return self.body(latents, labels)  # type: ignore[no-any-return]


class MLPDiscriminator(Discriminator):
    """``depth - 1`` hidden layers, twice ``width`` units in the first and half as many in each next; LeakyReLU."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        shape: tuple[int, int, int],
        norm_kind: str = "none",
        dropout: float = 0.0,
        minibatch_stddev: bool = False,
        init: str = "default",
        num_classes: int = 0,
        conditioning: str | None = None,
    ) -> None:
        super().__init__()
        channels, height, width_ = shape
        self.labelled = LabelledImages(num_classes, resolution=height) if conditioning == "concat" else None
        self.body = nn.Sequential(nn.Flatten())
        inputs = (channels + (1 if self.labelled else 0)) * height * width_
        for outputs in (max(1, 2 * width // 2**i) for i in range(max(1, depth - 1))):
            self.body.append(nn.Linear(inputs, outputs, bias=norm_kind in ("none", "spectral")))
            self.body.extend([*norm(norm_kind, outputs, dense=True), nn.LeakyReLU(0.2)])
            if dropout:
                self.body.append(nn.Dropout(dropout))
            inputs = outputs
        if minibatch_stddev:
            self.body.append(MinibatchStddev())
        self.head = Head(inputs + int(minibatch_stddev), num_classes=num_classes, conditioning=conditioning)
        initialise(self, init)
        if norm_kind == "spectral":
            normalise_spectrally(self.body, self.head)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> what ``head`` is given."""
        return self.body(images if self.labelled is None else self.labelled(images, labels))  # type: ignore[no-any-return]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        return self.head(self.features(images, labels), labels)  # type: ignore[no-any-return]


def build(
    *,
    width: int,
    depth: int | None,
    latent_dim: int,
    init: str,
    channels: int,
    resolution: int,
    num_classes: int,
    generator_norm: str,
    generator_conditioning: str | None,
    discriminator_norm: str,
    discriminator_conditioning: str | None,
    discriminator_dropout: float,
    discriminator_minibatch_stddev: bool,
    discriminator_pack: int,
) -> tuple[Generator, Discriminator]:
    """The pair; ``depth=None`` means 3, which with width 256 is 256-512-1024 against 512-256."""
    depth = 3 if depth is None else depth
    generator = MLPGenerator(
        width=width,
        depth=depth,
        latent_dim=latent_dim,
        shape=(channels, resolution, resolution),
        norm_kind=generator_norm,
        init=init,
        num_classes=num_classes,
        conditioning=generator_conditioning,
    )
    discriminator = MLPDiscriminator(
        width=width,
        depth=depth,
        shape=(channels * discriminator_pack, resolution, resolution),
        norm_kind=discriminator_norm,
        dropout=discriminator_dropout,
        minibatch_stddev=discriminator_minibatch_stddev,
        init=init,
        num_classes=num_classes,
        conditioning=discriminator_conditioning,
    )
    return generator, packed(discriminator, discriminator_pack)
