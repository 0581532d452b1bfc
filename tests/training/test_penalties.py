"""The penalties, against closed forms on a linear critic and against finite differences."""

import math

import pytest
import torch
from conftest import config, options
from torch import Tensor, nn

from dcgan.data.latents import Draws
from dcgan.models.base import Discriminator, Verdict
from dcgan.models.packing import Packed
from dcgan.training.build import build_gan
from dcgan.training.penalties import PENALTIES

# Mescheder et al. put 1/2 before gamma, Gulrajani et al. and Kodali et al. nothing; |w| is the slope everywhere.
CLOSED_FORM = {
    "r1": lambda slope: slope**2 / 2,
    "r2": lambda slope: slope**2 / 2,
    "r1_r2": lambda slope: slope**2,
    "wgan_gp": lambda slope: (slope - 1) ** 2,
    "dragan": lambda slope: (slope - 1) ** 2,
}


class Linear(Discriminator):
    """D(x) = <w, x>."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict((images * self.weight).flatten(1).sum(1))


class Curved(Discriminator):
    """A small network whose slope differs from image to image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Softplus(), nn.Linear(8, 1)).double()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(self.body(images).squeeze(1))


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), rank=0, world=1, device=torch.device("cpu"))


def images(seed: int, *, channels: int = 1, side: int = 4) -> Tensor:
    return torch.rand(6, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def value(name: str, discriminator: Discriminator, real: Tensor, fake: Tensor, **words: Tensor) -> Tensor:
    return PENALTIES[name](discriminator, real=real, fake=fake, labels=words.get("labels"), draws=draws())


def test_every_penalty_has_its_option_and_closed_form() -> None:
    assert options("penalty") == sorted([*PENALTIES, "none"])
    assert set(CLOSED_FORM) == set(PENALTIES)


@pytest.mark.parametrize("name", PENALTIES)
def test_closed_form_of_a_linear_critic(name: str) -> None:
    critic = Linear(1, 4, 4)
    expected = CLOSED_FORM[name](float(critic.weight.detach().norm()))
    assert value(name, critic, images(1), images(2)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_pack_of_images_is_judged_as_one(name: str) -> None:
    critic = Linear(2, 4, 4)
    expected = CLOSED_FORM[name](float(critic.weight.detach().norm()))
    assert value(name, Packed(critic, 2), images(1), images(2)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_second_derivatives_equal_finite_differences(name: str) -> None:
    """In float64: the gradient of the penalty with respect to every weight of the discriminator."""
    critic, real, fake = Curved(), images(1).double(), images(2).double()
    value(name, critic, real, fake).backward()
    for weight in critic.parameters():
        if weight is critic.body[-1].bias:
            continue  # shifts the logit, so it has no part in any slope
        expected = torch.zeros_like(weight)
        for i in range(weight.numel()):
            both = []
            for sign in (1, -1):
                with torch.no_grad():
                    weight.view(-1)[i] += sign * 1e-5
                both.append(value(name, critic, real, fake).detach())
                with torch.no_grad():
                    weight.view(-1)[i] -= sign * 1e-5
            expected.view(-1)[i] = (both[0] - both[1]) / 2e-5
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-7)
        assert weight.grad.abs().sum() > 0


def test_which_images_a_penalty_looks_at() -> None:
    """By what changes its value: other real images, other fake ones, or other random numbers."""
    critic = Curved()
    looks_at = {}
    for name in PENALTIES:
        one, two, three = (images(seed).double() for seed in (1, 2, 3))
        first = value(name, critic, one, two)
        other_real, other_fake = value(name, critic, three, two), value(name, critic, one, three)
        other_draws = PENALTIES[name](critic, real=one, fake=two, labels=None, draws=draws(1))
        looks_at[name] = [not torch.equal(first, other) for other in (other_real, other_fake, other_draws)]
    assert looks_at == {
        "r1": [True, False, False],
        "r2": [False, True, False],
        "r1_r2": [True, True, False],
        "wgan_gp": [True, True, True],
        "dragan": [True, False, True],
    }


def test_a_pack_has_one_point_between_real_and_fake() -> None:
    seen = []

    class Recording(Linear):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
            seen.append(images.detach())
            return super().forward(images, labels)

    value("wgan_gp", Packed(Recording(2, 4, 4), 2), torch.ones(6, 1, 4, 4), -torch.ones(6, 1, 4, 4))
    assert (seen[0].flatten(1).std(1) < 1e-6).all()


def test_wgan_gp_looks_between_real_and_fake() -> None:
    seen = []

    class Recording(Linear):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
            seen.append(images.detach())
            return super().forward(images, labels)

    value("wgan_gp", Recording(1, 4, 4), torch.ones(6, 1, 4, 4), -torch.ones(6, 1, 4, 4))
    (between,) = seen
    assert between.abs().max() < 1
    assert (between.flatten(1).std(1) < 1e-6).all()  # one share for all pixels of an image
    assert between[:, 0, 0, 0].std() > 0.1  # and another for each image


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_reaches_every_weight_of_a_real_discriminator(name: str, precision: torch.dtype) -> None:
    """In float32 whatever the precision around it: both give the same value."""
    gan = build_gan(config("model.discriminator.norm=layer"))
    real, fake = images(1, side=28), images(2, side=28)
    with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16):
        penalty = value(name, gan.discriminator, real, fake)
    assert penalty.dtype == torch.float32
    assert math.isclose(penalty.item(), value(name, gan.discriminator, real, fake).item(), rel_tol=1e-6)
    penalty.backward()
    for key, weight in gan.discriminator.named_parameters():
        if key.endswith("weight"):  # a bias only shifts; with LeakyReLU, most slopes do not notice
            assert weight.grad is not None, key
            assert weight.grad.isfinite().all(), key
            assert weight.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", PENALTIES)
def test_a_flat_discriminator_gives_finite_gradients(name: str) -> None:
    """The slope is 0 where a discriminator judges all alike; a root has no derivative there."""
    critic = Linear(1, 4, 4)
    nn.init.zeros_(critic.weight)
    value(name, critic, images(1), images(2)).backward()
    assert critic.weight.grad is not None
    assert critic.weight.grad.isfinite().all()
