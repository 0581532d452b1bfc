"""The fully connected GAN, in the style of Goodfellow et al. 2014: no convolution anywhere."""

import math

from torch import Tensor, nn

from dcgan.config.options import Model
from dcgan.models.base import Discriminator, Generator, Pair, Shape, Verdict
from dcgan.models.conditioning import EMBEDDING_DIM, Head, LabelledImages, LabelledLatents
from dcgan.models.layers import Dropout, MinibatchStddev, initialise
from dcgan.models.norms import Labelled, norm, normalise_spectrally
from dcgan.models.packing import packed

DEPTH = 3  # hidden layers: with width 256, 256-512-1024 against 512-256


class MLPGenerator(Generator):
    """``depth`` hidden layers, ``width`` units in the first, doubled in each next; norm, LeakyReLU, tanh."""

    def __init__(self, model: Model, shape: Shape) -> None:
        super().__init__(latent_dim=model.latent_dim, num_classes=shape.num_classes)
        kind = model.generator.norm
        conditioning = (model.generator.conditioning or "concat") if shape.num_classes else None
        self.labelled = LabelledLatents(shape.num_classes) if conditioning == "concat" else None
        self.body = Labelled()
        num_classes = shape.num_classes if conditioning == "norm" else 0
        inputs = model.latent_dim + (EMBEDDING_DIM if self.labelled else 0)
        for outputs in (model.width * 2**i for i in range(model.depth or DEPTH)):
            self.body.append(nn.Linear(inputs, outputs, bias=kind == "none"))
            self.body.extend(norm(kind, outputs, dense=True, num_classes=num_classes))
            self.body.append(nn.LeakyReLU(0.2))
            inputs = outputs
        images = (shape.channels, shape.resolution, shape.resolution)
        self.body.append(nn.Linear(inputs, math.prod(images)))
        self.body.append(nn.Tanh())
        self.body.append(nn.Unflatten(1, images))
        initialise(self, model.init)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, latent_dim) -> (N, C, H, W) in [-1, 1]."""
        if self.labelled is not None:
            latents = self.labelled(latents, labels)
        return self.body(latents, labels)  # type: ignore[no-any-return]


class MLPDiscriminator(Discriminator):
    """``depth - 1`` hidden layers, twice ``width`` units in the first and half as many in each next; LeakyReLU."""

    def __init__(self, model: Model, shape: Shape) -> None:
        super().__init__()
        own = model.discriminator
        conditioning = (own.conditioning or "projection") if shape.num_classes else None
        concat = conditioning == "concat"
        self.labelled = LabelledImages(shape.num_classes, resolution=shape.resolution) if concat else None
        self.body = nn.Sequential(nn.Flatten())
        inputs = (shape.channels + int(concat)) * shape.resolution**2
        depth, width = model.depth or DEPTH, own.width or model.width
        for outputs in (max(1, 2 * width // 2**i) for i in range(max(1, depth - 1))):
            self.body.append(nn.Linear(inputs, outputs, bias=own.norm in ("none", "spectral")))
            self.body.extend([*norm(own.norm, outputs, dense=True), nn.LeakyReLU(0.2)])
            if own.dropout:
                self.body.append(Dropout(own.dropout))
            inputs = outputs
        if own.minibatch_stddev:
            self.body.append(MinibatchStddev())
        num_features = inputs + int(own.minibatch_stddev)
        self.head = Head(num_features, num_classes=shape.num_classes, conditioning=conditioning)
        initialise(self, model.init)
        if own.norm == "spectral":
            normalise_spectrally(self.body, self.head)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """(N, C, H, W) in [-1, 1] -> logits (N,)."""
        if self.labelled is not None:
            images = self.labelled(images, labels)
        return self.head(self.body(images), labels)  # type: ignore[no-any-return]


MODEL = Pair(MLPGenerator, packed(MLPDiscriminator))
