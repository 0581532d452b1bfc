import pytest
import torch
import torch.nn.functional as F

from dcgan.training.losses import LOSSES, NonSaturating

REAL = torch.tensor([-5.0, 1.4, 12.5, 2.7])
FAKE = torch.tensor([10.0, 4.4, -5.5, 3.6])
# loss: (discriminator, generator), computed by hand from the papers' formulas.
EXPECTED = {
    "non_saturating": (5.833866, 1.385821),
    "minimax": (5.833866, -4.510821),
    "least_squares": (41.73375, 17.69625),
    "hinge": (6.75, -3.125),
    "wasserstein": (0.225, -3.125),
    "relativistic": (4.822435, 4.597435),
    "relativistic_average": (5.212013, 4.762013),
}


@pytest.mark.parametrize("name", LOSSES)
def test_closed_form(name: str) -> None:
    loss = LOSSES[name]()
    discriminator, generator = EXPECTED[name]
    assert loss.discriminator(real=REAL, fake=FAKE).item() == pytest.approx(discriminator, rel=1e-5)
    assert loss.generator(real=REAL, fake=FAKE).item() == pytest.approx(generator, rel=1e-5)


def test_label_smoothing_is_one_sided() -> None:
    """Cross-entropy with the target 0.9 for real images, by torch, and 0 for fake ones as before."""
    smoothed = NonSaturating(label_smoothing=0.1)
    expected = F.binary_cross_entropy_with_logits(REAL, torch.full((4,), 0.9))
    expected += F.binary_cross_entropy_with_logits(FAKE, torch.zeros(4))
    assert smoothed.discriminator(real=REAL, fake=FAKE).item() == pytest.approx(expected.item(), rel=1e-6)
    assert smoothed.generator(real=REAL, fake=FAKE) == NonSaturating().generator(real=REAL, fake=FAKE)


@pytest.mark.parametrize("name", LOSSES)
def test_real_and_fake_are_not_interchangeable(name: str) -> None:
    loss = LOSSES[name]()
    right, swapped = loss.discriminator(real=REAL, fake=FAKE), loss.discriminator(real=FAKE, fake=REAL)
    assert abs(right.item() - swapped.item()) > 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_the_generators_loss_falls_as_fakes_get_more_convincing(name: str) -> None:
    fake = (FAKE - 12).requires_grad_()  # none convincing: least squares draws logits above 1 down again
    LOSSES[name]().generator(real=REAL, fake=fake).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name: str) -> None:
    extreme = torch.tensor([-1e4, 1e4])
    loss = LOSSES[name]()
    assert loss.discriminator(real=extreme, fake=extreme).isfinite()
    assert loss.generator(real=extreme, fake=extreme).isfinite()
