"""What every model of this package agrees on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.config.catalogue import facts_of
from dcgan.config.schema import TrainConfig
from dcgan.data.images import to_uint8
from dcgan.data.latents import sample_latents
from dcgan.models.precision import full_float32

# Always this many at once, padded: a float32 matrix product rounds differently at other sizes.
SAMPLING_BATCH, SAMPLING_BATCH_OF_GPUS = 100, 1000


class Verdict(NamedTuple):
    """What a discriminator says of N images. ``sigmoid(logits)`` is the probability of being real."""

    logits: Tensor  # (N,), or one for each pack of images
    class_logits: Tensor | None = None  # (N, num_classes), auxiliary classifier only


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

    def sample(self, *, n: int, seed: int, labels: Tensor | Sequence[int] | int | None = None) -> Tensor:
        """The first ``n`` samples of ``seed``: uint8 (n, C, H, W), on the CPU.

        Args:
            labels: whole numbers (n,), or one for all, of a conditional generator; None: as ``class_of_samples`` says.

        Raises:
            ValueError: ``n`` is below 1, ``seed`` not in [0, 2**64), or the labels are not of its classes.
        """
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"n={n!r}: must be a whole number, 1 or more")
        if not isinstance(seed, Integral) or not 0 <= seed < 2**64:
            raise ValueError(f"seed={seed!r}: must be a whole number from 0 to 2**64 - 1")
        n, seed = int(n), int(seed)  # of NumPy's, which overflow
        latents = sample_latents(seed=seed, n=n, latent_dim=self.latent_dim)
        if labels is None:
            return self.draw(latents, class_of_samples(n, num_classes=self.num_classes))
        return self.draw(latents, self._classes(labels, n))

    def _classes(self, labels: Any, n: int) -> Tensor:
        try:
            numbers = torch.as_tensor(labels)
        except (TypeError, ValueError, RuntimeError):  # words, or lists of other lengths
            raise ValueError(f"labels: must be {n} whole numbers, or one for all images; {labels!r} is not") from None
        whole = not numbers.is_floating_point() and not numbers.is_complex() and numbers.dtype != torch.bool
        if not self.num_classes:
            raise ValueError("labels: this generator takes none, for it is not conditional; leave them out")
        if not whole or tuple(numbers.shape) not in ((), (n,)):
            kind = f"{str(numbers.dtype).removeprefix('torch.')} {tuple(numbers.shape)}"
            raise ValueError(f"labels: must be {n} whole numbers, or one for all images; these are {kind}")
        if numbers.min() < 0 or numbers.max() >= self.num_classes:
            strange = int(numbers.min() if numbers.min() < 0 else numbers.max())
            raise ValueError(f"labels: {strange} is none of the classes, 0 to {self.num_classes - 1}")
        return numbers.long().expand(n)

    @torch.inference_mode()
    def draw(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images of latents (n, latent_dim) of any origin: uint8 (n, C, H, W), on the CPU.

        In float32, evaluation mode and padded batches of one size, so that an image does not depend on the others.

        Args:
            labels: of a conditional generator, one for each latent, as ``LabelEmbedding`` takes them.

        Raises:
            ValueError: there are more or fewer labels than latents.
        """
        if labels is not None and len(labels) != len(latents):
            raise ValueError(f"labels: {len(labels)} for {len(latents)} latents; give one for each")
        n, device = len(latents), next(self.parameters(), torch.empty(0)).device
        at_once = SAMPLING_BATCH if device.type == "cpu" else SAMPLING_BATCH_OF_GPUS
        batches = _padded(latents, at_once).to(device).split(at_once)
        labelled = None if labels is None else _padded(labels, at_once).to(device).split(at_once)
        with full_float32(device.type), _evaluating(self):
            images = [to_uint8(self(batch, labelled[i] if labelled else None)).cpu() for i, batch in enumerate(batches)]
        return torch.cat(images)[:n]


def _padded(rows: Tensor, multiple: int) -> Tensor:
    return F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, -len(rows) % multiple))


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


class Discriminator(nn.Module):
    """Images (N, C, H, W) in [-1, 1] -> Verdict."""

    pack = 1  # images that are judged as one

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """Judge each image."""
        raise NotImplementedError


def class_of_samples(n: int, *, num_classes: int) -> Tensor | None:
    """Labels (n,) of samples that nobody chose labels for: sample i is of class i % num_classes.

    Classes are even then, where MNIST's are from 9.0 to 11.2 % of its images.
    """
    return torch.arange(n) % num_classes if num_classes else None


class Shape(NamedTuple):
    """What a model is built for, beside its own keys."""

    channels: int
    resolution: int
    num_classes: int = 0  # 0: it takes no labels
    fast: bool = True  # the CPU's quicker forms of the same function (``fast.py``)

    @classmethod
    def of(cls, config: TrainConfig) -> "Shape":
        """That of a configuration."""
        data, conditional = config.data, getattr(config.model, "conditional", False)
        num_classes = facts_of(data).num_classes or 0 if conditional else 0
        return cls(data.channels, data.resolution, num_classes, config.fast)


class Pair(NamedTuple):
    """How a model makes its two networks: of the dataclass of its keys, and a ``Shape``."""

    generator: Callable[[Any, Shape], Generator]
    discriminator: Callable[[Any, Shape], Discriminator]
