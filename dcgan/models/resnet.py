"""Residual networks, SNGAN's (Miyato et al. 2018), and unnormalised in the manner of R3GAN (Huang et al. 2024).

SNGAN's are its table 4 at one width for all resolutions, with one block less in the discriminator. Without
normalisation (``norm: none``) the activation is
LeakyReLU and each block starts as the identity of its shortcut, its last convolution at 0, as in Fixup (Zhang et al.
2019), on which R3GAN stands.
"""

import torch
from torch import Tensor, nn

from dcgan.config.options import ResNet
from dcgan.models.base import Discriminator, Generator, Pair, Shape, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.fast import memory_format
from dcgan.models.layers import KAIMING_GAIN, Dropout, MinibatchStddev, initialise, stages, upsample
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed


class UpBlock(nn.Module):
    """(N, C, H, W) -> (N, C, 2 H, 2 W)."""

    def __init__(self, width: int, *, norm_kind: str, upsample_kind: str, num_classes: int, fast: bool) -> None:
        super().__init__()
        self.body = Labelled(
            *norm(norm_kind, width, num_classes=num_classes),
            _activation(norm_kind),
            *upsample(upsample_kind, width, width, fast=fast),
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

    def __init__(self, model: ResNet, shape: Shape) -> None:
        super().__init__(latent_dim=model.latent_dim, num_classes=shape.num_classes)
        width, kind, depth = model.width, model.generator.norm, stages(model.depth, shape.resolution)
        base = shape.resolution // 2**depth
        conditioning = (model.generator.conditioning or "concat") if shape.num_classes else None
        of_block = {
            "norm_kind": kind,
            "upsample_kind": model.upsample,
            "num_classes": shape.num_classes if conditioning == "norm" else 0,
            "fast": shape.fast,
        }
        self.labelled = LabelledLatents(shape.num_classes) if conditioning == "concat" else None
        self.stem = nn.Sequential(
            nn.Linear(model.latent_dim + (EMBEDDING_DIM if self.labelled else 0), width * base**2),
            nn.Unflatten(1, (width, base, base)),
        )
        self.blocks = nn.ModuleList(UpBlock(width, **of_block) for _ in range(depth))  # type: ignore[arg-type]
        self.to_image = nn.Sequential(
            *norm(kind, width), _activation(kind), nn.Conv2d(width, shape.channels, 3, padding=1), nn.Tanh()
        )
        initialise(self, model.init)
        if kind == "none":
            _start_as_identity(self)
        if model.init == "kaiming":
            _without_gain(*(block.shortcut for block in self.blocks if isinstance(block, UpBlock)), self.to_image)
        self.to(memory_format=memory_format(fast=shape.fast))

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

    def __init__(self, model: ResNet, shape: Shape) -> None:
        super().__init__()
        own, depth = model.discriminator, stages(model.depth, shape.resolution)
        width, self.norm_kind = own.width or model.width, own.norm
        conditioning = (own.conditioning or "projection") if shape.num_classes else None
        concat = conditioning == "concat"
        self.labelled = LabelledImages(shape.num_classes, resolution=shape.resolution) if concat else None
        self.body = nn.Sequential()
        inputs = shape.channels + int(concat)
        for i in range(depth):
            self.body.append(DownBlock(inputs, width, norm_kind=own.norm, first=i == 0))
            if own.dropout:
                self.body.append(Dropout(own.dropout))
            inputs = width
        if own.minibatch_stddev:
            self.body.append(MinibatchStddev())
        self.body.append(DownBlock(width + int(own.minibatch_stddev), width, norm_kind=own.norm, down=False))
        self.body.extend([*norm(own.norm, width), _activation(own.norm)])
        self.head = Head(width, num_classes=shape.num_classes, conditioning=conditioning)
        initialise(self, model.init)
        if own.norm == "none":
            _start_as_identity(self)
        if model.init == "kaiming":
            _without_gain(*(block.shortcut for block in self.body if isinstance(block, DownBlock)), self.head)
        if own.norm == "spectral":
            normalise_spectrally(self.body, self.head)
        self.to(memory_format=memory_format(fast=shape.fast))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        maps: Tensor = self.body(images if self.labelled is None else self.labelled(images, labels))
        features = maps.mean((2, 3)) if self.norm_kind == "none" else maps.sum((2, 3))
        return self.head(features, labels)  # type: ignore[no-any-return]


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


MODEL = Pair(ResNetGenerator, packed(ResNetDiscriminator))
