"""The convolutional GAN of Radford et al. 2016, "Unsupervised representation learning with deep convolutional GANs"."""

from itertools import pairwise

from torch import Tensor, nn

from dcgan.config.options import DCGAN
from dcgan.models.base import Discriminator, Generator, Pair, Shape, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.fast import down, flatten, from_images, memory_format
from dcgan.models.layers import Dropout, MinibatchStddev, initialise, stages, upsample
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed


class DCGANGenerator(Generator):
    """Dense to a small map, ``base_convs`` 3x3 convolutions, ``depth`` stages that double it and halve the channels."""

    def __init__(self, model: DCGAN, shape: Shape) -> None:
        super().__init__(latent_dim=model.latent_dim, num_classes=shape.num_classes)
        depth, kind, fast = stages(model.depth, shape.resolution), model.generator.norm, shape.fast
        conditioning = (model.generator.conditioning or "concat") if shape.num_classes else None
        base = shape.resolution // 2**depth
        widths = [model.width * 2**i for i in reversed(range(depth))]
        bias = kind == "none"
        num_classes = shape.num_classes if conditioning == "norm" else 0
        self.labelled = LabelledLatents(shape.num_classes) if conditioning == "concat" else None
        inputs = model.latent_dim + (EMBEDDING_DIM if self.labelled else 0)
        self.body = Labelled()
        if model.dense_units is not None:
            self.body.append(nn.Linear(inputs, model.dense_units, bias=bias))
            self.body.extend(norm(kind, model.dense_units, dense=True, num_classes=num_classes))
            self.body.append(nn.ReLU(inplace=True))
            inputs = model.dense_units
        units = widths[0] * base**2
        to_map = nn.Unflatten(1, (widths[0], base, base))
        self.body.append(nn.Linear(inputs, units, bias=bias))
        if num_classes:  # a gain for each channel, not for each of 50 times as many units
            self.body.extend([to_map, *norm(kind, widths[0], num_classes=num_classes), nn.ReLU(inplace=True)])
        else:
            self.body.extend([*norm(kind, units, dense=True), nn.ReLU(inplace=True), to_map])
        for _ in range(model.base_convs):
            self.body.append(nn.Conv2d(widths[0], widths[0], 3, padding=1, bias=bias))
            self.body.extend([*norm(kind, widths[0], num_classes=num_classes), nn.ReLU(inplace=True)])
        for wide, narrow in pairwise(widths):
            self.body.extend(upsample(model.upsample, wide, narrow, bias=bias, fast=fast))
            self.body.extend(norm(kind, narrow, num_classes=num_classes))
            self.body.append(nn.ReLU(inplace=True))
        self.body.extend(upsample(model.upsample, model.width, shape.channels, images=True, fast=fast))
        self.body.append(nn.Tanh())
        initialise(self, model.init)
        self.to(memory_format=memory_format(fast=fast))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        if self.labelled is not None:
            latents = self.labelled(latents, labels)
        return self.body(latents, labels)  # type: ignore[no-any-return]


class DCGANDiscriminator(Discriminator):
    """``depth`` strided convolutions, normalised but the first, ``base_convs`` 3x3 ones, then dense to one logit."""

    def __init__(self, model: DCGAN, shape: Shape) -> None:
        super().__init__()
        own, depth, fast = model.discriminator, stages(model.depth, shape.resolution), shape.fast
        conditioning = (own.conditioning or "projection") if shape.num_classes else None
        width = own.width or model.width
        widths = [width * 2**i for i in range(depth)]
        bias = own.norm in ("none", "spectral")
        concat = conditioning == "concat"
        self.labelled = LabelledImages(shape.num_classes, resolution=shape.resolution) if concat else None
        self.body = nn.Sequential(from_images(shape.channels + int(concat), width, fast=fast))
        self.body.extend(_activation(own.dropout))
        for narrow, wide in pairwise(widths):
            self.body.append(down(narrow, wide, bias=bias, fast=fast))
            self.body.extend([*norm(own.norm, wide), *_activation(own.dropout)])
        for _ in range(model.base_convs):
            self.body.append(nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=bias))
            self.body.extend([*norm(own.norm, widths[-1]), *_activation(own.dropout)])
        if own.minibatch_stddev:
            self.body.append(MinibatchStddev())
        self.body.append(flatten(fast=fast))
        num_features = (widths[-1] + int(own.minibatch_stddev)) * (shape.resolution // 2**depth) ** 2
        if model.dense_units is not None:
            self.body.append(nn.Linear(num_features, model.dense_units, bias=bias))
            self.body.extend([*norm(own.norm, model.dense_units, dense=True), *_activation(own.dropout)])
            num_features = model.dense_units
        self.head = Head(num_features, num_classes=shape.num_classes, conditioning=conditioning)
        initialise(self, model.init)
        if own.norm == "spectral":
            normalise_spectrally(self.body, self.head)
        self.to(memory_format=memory_format(fast=fast))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        if self.labelled is not None:
            images = self.labelled(images, labels)
        return self.head(self.body(images), labels)  # type: ignore[no-any-return]


def _activation(dropout: float) -> list[nn.Module]:
    """In place, as all of these networks': a new tensor takes 3 to 6 times as long in a step (experiments/speed)."""
    return [nn.LeakyReLU(0.2, inplace=True), *([Dropout(dropout)] if dropout else [])]


MODEL = Pair(DCGANGenerator, packed(DCGANDiscriminator))
