"""How far two groups of runs are apart, and whether that is more than chance: on log FIDs, paired by their seeds.

FIDs are positive and skewed, and a bad recipe's scatter more than a good one's: their logarithms do not. So means are
geometric, and differences are ratios. All functions take arrays of any leading shape, the seeds
along the last axis.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]
CONFIDENCE = 0.95
POWER = 0.8
MOST_SEEDS = 100  # nobody trains more of one recipe


class Interval(NamedTuple):
    """A mean with its 95 % interval, which is None of one value alone."""

    mean: Array
    low: Array | None
    high: Array | None


def student(values: Array) -> Interval:
    """The mean of n values and Student's interval of it ("The probable error of a mean", 1908).

    Not the bootstrap's: of three to ten values its percentiles hold the mean in 75 to 90 % of cases, not in 95
    (``tests/reports/test_statistics.py`` shows both).
    """
    n, mean = values.shape[-1], values.mean(-1)
    if n < 2:
        return Interval(mean, None, None)
    half = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(-1, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def p_value(differences: Array) -> Array:
    """Student's two-sided test that paired differences (..., n), n >= 2, are 0 in the mean."""
    n, mean = differences.shape[-1], differences.mean(-1)
    error = differences.std(-1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(mean == 0, 0.0, np.abs(mean) / error)
    found: Array = 2 * stdtr(n - 1, -statistic)
    return found


def holm(p_values: Array) -> Array:
    """p-values (..., m) adjusted for being m: where all below 0.05 are rejected, in 5 % of cases at most one is wrong.

    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    m, order = p_values.shape[-1], p_values.argsort(-1)
    steps = np.take_along_axis(p_values, order, -1) * np.arange(m, 0, -1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, -1).clip(max=1), -1)
    return adjusted


def improvement(lower: Array, higher: Array) -> Array:
    """The probability that a run of the one ends lower than one of the other: all pairs, ties half.

    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", section 4.3; a run that
    failed counts as infinite.
    """
    one, other = lower[..., :, None], higher[..., None, :]
    wins: Array = ((one < other) + 0.5 * (one == other)).mean((-2, -1))
    return wins


def seeds_needed(difference: float, deviation: float, *, comparisons: int = 1) -> int | None:
    """The least n at which a paired test sees a difference of this size in 8 of 10 cases; None: over ``MOST_SEEDS``.

    Args:
        deviation: of the paired differences.
        comparisons: among which it must stand out.
    """
    quantile = 1 - (1 - CONFIDENCE) / 2 / comparisons
    n = np.arange(2, MOST_SEEDS + 1)
    least = (stdtrit(n - 1, quantile) + stdtrit(n - 1, POWER)) * deviation / np.sqrt(n)
    enough = n[least <= abs(difference)]
    return int(enough[0]) if len(enough) and difference else None
