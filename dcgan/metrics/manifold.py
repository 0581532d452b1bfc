"""Precision and recall, density and coverage: are samples where real images are, and the other way round."""

from typing import NamedTuple

import torch
from torch import Tensor

from dcgan.metrics.distances import distance_blocks

NEIGHBOURS = 5


class Manifold(NamedTuple):
    """One number per image; each metric is a mean. A ball reaches to its centre's k-th neighbour of the same kind.

    Improved precision and recall: Kynkäänniemi et al. 2019, eq. 2. Density and coverage: Naeem et al. 2020.
    """

    precision: Tensor  # (N,) whether a sample lies in the ball of a real image
    density: Tensor  # (N,) in how many such balls, over k
    recall: Tensor  # (M,) whether a real image lies in the ball of a sample
    coverage: Tensor  # (M,) whether a sample lies in the ball of this real image


class Balls(NamedTuple):
    """Features and, squared, how far it is from each to its k-th neighbour among them."""

    centres: Tensor  # float64 (N, F)
    squared_radii: Tensor  # (N,)

    @classmethod
    def of(cls, features: Tensor, *, k: int = NEIGHBOURS) -> "Balls":
        """The balls around float64 features (N, F), N > k. The image itself, at distance 0, is not a neighbour."""
        radii = features.new_empty(len(features))
        for rows, distances in distance_blocks(features, features):
            radii[rows] = distances.topk(k + 1, dim=1, largest=False).values[:, -1]  # kthvalue: 8 times slower
        return cls(features, radii)


def manifold(fake: Balls, real: Balls, *, k: int = NEIGHBOURS) -> Manifold:
    """Compare samples (N) with real images (M), both with the radii for ``k``."""
    count = torch.zeros(len(fake.centres), dtype=torch.float64)
    recall = torch.zeros(len(real.centres), dtype=torch.bool)
    nearest = real.centres.new_full((len(real.centres),), torch.inf)
    for rows, distances in distance_blocks(fake.centres, real.centres):
        count[rows] = (distances < real.squared_radii).sum(1).double()
        recall |= (distances < fake.squared_radii[rows, None]).any(0)
        nearest = torch.minimum(nearest, distances.amin(0))
    return Manifold(precision=count > 0, density=count / k, recall=recall, coverage=nearest < real.squared_radii)
