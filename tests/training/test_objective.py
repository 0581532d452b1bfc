"""What is added to the losses, with a discriminator whose verdicts are known."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.latents import Draws
from dcgan.models.base import Discriminator, Verdict
from dcgan.training.augment import InstanceNoise
from dcgan.training.losses import Hinge, NonSaturating, Relativistic
from dcgan.training.objective import Objective, Outcome, Round
from dcgan.training.penalties import PENALTIES

REAL, FAKE = torch.full((6, 1, 2, 2), 0.5), torch.full((6, 1, 2, 2), -0.25)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


class Mean(Discriminator):
    """Logit = gain * mean of the image; slope |w|^2 = gain^2 / 4 for 4 pixels. Records what it was shown."""

    def __init__(self, *, classes: bool = False) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.classes = classes
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        self.seen.append(images.detach())
        logits = images.mean((1, 2, 3)) * self.gain
        return Verdict(logits, logits[:, None] * torch.tensor([1.0, 0.0, 0.0]) if self.classes else None)


class Sloped(Discriminator):
    """Its slope differs from image to image; counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1))
        self.passes = 0

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        self.passes += 1
        return Verdict(self.body(images).squeeze(1))


def turn(*, seed: int = 0, labels: Tensor | None = None, step: int = 0) -> Round:
    draws = Draws(torch.Generator().manual_seed(seed), rank=0, world=1, device=torch.device("cpu"))
    return Round(REAL, labels, draws, step)


def of_discriminator(objective: Objective, network: Discriminator | None = None, **more: Any) -> Outcome:
    return objective.discriminator(network or Mean(), turn(**more), fake=FAKE)


def of_generator(objective: Objective, network: Discriminator | None = None, **more: Any) -> Outcome:
    return objective.generator(network or Mean(), turn(**more), fake=FAKE)


def test_by_itself_the_loss_is_all_there_is() -> None:
    network = Mean()
    outcome = of_discriminator(Objective(NonSaturating()), network)
    assert outcome.total is outcome.loss
    assert outcome.loss.item() == pytest.approx(
        (F.softplus(torch.tensor(-1.0)) + F.softplus(torch.tensor(-0.5))).item()
    )
    assert len(network.seen) == 2
    assert of_generator(Objective(NonSaturating()), network).loss.item() == pytest.approx(
        F.softplus(torch.tensor(0.5)).item()
    )
    assert len(network.seen) == 3  # no pass over real images that nobody asks for


def test_a_relativistic_loss_sees_both_sides() -> None:
    network = Mean()
    outcome = of_generator(Objective(Relativistic()), network)
    assert outcome.loss.item() == pytest.approx(F.softplus(torch.tensor(1.5)).item())
    assert len(network.seen) == 2


@pytest.mark.parametrize("every", [1, 4])
def test_a_lazy_penalty_has_the_same_mean(every: int) -> None:
    objective = Objective(Hinge(), penalty=PENALTIES["r1"], gamma=3.0, penalty_every=every)
    outcomes = [of_discriminator(objective, step=step) for step in range(16)]
    terms = [outcome.terms for outcome in outcomes]
    added = [term["penalty"].item() for term in terms if "penalty" in term]
    assert len(added) == 16 / every
    assert sum(added) / 16 == pytest.approx(3.0 * 0.5 * 2.0**2 / 4)
    shown = [outcome.penalty.item() for outcome in outcomes if outcome.penalty is not None]
    assert shown == pytest.approx([3.0 * 0.5 * 2.0**2 / 4] * len(added))
    assert "penalty" not in of_generator(objective).terms


def test_augmentation_is_of_real_and_fake_and_of_both_turns() -> None:
    network = Mean()
    objective = Objective(Relativistic(), augment=InstanceNoise(std=1.0, decay_steps=10))
    of_discriminator(objective, network)
    of_generator(objective, network)
    assert len(network.seen) == 4
    for seen in network.seen:
        assert not torch.equal(seen, REAL)
        assert not torch.equal(seen, FAKE)
    assert not torch.equal(network.seen[1], network.seen[2])  # the same fakes, another draw


def test_the_penalty_is_taken_where_the_discriminator_looks() -> None:
    network = Mean()
    objective = Objective(
        Hinge(), augment=InstanceNoise(std=1.0, decay_steps=10), penalty=PENALTIES["r1_r2"], gamma=1.0
    )
    of_discriminator(objective, network)
    assert len(network.seen) == 2  # the penalty takes the slope of the verdicts that are there
    with torch.autocast("cpu", dtype=torch.bfloat16):
        of_discriminator(objective, network)
    real, fake, r1, r2 = network.seen[2:]
    assert torch.equal(real, r1)
    assert torch.equal(fake, r2)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_is_the_same_with_the_verdict_that_is_there(name: str) -> None:
    """Same value and gradients as from a pass of its own, with none where it looks at the images of the loss."""
    words = {"penalty": PENALTIES[name], "gamma": 3.0, "augment": InstanceNoise(std=1.0, decay_steps=10)}
    found = []

    def with_passes_of_its_own(*arguments: Any, **more: Any) -> Tensor:
        return PENALTIES[name](*arguments, **more)

    for penalty in (PENALTIES[name], with_passes_of_its_own):
        network = Sloped()
        outcome = of_discriminator(Objective(Hinge(), **words | {"penalty": penalty}), network)
        outcome.total.backward()
        found.append([outcome.terms["penalty"].detach(), *(p.grad for p in network.parameters()), network.passes])
    (*shared, passes), (*apart, more_passes) = found
    for one, other in zip(shared, apart, strict=True):
        torch.testing.assert_close(one, other)
    assert passes == {"r1": 2, "r2": 2, "r1_r2": 2, "wgan_gp": 3, "dragan": 3}[name]
    assert more_passes == {"r1_r2": 4}.get(name, 3)


def test_consistency_is_the_squared_difference_of_logits() -> None:
    network = Mean()
    objective = Objective(Hinge(), augment=InstanceNoise(std=1.0, decay_steps=10), consistency=0.7)
    outcome = of_discriminator(objective, network)
    real, fake, plain_real, plain_fake = (2 * seen.mean((1, 2, 3)) for seen in network.seen)
    expected = 0.7 * ((real - plain_real).square().mean() + (fake - plain_fake).square().mean())
    assert outcome.terms["consistency"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert outcome.terms["consistency"] > 0
    assert torch.equal(network.seen[2], REAL)
    faded = of_discriminator(objective, network, step=10)  # nothing left to compare, so nothing is computed
    assert not faded.terms
    assert len(network.seen) == 6


def test_flipped_labels_exchange_pairs() -> None:
    flipped = Objective(NonSaturating(), label_flipping=0.5)
    network, plain = Mean(), of_discriminator(Objective(NonSaturating()))
    draws = Draws(torch.Generator().manual_seed(4), rank=0, world=1, device=torch.device("cpu"))
    share = float((draws.uniform(6) < 0.5).float().mean())
    assert 0 < share < 1
    outcome = of_discriminator(flipped, network, seed=4)
    swapped = F.softplus(torch.tensor(1.0)) + F.softplus(torch.tensor(0.5))
    assert outcome.loss.item() == pytest.approx(share * swapped.item() + (1 - share) * plain.loss.item(), rel=1e-5)
    assert torch.equal(outcome.real, plain.real)  # what is shown is what was said of which kind
    assert torch.equal(of_generator(flipped).loss, of_generator(Objective(NonSaturating())).loss)


def test_an_auxiliary_classifier_is_taught_with_real_images_and_teaches_the_generator() -> None:
    objective = Objective(Hinge())
    outcome = of_discriminator(objective, Mean(classes=True), labels=LABELS)

    def cross_entropy(logit: float) -> float:
        return F.cross_entropy(torch.tensor([[logit, 0.0, 0.0]]).expand(6, 3), LABELS).item()

    assert outcome.terms["classes"].item() == pytest.approx(cross_entropy(1.0), rel=1e-5)
    outcome = of_generator(objective, Mean(classes=True), labels=LABELS)
    assert outcome.terms["classes"].item() == pytest.approx(cross_entropy(-0.5), rel=1e-5)
    assert outcome.class_accuracy is not None
    assert outcome.class_accuracy.item() == pytest.approx(1 / 3)  # with the first class the least likely, argmax is 1
    assert not of_discriminator(objective, Mean(classes=True)).terms  # no labels, no class loss
