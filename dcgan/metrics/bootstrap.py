"""Intervals by the bootstrap (Efron 1979): how much a value moves when the same number of images is drawn anew."""

from typing import NamedTuple

import torch
from torch import Tensor

REPLICATES = 200


class Estimate(NamedTuple):
    """A value with its 95 % interval, and for a mean over subsets their standard deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


def multiplicities(num_items: int, *, seed: int, replicates: int = REPLICATES) -> Tensor:
    """How often each item is drawn when as many are drawn with replacement: float64 (replicates, num_items).

    With no replicates, what is computed from them has no interval.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = torch.empty(replicates, num_items, dtype=torch.float64)
    for row in weights:
        row.copy_(torch.bincount(torch.randint(num_items, (num_items,), generator=generator), minlength=num_items))
    return weights


def estimate(value: float, replicates: Tensor) -> Estimate:
    """``value`` (>= 0) with the 2.5 and 97.5 % quantiles of its replicates (B,), moved so that their mean is ``value``.

    Moved, because repeated images bias a distance: the replicates of an FID lie above it.
    """
    if len(replicates) == 0:
        return Estimate(value)
    low, high = (replicates - replicates.mean()).quantile(replicates.new_tensor([0.025, 0.975])).tolist()
    return Estimate(value, max(0.0, value + low), value + high)


def mean(values: Tensor, weights: Tensor) -> Estimate:
    """The mean of one number per item (N,), with the interval that resampling the items by ``weights`` (B, N) gives."""
    values = values.double()
    return estimate(float(values.mean()), weights @ values / len(values))
