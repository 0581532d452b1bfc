"""Residual networks, SNGAN's (Miyato et al. 2018), and unnormalised in the manner of R3GAN (Huang et al. 2024).

SNGAN's are its table 4 at one width for all resolutions, with one block less in the discriminator. Without
normalisation (``norm: none``) the activation is
LeakyReLU and each block starts as the identity of its shortcut, its last convolution at 0, as in Fixup (Zhang et al.
2019), on which R3GAN stands.
"""

import torch
from torch import Tensor, nn

from dcgan.models.base import Discriminator, Generator, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.layers import KAIMING_GAIN, MinibatchStddev, ToMaps, default_depth, initialise, upsample
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed


class UpBlock(nn.Module):
    """(N, C, H, W) -> (N, C, 2 H, 2 W)."""

    def __init__(self, width: int, *, norm_kind: str, upsample_kind: str, num_classes: int) -> None:
        super().__init__()
        self.body = Labelled(
            *norm(norm_kind, width, num_classes=num_classes),
            _activation(norm_kind),
            *upsample(upsample_kind, width, width),
            *norm(norm_kind, width, num_classes=num_classes),
            _activation(norm_kind),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(width, width, 1), nn.Upsample(scale_factor=2))

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Residual."""
        return self.body(features, labels) + self.shortcut(features)  # type: ignore[no-any-return]


class DownBlock(nn.Module):
    """(N, inputs, H, W) -> (N, width, H / 2, W / 2); the first has no activation before it, the last keeps H and W."""

    def __init__(self, inputs: int, width: int, *, norm_kind: str, first: bool = False, down: bool = True) -> None:
        super().__init__()
        before = [] if first else [*norm(norm_kind, inputs), _activation(norm_kind)]
        self.body = nn.Sequential(
            *before,
            nn.Conv2d(inputs, width, 3, padding=1),
            *norm(norm_kind, width),
            _activation(norm_kind),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1) if down or inputs != width else nn.Identity())
        if down:
            self.body.append(nn.AvgPool2d(2))
            self.shortcut.insert(0, nn.AvgPool2d(2))  # the same as behind a 1x1 convolution, for a quarter of the work

    def forward(self, features: Tensor) -> Tensor:
        """Residual."""
        return self.body(features) + self.shortcut(features)  # type: ignore[no-any-return]


class ResNetGenerator(Generator):
    """Dense to a small map, then ``depth`` residual blocks that double it."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        latent_dim: int,
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
        classes = num_classes if conditioning == "norm" else 0
        self.labelled = LabelledLatents(num_classes) if conditioning == "concat" else None
        self.stem = nn.Sequential(
            nn.Linear(latent_dim + (EMBEDDING_DIM if self.labelled else 0), width * base**2),
            ToMaps(width, base, base),
        )
        self.blocks = nn.ModuleList(
            UpBlock(width, norm_kind=norm_kind, upsample_kind=upsample_kind, num_classes=classes) for _ in range(depth)
        )
        self.to_image = nn.Sequential(
            *norm(norm_kind, width), _activation(norm_kind), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()
        )
        initialise(self, init)
        if norm_kind == "none":
            _start_as_identity(self)
        if init == "kaiming":
            _without_gain(*(block.shortcut for block in self.blocks if isinstance(block, UpBlock)), self.to_image)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        features = self.stem(latents if self.labelled is None else self.labelled(latents, labels))
        for block in self.blocks:
            features = block(features, labels)
        return self.to_image(features)  # type: ignore[no-any-return]


class ResNetDiscriminator(Discriminator):
    """``depth`` residual blocks that halve the map, one more at its smallest, the sum over it, one logit.

    Without normalisation the mean takes the sum's place: 49 times as large, first logits would be beyond 10.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
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
        self.norm_kind = norm_kind
        self.labelled = LabelledImages(num_classes, resolution=resolution) if conditioning == "concat" else None
        self.body = nn.Sequential()
        inputs = channels + (1 if self.labelled else 0)
        for i in range(depth):
            self.body.append(DownBlock(inputs, width, norm_kind=norm_kind, first=i == 0))
            if dropout:
                self.body.append(nn.Dropout(dropout))
            inputs = width
        if minibatch_stddev:
            self.body.append(MinibatchStddev())
        self.body.append(DownBlock(width + int(minibatch_stddev), width, norm_kind=norm_kind, down=False))
        self.body.extend([*norm(norm_kind, width), _activation(norm_kind)])
        self.head = Head(width, num_classes=num_classes, conditioning=conditioning)
        initialise(self, init)
        if norm_kind == "none":
            _start_as_identity(self)
        if init == "kaiming":
            _without_gain(*(block.shortcut for block in self.body if isinstance(block, DownBlock)), self.head)
        if norm_kind == "spectral":
            normalise_spectrally(self.body, self.head)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> (N, width)."""
        maps: Tensor = self.body(images if self.labelled is None else self.labelled(images, labels))
        return maps.mean((2, 3)) if self.norm_kind == "none" else maps.sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        return self.head(self.features(images, labels), labels)  # type: ignore[no-any-return]


def _activation(norm_kind: str) -> nn.Module:
    return nn.LeakyReLU(0.2) if norm_kind == "none" else nn.ReLU()


def _start_as_identity(network: nn.Module) -> None:
    for block in network.modules():
        if isinstance(block, UpBlock | DownBlock):
            last = [layer for layer in block.body if isinstance(layer, nn.Conv2d)][-1]
            nn.init.zeros_(last.weight)


def _without_gain(*parts: nn.Module) -> None:
    """Kaiming's gain is for layers that an activation follows; it would grow from shortcut to shortcut."""
    for layer in [layer for part in parts for layer in part.modules()]:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            with torch.no_grad():
                layer.weight /= KAIMING_GAIN


def build(
    *,
    width: int,
    depth: int | None,
    latent_dim: int,
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
    """The pair; ``depth=None`` chooses the blocks by the resolution, which must be a multiple of 2 ** depth."""
    depth = depth or default_depth(resolution)
    assert resolution % 2**depth == 0  # a configuration with another is refused
    generator = ResNetGenerator(
        width=width,
        depth=depth,
        latent_dim=latent_dim,
        channels=channels,
        resolution=resolution,
        norm_kind=generator_norm,
        upsample_kind=upsample,
        init=init,
        num_classes=num_classes,
        conditioning=generator_conditioning,
    )
    discriminator = ResNetDiscriminator(
        width=width,
        depth=depth,
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
