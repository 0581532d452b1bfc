"""What there is to see of a run's health: numbers that a step has anyway, and a look at fixed images and samples.

Looking changes nothing: buffers are put back, and no stream that training draws from is touched.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.data.images import to_float, to_uint8
from dcgan.data.latents import Draws, layers_draw_from, random_seed, random_stream, sample_latents
from dcgan.data.module import ImageData, InMemory
from dcgan.features.spaces import FeatureSpace
from dcgan.metrics.classes import histogram
from dcgan.metrics.reference import subset
from dcgan.metrics.shape import mean_distance, shape_of
from dcgan.models.base import class_of_samples
from dcgan.runs.dashboard import STEPPED, gradient_norm
from dcgan.training.gan import GAN
from dcgan.training.objective import Outcome

NUMBER = 64  # images of each kind, and samples
FEWEST = 12  # held-out images: fewer say by chance that a discriminator knows others better
MOST_CLASSES = 20  # more than that cannot be counted on so few samples
OF_STEPS = (
    *("logit_real", "logit_fake", "accuracy_real", "accuracy_fake", "ordered"),
    *("loss_discriminator", "loss_generator"),
)


@dataclass(frozen=True)
class Signals:
    """One look, at step ``step``. NaN where something is not finite, None where there is no such thing."""

    step: int
    # means over the steps since the last look, of their batches
    logit_real: float
    logit_fake: float
    accuracy_real: float  # the share of real logits above 0
    accuracy_fake: float  # of fake logits not above 0
    ordered: (
        float  # the share of pairs in which the real image's logit is above the fake one's: for any loss; 0.5 is blind
    )
    loss_discriminator: float
    loss_generator: float
    # of the step looked at, before clipping
    grad_norm_discriminator: float | None
    grad_norm_generator: float | None
    # the discriminator's mean logits, now
    logit_seen: float  # of images that it trains on
    logit_held_out: float | None  # of images that it does not
    logit_sampled: float  # of the samples below
    recognised: (
        float | None
    )  # the share of pairs in which the seen image's logit is above the held-out one's; 0.5: none
    # samples of the live generator from fixed latents, now
    rank: float  # effective rank, 1 to N - 1
    spread: float  # root mean square distance from their mean, over that of as many real images
    moved: float | None  # root mean square change since the last look, over the same
    returned: (
        float | None
    )  # change since two looks ago over that since the last: 1.4 for a random walk, near 0 for a swing
    mean: float  # mean pixel, less that of real images
    saturated: float  # share of pixels beyond +-0.99, less that of real images
    classes: tuple[int, ...] | None  # how many fall into each class, by the classifier that evaluates the run
    obeyed: float | None  # the share of samples that are of the class they were asked for, by the same; if conditional
    distance: float | None  # ``mean_distance`` of the samples' features from the real images', of the same
    fid: float | None  # of the run's latest evaluation
    rate: float = 1.0  # the schedule's factor of the generator's rate: below 1 in a warm-up, and as it falls


@dataclass(frozen=True)
class Reference:
    """The same of as many real images, to compare with."""

    number: int
    rank: float
    spread: float  # root mean square distance from their mean, of pixels in [-1, 1]
    mean: float
    saturated: float
    classes: tuple[int, ...] | None


class Probe:
    """Looks at a run: ``after_step`` in each step, which costs nothing, and ``look`` every so many.

    Both before a checkpoint is saved.

    Every process looks at the same, for batch norm may wait for the others; what a step says is of its own share.

    Args:
        space: whose classifier counts classes, if it has one; None: classes are not counted.
        seed: of the run: the latents are those of its own samples.
    """

    def __init__(self, data: ImageData, *, seed: int, pack: int = 1, space: FeatureSpace | None = None) -> None:
        self.seed, self.space = seed, space
        seen = _some(data.split("train"), pack=pack)
        assert seen is not None  # check_batch has seen to it
        self._seen, self._held_out = seen, _some(data.split("test"), pack=pack, least=FEWEST)
        self.number = len(self._seen.labels)
        # As many as are held out: with batch norm a discriminator judges more of them otherwise than fewer.
        self._known = _first(seen, len(self._held_out.labels)) if self._held_out else seen
        real = to_float(self._seen.images)
        shape = shape_of(real)
        self._real = self._extract(real, torch.device("cpu"))
        self.reference = Reference(self.number, *shape, classes=_counts(self._class_logits(self._real)))
        self._steps: list[Mapping[str, Outcome]] = []
        self._before: list[list[float]] = []  # of steps before a resume
        self._norms: dict[str, Tensor] = {}
        self._latents: Tensor | None = None
        self._samples: list[Tensor] = []  # of the last two looks, the latest first

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know to say the same: the steps since the last look, and the samples it compares."""
        return {"steps": self._rows(), "samples": list(self._samples)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._steps, self._before = [], [list(row) for row in state_dict["steps"]]
        self._samples = list(state_dict["samples"])

    def before_update(self, trainer: Trainer, optimizer: Optimizer) -> None:
        """Keep a network's gradient norm, in a step that is looked at: called as ``on_before_optimizer_step`` is."""
        self._norms[STEPPED[trainer.optimizers.index(optimizer)]] = gradient_norm(trainer, optimizer)

    def after_step(self, outcomes: Mapping[str, Outcome]) -> None:
        """Keep what came of a step. Nothing is computed, so nobody waits for the device."""
        self._steps.append({name: outcome._replace(terms={}) for name, outcome in outcomes.items()})

    @torch.no_grad()
    def look(self, trainer: Trainer, gan: GAN, *, fid: float | None = None, count: bool = True) -> Signals:
        """What there is to see now, in training; the means are of the steps since the last call.

        Args:
            count: the classes too, which takes as long again.
        """
        with _without_trace(gan, self.seed), trainer.precision_plugin.forward_context():
            samples = self._draw(gan)
            seen, sampled, *held_out = [
                self._judged(gan, trainer.precision_plugin.convert_input(images), labels)
                for images, labels in self._images(gan, samples)
            ]
        images = samples.float().cpu()
        shape = shape_of(images)
        moved, returned = self._change(images)
        features = self._extract(images, gan.device) if count else None
        classes = self._class_logits(features)
        signals = Signals(
            trainer.global_step,
            **self._of_steps(),
            logit_seen=float(seen.mean()),
            logit_held_out=_maybe(held_out[0].mean() if held_out else None),
            logit_sampled=float(sampled.mean()),
            recognised=_ordered(seen, held_out[0]) if held_out else None,
            rank=shape.rank,
            spread=shape.spread / self.reference.spread if self.reference.spread else 1.0,
            moved=moved,
            returned=returned,
            mean=shape.mean - self.reference.mean,
            saturated=shape.saturated - self.reference.saturated,
            classes=_counts(classes),
            obeyed=_obeyed(classes, class_of_samples(self.number, num_classes=gan.generator.num_classes)),
            distance=None if features is None or self._real is None else mean_distance(features, self._real),
            fid=fid,
            rate=_rate(trainer),
        )
        self._steps, self._before, self._norms = [], [], {}
        return signals

    def _draw(self, gan: GAN) -> Tensor:
        """As training draws, in its mode; the generator's latents are those of the run's own grids."""
        if self._latents is None:
            latents = sample_latents(seed=self.seed, n=self.number, latent_dim=gan.generator.latent_dim)
            self._latents = latents.to(gan.device)
        labels = class_of_samples(self.number, num_classes=gan.generator.num_classes)
        return gan.generator(self._latents, None if labels is None else labels.to(gan.device))  # type: ignore[no-any-return]

    def _images(self, gan: GAN, samples: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """What the discriminator is shown: images that it trains on, samples, and held-out images if there are."""
        num_classes = gan.generator.num_classes
        yield to_float(self._known.images.to(gan.device)), self._known.labels
        yield samples, class_of_samples(self.number, num_classes=num_classes)
        if self._held_out is not None:
            yield to_float(self._held_out.images.to(gan.device)), self._held_out.labels

    def _judged(self, gan: GAN, images: Tensor, labels: Tensor | None) -> Tensor:
        given = labels.to(gan.device) if labels is not None and gan.generator.num_classes else None
        images = images.contiguous(memory_format=gan.memory_format)
        return gan.discriminator(images, given).logits.float().cpu()  # type: ignore[no-any-return]

    def _extract(self, images: Tensor, device: torch.device) -> Tensor | None:
        """Features, if a classifier goes on from them; of other spaces they would take too long."""
        if self.space is None or self.space.head is None or not images.isfinite().all():
            return None
        return self.space.extract(to_uint8(images), device=device)

    def _class_logits(self, features: Tensor | None) -> Tensor | None:
        if self.space is None or features is None:
            return None
        logits = self.space.logits(features)
        assert logits is not None
        return logits if logits.shape[1] <= MOST_CLASSES else None

    def _change(self, images: Tensor) -> tuple[float | None, float | None]:
        """``moved`` and ``returned``. The samples are kept as float16, for a checkpoint's sake."""
        images = images.half()
        distances = [_distance(images.float(), before.float()) for before in self._samples]
        self._samples = [images, *self._samples[:1]]
        moved = distances[0] / self.reference.spread if distances and self.reference.spread else None
        return moved, distances[1] / distances[0] if len(distances) > 1 and distances[0] else None

    def _of_steps(self) -> dict[str, Any]:
        rows = self._rows()
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)] if rows else [math.nan] * len(OF_STEPS)
        norms = {f"grad_norm_{name}": _maybe(self._norms.get(name)) for name in STEPPED}
        return dict(zip(OF_STEPS, means, strict=True)) | norms

    def _rows(self) -> list[list[float]]:
        """A row of ``OF_STEPS`` for each step since the last look: here the device is waited for."""
        rows = torch.stack([_row(step) for step in self._steps]).tolist() if self._steps else []
        return [*self._before, *rows]


def _row(outcomes: Mapping[str, Outcome]) -> Tensor:
    judged = outcomes["discriminator"]
    real, fake = judged.real.float(), judged.fake.float()
    parts = [real, fake, real > 0, fake <= 0, (real > fake) + 0.5 * (real == fake)]
    losses = [outcomes[name].loss.float() for name in STEPPED]
    return torch.stack([*(part.float().mean() for part in parts), *losses])


def _counts(logits: Tensor | None) -> tuple[int, ...] | None:
    return None if logits is None else tuple(histogram(logits).tolist())


def _obeyed(logits: Tensor | None, labels: Tensor | None) -> float | None:
    return None if logits is None or labels is None else float((logits.argmax(1) == labels).float().mean())


def _ordered(above: Tensor, below: Tensor) -> float:
    """The share of all pairs in which ``above`` is; ties count half: the area under the ROC curve."""
    sign = (above[:, None] - below[None]).sign()  # of NaN it is NaN
    return float(0.5 + 0.5 * sign.mean())


def _distance(images: Tensor, others: Tensor) -> float:
    return float((images - others).square().mean().sqrt())


def _rate(trainer: Trainer) -> float:
    _, generator = trainer.optimizers
    group = generator.param_groups[0]
    return float(group["lr"]) / float(group["initial_lr"])


def _maybe(value: Tensor | None) -> float | None:
    return None if value is None else float(value)


def _first(some: InMemory, number: int) -> InMemory:
    return InMemory(some.images[:number], some.labels[:number])


def _some(split: InMemory, *, pack: int, least: int = 2) -> InMemory | None:
    """Images from all over a split, whole packs of them; None: fewer than ``least``, or too few for a batch."""
    number = min(NUMBER, len(split.labels)) // pack * pack
    return InMemory(*split.gather(subset(len(split.labels), number))) if number >= max(least, 2 * pack) else None


@contextmanager
def _without_trace(gan: GAN, seed: int) -> Iterator[None]:
    """Both networks in the mode that they train in; buffers and random states are afterwards what they were.

    Batch norm's statistics and the vectors of spectral norm change in a forward pass. Layers that draw at random draw
    the same in every look.
    """
    networks: tuple[nn.Module, ...] = (gan.generator, gan.discriminator)
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    draws = Draws(random_stream(seed, "looks"), rank=0, world=1, device=gan.device)
    devices = [gan.device] if gan.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), layers_draw_from(draws):
        streams = [torch.default_generator, *(torch.cuda.default_generators[one.index] for one in devices)]
        for stream in streams:  # torch.manual_seed takes 1 ms, to note who called it
            stream.manual_seed(random_seed(seed, "looks"))
        try:
            yield
        finally:
            for buffer, value in buffers:
                buffer.copy_(value)
