import math

import pytest
import torch

from dcgan.metrics.shape import effective_rank, mean_distance, shape_of


def test_the_effective_rank_of_what_is_known() -> None:
    """Equal singular values count in full; one of half the size as its share says (Roy and Vetterli 2007)."""
    assert effective_rank(torch.diag(torch.tensor([4.0, 4.0, 4.0, 0.0]).double())) == pytest.approx(3)
    shares = [2 / 3, 1 / 3]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_rank(torch.diag(torch.tensor([4.0, 1.0, 0.0]).double())) == pytest.approx(expected)
    assert effective_rank(torch.zeros(3, 3).double()) == 1


def test_images_of_one_colour_each() -> None:
    """Black and white in turn: their mean is grey, each is 1 from it, and all lie on a line."""
    images = torch.tensor([-1.0, 1.0]).repeat(4).view(8, 1, 1, 1).expand(-1, 3, 4, 4)
    assert shape_of(images) == pytest.approx((1, 1, 0, 1))
    assert shape_of(images * 0.5) == pytest.approx((1, 0.5, 0, 0))
    assert all(math.isnan(number) for number in shape_of(images * math.inf))


def test_how_far_means_are_apart_over_the_variance() -> None:
    """Known means, 3 apart; real ones lie 1 from theirs in each of two dimensions, so 2 squared: 9 / 2."""
    real = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double()
    assert mean_distance(real, real) == 0
    assert mean_distance(real * 5 + torch.tensor([3.0, 0.0]), real) == pytest.approx(9 / 2)
    assert mean_distance((real + 3) * 10, (real + 1) * 10) == pytest.approx(8 / 2)
