"""Mistakes that no setting makes: what a person could have in a plug-in of their own, or in a change to the library.

``with broken("<name>"):`` puts one in; afterwards the library is as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.module import ImageData
from dcgan.models import MODELS
from dcgan.models.base import Discriminator, Generator, Pair, Verdict
from dcgan.training.gan import GAN
from dcgan.training.losses import LOSSES, Hinge, NonSaturating
from dcgan.training.objective import Objective, Outcome, Round
from dcgan.training.player import Player

Undo = Callable[[], None]


@contextmanager
def broken(name: str | None) -> Iterator[None]:
    """The mistake is there inside; None: there is none."""
    undo = BUGS[name]() if name else lambda: None
    try:
        yield
    finally:
        undo()


def _patched(owner: Any, name: str, value: Any) -> Undo:
    before = owner.__dict__[name]
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def _replaced(table: dict[str, Any], changed: dict[str, Any]) -> Undo:
    before = dict(table)
    table.update(changed)
    return lambda: (table.clear(), table.update(before))[0]


def _wrapped(generator: Any = None, discriminator: Any = None) -> Undo:
    """Every model's networks, built and then put into another."""

    def wrap(pair: Pair) -> Pair:
        make, judge = pair
        return Pair(
            (lambda model, shape: generator(make(model, shape))) if generator else make,
            (lambda model, shape: discriminator(judge(model, shape))) if discriminator else judge,
        )

    return _replaced(MODELS, {name: wrap(pair) for name, pair in MODELS.items()})


# --- losses


class GeneratorSign(NonSaturating):
    """The generator is told to be found out."""

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake).mean()


class DiscriminatorSign(NonSaturating):
    """The discriminator is told to be wrong, as one is whose real and fake are exchanged; the generator is not told."""

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        return super().discriminator(real=fake, fake=real)


class HingeSign(Hinge):
    """The generator is told to be found out, with another loss."""

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean()


def _loss(kind: type, *, name: str = "non_saturating") -> Callable[[], Undo]:
    return lambda: _replaced(LOSSES, {name: kind})


# --- networks


class OfGenerator(Generator):
    """A generator around another."""

    def __init__(self, inner: Generator) -> None:
        super().__init__(latent_dim=inner.latent_dim, num_classes=inner.num_classes)
        self.inner = inner


class Sigmoid(OfGenerator):
    """Images in [0, 1], as many generators make them."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return 0.5 + 0.5 * self.inner(latents, labels)


class Bytes(OfGenerator):
    """Images in [0, 255]."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return 127.5 + 127.5 * self.inner(latents, labels)


class Deaf(OfGenerator):
    """The latents are scaled away, as by a normalisation at the wrong place: one image for each label."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.inner(latents * 0.01, labels)


class OneLatent(OfGenerator):
    """One latent vector for all of a batch, as of a draw outside the loop over it."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.inner(latents[:1].expand_as(latents), labels)


class Half(OfGenerator):
    """Images in [-0.5, 0.5]."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return 0.5 * self.inner(latents, labels)


class SaturatedTanh(OfGenerator):
    """Behind the last layer a bias that was set far above zero: white, with hardly a gradient."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(self.inner(latents, labels) + 6.0)


class DeadReLU(nn.Module):
    """A ReLU behind a bias that was set far below zero."""

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features - 8.0)


def _dead_generator(inner: Generator) -> Generator:
    layers = inner.body
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU):
            layers[i] = DeadReLU()
    return inner


class DeadDiscriminator(Discriminator):
    """All features are negative, and then a ReLU."""

    def __init__(self, inner: Discriminator) -> None:
        super().__init__()
        self.inner = inner
        inner.body.append(DeadReLU())

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        return self.inner(images, labels)


class PositiveDiscriminator(Discriminator):
    """A ReLU behind the last layer, which belongs behind the others: logits below zero are all the same."""

    def __init__(self, inner: Discriminator) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        verdict = self.inner(images, labels)
        return verdict._replace(logits=F.relu(verdict.logits))


# --- data


def _real_in(low: float, high: float) -> Callable[[], Undo]:
    """Real images in another range than -1 to 1."""

    def to_device(self: ImageData, batch: Tensor, device: torch.device, dataloader_idx: int) -> Any:
        images, labels = self.split("train").gather(batch)
        return images.float() / (255 / (high - low)) + low, labels  # as these traces were made, to the bit

    return lambda: _patched(ImageData, "transfer_batch_to_device", to_device)


def _shuffled_to_device(self: ImageData, batch: Tensor, device: torch.device, dataloader_idx: int) -> Any:
    images, labels = self.split("train").gather(batch)
    return images.float().div_(127.5).sub_(1), labels.roll(7)  # images were shuffled, labels with another order


def _random_to_device(self: ImageData, batch: Tensor, device: torch.device, dataloader_idx: int) -> Any:
    images, labels = self.split("train").gather(batch)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(int(batch.sum())))
    return images.float().div_(127.5).sub_(1), labels[order]


# --- the step


def _mixed(self: Objective, discriminator: Discriminator, given: Round, *, fake: Tensor) -> Outcome:
    """Real and fake images in one batch through the discriminator, whose batch norm then takes them together."""
    both = torch.cat([given.real, fake])
    labels = None if given.labels is None else torch.cat([given.labels, given.labels])
    real_logits, fake_logits = discriminator(both, labels).logits.float().chunk(2)
    return Outcome(self.loss.discriminator(real=real_logits, fake=fake_logits), real_logits, fake_logits, {})


def _stale(self: Objective, discriminator: Discriminator, given: Round, *, fake: Tensor) -> Outcome:
    """The generator's half on detached fakes: no gradient ever reaches it."""
    logits = discriminator(fake.detach(), given.labels).logits.float()
    loss = self.loss.generator(real=logits[:0], fake=logits)
    return Outcome(loss + 0.0 * fake.sum(), logits[:0], logits, {})


def _rounding(kind: torch.dtype) -> Callable[[], Undo]:
    """Weights that are kept in a narrower type, without a float32 copy that small steps add up in."""

    @torch.no_grad()
    def rounded(self: Player) -> None:
        for parameter in self.network.parameters():
            parameter.copy_(parameter.to(kind).float())

    return lambda: _patched(Player, "clip_weights", rounded)


# --- what goes wrong halfway, in a run that has learned


def _halfway(change: Callable[[GAN, Any], Any]) -> Callable[[], Undo]:
    """``change`` is asked for the batch of every step from the middle of the run on."""
    before = GAN.__dict__["training_step"]

    def step(self: GAN, batch: Any, batch_idx: int) -> Any:
        if self.global_step >= self.trainer.max_steps // 2:
            batch = change(self, batch)
        return before(self, batch, batch_idx)

    return lambda: _patched(GAN, "training_step", step)


def _rate(index: int, factor: float) -> Callable[[GAN, Any], Any]:
    def change(gan: GAN, batch: Any) -> Any:
        if not getattr(gan, "changed", False):
            gan.changed = True
            for group in gan.trainer.optimizers[index].param_groups:
                group["initial_lr"], group["lr"] = group["initial_lr"] * factor, group["lr"] * factor
        return batch

    return change


def _ones(gan: GAN, batch: Any) -> Any:
    """Nothing but the digit 1 comes from the loader."""
    images, labels = batch
    rows = (labels == 1).nonzero().squeeze(1)
    rows = rows[torch.arange(len(labels)) % len(rows)] if len(rows) else torch.arange(len(labels))
    return images[rows], labels[rows]


def _noise(gan: GAN, batch: Any) -> Any:
    """The loader's images are scrambled: all pixels of an image in another order."""
    images, labels = batch
    order = torch.randperm(images[0].numel(), generator=torch.Generator().manual_seed(gan.global_step))
    return images.flatten(1)[:, order].view_as(images), labels


def _narrow(gan: GAN, batch: Any) -> Any:
    """Latents of a fiftieth of their size."""
    if not getattr(gan, "changed", False):
        gan.changed = True
        gan.generator.register_forward_pre_hook(lambda _, given: (given[0] * 0.02, *given[1:]))
    return batch


BUGS: dict[str, Callable[[], Undo]] = {
    "sign of G's loss": _loss(GeneratorSign),
    "sign of D's loss": _loss(DiscriminatorSign),
    "fake in 0..1": lambda: _wrapped(generator=Sigmoid),
    "fake in 0..255": lambda: _wrapped(generator=Bytes),
    "latents scaled away": lambda: _wrapped(generator=Deaf),
    "dead ReLU in G": lambda: _wrapped(generator=_dead_generator),
    "dead ReLU in D": lambda: _wrapped(discriminator=DeadDiscriminator),
    "real in 0..255": _real_in(0, 255),
    "real in 0..1": _real_in(0, 1),
    "labels shuffled": lambda: _patched(ImageData, "transfer_batch_to_device", _shuffled_to_device),
    "batch norm of both": lambda: _patched(Objective, "discriminator", _mixed),
    "float8 weights": _rounding(torch.float8_e4m3fn),
    "bfloat16 weights": _rounding(torch.bfloat16),
    "G's rate x 30 halfway": _halfway(_rate(1, 30.0)),
    "D's rate x 30 halfway": _halfway(_rate(0, 30.0)),
    "G's rate x 1000 halfway": _halfway(_rate(1, 1000.0)),
    "D's rate x 1000 halfway": _halfway(_rate(0, 1000.0)),
    "real in 0..255 halfway": _halfway(lambda gan, batch: (127.5 * (batch[0] + 1), batch[1])),
    "pixels scrambled halfway": _halfway(_noise),
    "D stops halfway": _halfway(_rate(0, 1e-6)),
    "only ones halfway": _halfway(_ones),
    "narrow latents halfway": _halfway(_narrow),
    "sign of G's hinge loss": _loss(HingeSign, name="hinge"),
    "one latent for a batch": lambda: _wrapped(generator=OneLatent),
    "fake in -0.5..0.5": lambda: _wrapped(generator=Half),
    "saturated tanh": lambda: _wrapped(generator=SaturatedTanh),
    "ReLU on D's logits": lambda: _wrapped(discriminator=PositiveDiscriminator),
    "real in -1..0": _real_in(-1, 0),
    "labels at random": lambda: _patched(ImageData, "transfer_batch_to_device", _random_to_device),
    "float8 weights, short": _rounding(torch.float8_e5m2),
    "fakes detached": lambda: _patched(Objective, "generator", _stale),
}
