"""What is the FID of nothing wrong, and of how many samples does it say more than how many they are?"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dcgan.metrics.frechet import Moments, frechet_distance
from dcgan.metrics.reference import Reference

SHARE = 0.01  # of the features' variance
SEED, DIVISIONS = 0, 8


class Floor(NamedTuple):
    """Of one feature space and one set of real images."""

    value: float  # the FID of one half of the real images against the other, the mean of eight divisions
    of: int  # images in each
    needed: int  # samples

    def trusts(self, num_samples: int, num_real: int) -> bool:
        """Whether so few samples and real images tell more by their FID than that they are few."""
        return min(num_samples, num_real) >= self.needed


def floor_of(real: Reference) -> Floor:
    """The floor of real images whose features are known.

    The FID of N samples is too large by nearly c / N (Chong and Forsyth 2020, section 3); c is measured here on halves
    and quarters of the real images, which differ by nothing. Needed are as many samples as make that 1 % of the
    features' variance (one picture again and again scores twice that variance), and more than there are features:
    with fewer the covariance has not full rank.
    """
    assert real.features is not None
    features = real.features.double()
    half, quarter = len(features) // 2, len(features) // 4
    value, of_quarters = (_between_parts(features, size) for size in (half, quarter))
    c = (value * half + of_quarters * quarter) / 2 / 2  # of the mean; half of it is the samples', half the real images'
    variance = float(features.var(0).sum())
    needed = math.ceil(c / (SHARE * variance)) if variance > 0 else 0
    return Floor(value, half, _rounded(max(needed, features.shape[1] + 1)))


def in_words(floor: Floor, num_samples: int, num_real: int) -> str:
    """For a person, with what to do where the FID is not to be trusted."""
    found = f"FID of real images {floor.value:.2f} ({floor.of:,} against {floor.of:,}); needs {floor.needed:,} samples"
    if floor.trusts(num_samples, num_real):
        return found
    few = f"{num_real:,} real images" if num_real <= num_samples else f"{num_samples:,} samples"
    return f"{found}: of {few} it ranks, but its size means little; evaluate prints the KID, which does not grow so"


def _between_parts(features: Tensor, size: int) -> float:
    """The mean FID of so many features against as many others."""
    generator, found = torch.Generator().manual_seed(SEED), []
    for _ in range(DIVISIONS):
        one, other = features[torch.randperm(len(features), generator=generator)[: 2 * size]].chunk(2)
        found.append(frechet_distance(one, Moments.of(other)))
    return sum(found) / len(found)


def _rounded(number: int) -> int:
    """Up, to two digits: it is an estimate."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // unit) * unit
