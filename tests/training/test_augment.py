import pytest
import torch
from conftest import options
from torch import Tensor

from dcgan.data.latents import Draws
from dcgan.training.augment import AUGMENTS, BACKGROUND, DiffAugment, InstanceNoise, cut_out, translate


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), rank=0, world=1, device=torch.device("cpu"))


def images(n: int = 6, *, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1


def off(**strength: float) -> DiffAugment:
    return DiffAugment(**({"translation": 0.0, "cutout": 0.0, "brightness": 0.0} | strength))


def test_every_augmentation_has_its_option() -> None:
    assert options("augment") == sorted([*AUGMENTS, "none"])


@pytest.mark.parametrize(
    "augment", [off(translation=0.2, cutout=0.5, brightness=0.5), InstanceNoise(std=1, decay_steps=9)]
)
def test_it_is_differentiable_drawn_anew_and_reproducible(augment: DiffAugment | InstanceNoise) -> None:
    batch = images(channels=3).requires_grad_()
    stream = draws()
    first, second = augment(batch, draws=stream, step=0), augment(batch, draws=stream, step=0)
    assert first.shape == batch.shape
    assert not torch.equal(first, second)
    assert torch.equal(first, augment(batch, draws=draws(), step=0))
    first.sum().backward()
    assert batch.grad is not None
    assert (batch.grad.flatten(1).sum(1) > 0).all()  # of every image


def test_translation_moves_whole_images_and_leaves_black() -> None:
    batch = images()
    shifts = torch.tensor([[0.0, 0.0], [0.5, 0.5], [0.999, 0.5], [0.5, 0.999], [0.999, 0.999], [0.0, 0.5]])
    moved = translate(batch, shifts=shifts, most=0.125)  # 3.5 pixels, which Python rounds to 4
    assert torch.equal(moved[1], batch[1])
    assert torch.equal(moved[0, :, 4:, 4:], batch[0, :, :-4, :-4])
    assert (moved[0, :, :4] == BACKGROUND).all()
    assert torch.equal(moved[2, :, :-4], batch[2, :, 4:])
    assert torch.equal(moved[3, :, :, :-4], batch[3, :, :, 4:])
    assert (moved[3, :, :, -4:] == BACKGROUND).all()


def test_all_shifts_are_as_likely() -> None:
    corner = torch.full((4000, 1, 28, 28), -1.0)
    corner[:, :, 14, 14] = 1
    moved = off(translation=0.1)(corner, draws=draws(), step=0)
    rows = moved.amax(3).argmax(2).flatten() - 14
    counts = torch.bincount(rows + 3, minlength=7)
    assert len(counts) == 7
    assert counts.min() > 4000 / 7 * 0.8


def test_cutout_blacks_out_a_square() -> None:
    batch = torch.ones(3, 2, 28, 28)
    centres = torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.999, 0.999]])
    cut = cut_out(batch, centres=centres, size=0.5)
    hole = cut == BACKGROUND
    assert torch.equal(hole[:, 0], hole[:, 1])
    assert hole[0, 0].sum() == 14 * 14
    assert hole[0, 0, 7:21, 7:21].all()
    assert hole[1, 0].sum() == hole[2, 0].sum() == 7 * 7  # three quarters of it stick out
    assert (cut[~hole] == 1).all()


def test_brightness_adds_one_number_to_an_image() -> None:
    batch = images(500)
    added = (off(brightness=0.5)(batch, draws=draws(), step=0) - batch).flatten(1)
    assert (added.std(1) < 1e-6).all()
    assert added.abs().max() <= 0.5 + 1e-6
    assert abs(float(added.mean())) < 0.05
    assert float(added[:, 0].std()) == pytest.approx(1 / 12**0.5, rel=0.1)


def test_every_second_image_is_mirrored_left_to_right() -> None:
    batch = images(500)
    flipped = DiffAugment(translation=0, cutout=0, brightness=0, flip=True)(batch, draws=draws(), step=0)
    is_mirrored = (flipped == batch.flip(3)).all(3).all(2).flatten()
    assert ((flipped == batch).all(3).all(2).flatten() ^ is_mirrored).all()
    assert 200 < is_mirrored.sum() < 300


def test_nothing_asked_is_nothing_done() -> None:
    batch = images()
    assert torch.equal(off()(batch, draws=draws(), step=0), batch)


def test_instance_noise_fades_linearly() -> None:
    noise, batch = InstanceNoise(std=0.4, decay_steps=100), torch.zeros(500, 1, 8, 8)
    for step, std in [(0, 0.4), (50, 0.2), (75, 0.1)]:
        assert float(noise(batch, draws=draws(), step=step).std()) == pytest.approx(std, rel=0.02)
    assert noise(batch, draws=draws(), step=100) is batch
    assert noise(batch, draws=draws(), step=1000) is batch


def test_two_processes_draw_what_one_does() -> None:
    batch = images(8)
    augment = off(translation=0.2, cutout=0.3, brightness=0.5)
    together = augment(batch, draws=draws(), step=0)
    for rank in range(2):
        own = Draws(torch.Generator().manual_seed(0), rank=rank, world=2, device=torch.device("cpu"))
        half = batch[4 * rank : 4 * rank + 4]
        assert torch.equal(augment(half, draws=own, step=0), together[4 * rank : 4 * rank + 4])
