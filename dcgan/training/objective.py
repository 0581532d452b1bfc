"""What each network minimises in one of its updates: the adversarial loss and what is added to it."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.latents import Draws
from dcgan.models.base import Discriminator, Verdict
from dcgan.models.precision import without_tf32
from dcgan.training.augment import Augment
from dcgan.training.losses import Loss
from dcgan.training.penalties import SLOPE_AT, Judged, Penalty, differentiable


class Round(NamedTuple):
    """What travels together through an update, beside the fakes."""

    real: Tensor  # images (N, C, H, W) in [-1, 1]
    labels: Tensor | None  # (N,), of the fakes too
    draws: Draws
    step: int  # the generator's


class Outcome(NamedTuple):
    """The scalar to minimise, what it is made of, and the float32 logits (N,) that led to it."""

    loss: Tensor  # adversarial
    real: Tensor
    fake: Tensor
    terms: dict[str, Tensor]  # added to it, by name, as weighted
    class_accuracy: Tensor | None = None  # of an auxiliary classifier on generated images
    penalty: Tensor | None = None  # as weighted, but not multiplied where it is added only every so many steps

    @property
    def total(self) -> Tensor:
        """The sum."""
        return sum(self.terms.values(), self.loss)

    def detached(self) -> "Outcome":
        """The same numbers, without a graph."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        return self._replace(loss=self.loss.detach(), real=self.real.detach(), fake=self.fake.detach(), terms=terms)


@dataclass
class Objective:
    """The adversarial loss, and everything optional about it.

    Args:
        label_flipping: share of the pairs of a real and a fake image whose labels are exchanged for the discriminator.
        gamma: factor of ``penalty``.
        penalty_every: the penalty is added every so many generator steps, as many times as large (Karras et al. 2020,
            StyleGAN2, "lazy regularization").
        augment: what the discriminator sees instead of the images themselves.
        consistency: factor of the squared difference between the logits of an image and of its augmentation, real and
            fake (Zhao et al. 2021, "Improved consistency regularization for GANs", balanced; there the adversarial loss
            is of the images themselves, here of what ``augment`` made of them).
    """

    loss: Loss
    label_flipping: float = 0.0
    penalty: Penalty | None = None
    gamma: float = 0.0
    penalty_every: int = 1
    augment: Augment | None = None
    consistency: float = 0.0

    def discriminator(self, discriminator: Discriminator, given: Round, *, fake: Tensor) -> Outcome:
        """Of real and fake images (N, C, H, W), the fake ones without a graph."""
        real, labels = given.real, given.labels
        penalised = self.penalty is not None and (given.step + 1) % self.penalty_every == 0
        shared = self._shared_with_penalty(real) if penalised else ()
        augmented = [self._augmented(images, given) for images in (real, fake)]
        seen = [differentiable(images) if i in shared else images for i, images in enumerate(augmented)]
        with without_tf32() if shared else nullcontext():  # as penalties are computed
            verdicts = [discriminator(images, labels) for images in seen]
        real_logits, fake_logits = (verdict.logits.float() for verdict in verdicts)
        loss = self.loss.discriminator(**self._flipped(real=real_logits, fake=fake_logits, draws=given.draws))
        terms, shown = {}, None
        if labels is not None and verdicts[0].class_logits is not None:
            terms["classes"] = _class_loss(verdicts[0], labels)
        if self.penalty is not None and penalised:
            judge = Judged(discriminator, *((seen[i], verdicts[i]) for i in shared)) if shared else discriminator
            penalty = self.penalty(judge, real=seen[0], fake=seen[1], labels=labels, draws=given.draws)
            terms["penalty"] = self.gamma * self.penalty_every * penalty
            shown = self.gamma * penalty.detach()
        if self.consistency and augmented[0] is not real:  # instance noise may have faded to nothing
            plain = [discriminator(images, labels).logits.float() for images in (real, fake)]
            differences = F.mse_loss(real_logits, plain[0]) + F.mse_loss(fake_logits, plain[1])
            terms["consistency"] = self.consistency * differences
        return Outcome(loss, real=real_logits, fake=fake_logits, terms=terms, penalty=shown)

    def generator(self, discriminator: Discriminator, given: Round, *, fake: Tensor) -> Outcome:
        """Of real and fake images (N, C, H, W), the fake ones with the generator's graph."""
        labels = given.labels
        verdict = discriminator(self._augmented(fake, given), labels)
        fake_logits = verdict.logits.float()
        real_logits = fake_logits[:0]
        if self.loss.relativistic:
            real_logits = discriminator(self._augmented(given.real, given), labels).logits.float()
        loss = self.loss.generator(real=real_logits, fake=fake_logits)
        terms, right = {}, None
        if labels is not None and verdict.class_logits is not None:
            right = (verdict.class_logits.argmax(1) == labels).float().mean()
            terms["classes"] = _class_loss(verdict, labels)
        return Outcome(loss, real=real_logits, fake=fake_logits, terms=terms, class_accuracy=right)

    def _shared_with_penalty(self, images: Tensor) -> tuple[int, ...]:
        """Which verdicts, of real images (0) and of fake ones (1), serve the penalty too: where precision allows."""
        if torch.is_autocast_enabled(images.device.type):
            return ()
        return SLOPE_AT.get(getattr(self.penalty, "func", self.penalty), ())

    def _augmented(self, images: Tensor, given: Round) -> Tensor:
        return images if self.augment is None else self.augment(images, draws=given.draws, step=given.step)

    def _flipped(self, *, real: Tensor, fake: Tensor, draws: Draws) -> dict[str, Tensor]:
        if not self.label_flipping:
            return {"real": real, "fake": fake}
        flip = draws.uniform(len(real)) < self.label_flipping
        return {"real": torch.where(flip, fake, real), "fake": torch.where(flip, real, fake)}


def _class_loss(verdict: Verdict, labels: Tensor) -> Tensor:
    """The other half of AC-GAN's objective (Odena et al. 2017, eq. 3).

    There the discriminator learns it of fake images too, and then agrees with the generator on marks that nobody else
    reads (``experiments/2026-11-30_recipes``: 30 % of the labels where this has 99 %); here of real images alone.
    """
    assert verdict.class_logits is not None
    return F.cross_entropy(verdict.class_logits.float(), labels)
