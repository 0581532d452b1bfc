"""The convolutional GAN of Radford et al. 2016, "Unsupervised representation learning with deep convolutional GANs"."""

from itertools import pairwise

from torch import Tensor, nn

from dcgan.models.base import Discriminator, Generator, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.layers import (
    KERNEL,
    Down,
    Flatten,
    FromImages,
    MinibatchStddev,
    ToMaps,
    default_depth,
    initialise,
    upsample,
)
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed


class DCGANGenerator(Generator):
    """Dense to a small map, ``base_convs`` 3x3 convolutions, ``depth`` stages that double it and halve the channels."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        latent_dim: int,
        dense_units: int | None,
        base_convs: int,
        channels: int,
        resolution: int,
        norm_kind: str,
        upsample_kind: str,
        init: str,
        num_classes: int,
        conditioning: str | None,
    ) -> None:
        super().__init__(latent_dim=latent_dim, num_classes=num_classes)
        base = resolution // 2**depth
        widths = [width * 2**i for i in reversed(range(depth))]
        bias = norm_kind == "none"
        classes = num_classes if conditioning == "norm" else 0
        self.labelled = LabelledLatents(num_classes) if conditioning == "concat" else None
        inputs = latent_dim + (EMBEDDING_DIM if self.labelled else 0)
        self.body = Labelled()
        if dense_units is not None:
            self.body.append(nn.Linear(inputs, dense_units, bias=bias))
            self.body.extend(norm(norm_kind, dense_units, dense=True, num_classes=classes))
            self.body.append(nn.ReLU(inplace=True))
            inputs = dense_units
        units = widths[0] * base**2
        to_map = ToMaps(widths[0], base, base)
        self.body.append(nn.Linear(inputs, units, bias=bias))
        if classes:  # a gain for each channel, not for each of 50 times as many units
            self.body.extend([to_map, *norm(norm_kind, widths[0], num_classes=classes), nn.ReLU(inplace=True)])
        else:
            self.body.extend([*norm(norm_kind, units, dense=True), nn.ReLU(inplace=True), to_map])
        for _ in range(base_convs):
            self.body.append(nn.Conv2d(widths[0], widths[0], 3, padding=1, bias=bias))
            self.body.extend([*norm(norm_kind, widths[0], num_classes=classes), nn.ReLU(inplace=True)])
        for wide, narrow in pairwise(widths):
            self.body.extend(upsample(upsample_kind, wide, narrow, bias=bias))
            self.body.extend(norm(norm_kind, narrow, num_classes=classes))
            self.body.append(nn.ReLU(inplace=True))
        self.body.extend(upsample(upsample_kind, width, channels, images=True))
        self.body.append(nn.Tanh())
        initialise(self, init)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        if self.labelled is not None:
            latents = self.labelled(latents, labels)
        return self.body(latents, labels)  # type: ignore[no-any-return]


class DCGANDiscriminator(Discriminator):
    """``depth`` strided convolutions, normalised but the first, ``base_convs`` 3x3 ones, then dense to one logit."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        dense_units: int | None,
        base_convs: int,
        channels: int,
        resolution: int,
        norm_kind: str,
        dropout: float,
        minibatch_stddev: bool,
        init: str,
        num_classes: int,
        conditioning: str | None,
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(depth)]
        bias = norm_kind in ("none", "spectral")
        self.labelled = LabelledImages(num_classes, resolution=resolution) if conditioning == "concat" else None
        inputs = channels + (1 if self.labelled else 0)
        self.body = nn.Sequential(FromImages(inputs, width, **KERNEL), *_activation(dropout))
        for narrow, wide in pairwise(widths):
            self.body.append(Down(narrow, wide, bias=bias, **KERNEL))
            self.body.extend([*norm(norm_kind, wide), *_activation(dropout)])
        for _ in range(base_convs):
            self.body.append(nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=bias))
            self.body.extend([*norm(norm_kind, widths[-1]), *_activation(dropout)])
        if minibatch_stddev:
            self.body.append(MinibatchStddev())
        if dense_units is not None or conditioning in ("projection", "auxiliary"):
            self.body.append(Flatten())
        features = (widths[-1] + int(minibatch_stddev)) * (resolution // 2**depth) ** 2
        if dense_units is not None:
            self.body.append(nn.Linear(features, dense_units, bias=bias))
            self.body.extend([*norm(norm_kind, dense_units, dense=True), *_activation(dropout)])
            features = dense_units
        self.head = Head(features, num_classes=num_classes, conditioning=conditioning)
        initialise(self, init)
        if norm_kind == "spectral":
            normalise_spectrally(self.body, self.head)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> what ``head`` is given."""
        return self.body(images if self.labelled is None else self.labelled(images, labels))  # type: ignore[no-any-return]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        return self.head(self.features(images, labels), labels)  # type: ignore[no-any-return]


def _activation(dropout: float) -> list[nn.Module]:
    """In place, as all of these networks': a new tensor takes 3 to 6 times as long in a step (experiments/speed)."""
    return [nn.LeakyReLU(0.2, inplace=True), *([nn.Dropout(dropout)] if dropout else [])]


def build(
    *,
    width: int,
    depth: int | None,
    latent_dim: int,
    dense_units: int | None,
    base_convs: int,
    upsample: str,
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
    """The pair; ``depth=None`` chooses the stages by the resolution, which must be a multiple of 2 ** depth."""
    depth = depth or default_depth(resolution)
    assert resolution % 2**depth == 0  # a configuration with another is refused
    generator = DCGANGenerator(
        width=width,
        depth=depth,
        latent_dim=latent_dim,
        dense_units=dense_units,
        base_convs=base_convs,
        channels=channels,
        resolution=resolution,
        norm_kind=generator_norm,
        upsample_kind=upsample,
        init=init,
        num_classes=num_classes,
        conditioning=generator_conditioning,
    )
    discriminator = DCGANDiscriminator(
        width=width,
        depth=depth,
        dense_units=dense_units,
        base_convs=base_convs,
        channels=channels * discriminator_pack,
        resolution=resolution,
        norm_kind=discriminator_norm,
        dropout=discriminator_dropout,
        minibatch_stddev=discriminator_minibatch_stddev,
        init=init,
        num_classes=num_classes,
        conditioning=discriminator_conditioning,
    )
    return generator, packed(discriminator, discriminator_pack)
