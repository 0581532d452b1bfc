"""How a small set of images lies, in the space of pixels or of features: what 64 of them tell well enough."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

SATURATED = 0.99


class Shape(NamedTuple):
    """Of images in [-1, 1]; NaN where they are not finite."""

    rank: float  # effective rank, 1 to N - 1
    spread: float  # root mean square distance from their mean, of a pixel
    mean: float
    saturated: float  # share of pixels beyond +-0.99


def shape_of(images: Tensor) -> Shape:
    """Of images (N, C, H, W) on the CPU."""
    flat = images.flatten(1).double()
    if not flat.isfinite().all():
        return Shape(math.nan, math.nan, math.nan, math.nan)
    centred = flat - flat.mean(0)
    saturated = float((flat.abs() > SATURATED).double().mean())
    spread = float(centred.square().mean().sqrt())
    return Shape(effective_rank(centred @ centred.T), spread, float(flat.mean()), saturated)


def effective_rank(gram: Tensor) -> float:
    """Roy and Vetterli 2007, "The effective rank": exp of the entropy of the singular values, as shares of their sum.

    Args:
        gram: float64 (N, N), of centred rows; its eigenvalues are the squares. All zero: rank 1.
    """
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    if not values.sum():
        return 1.0
    return float(torch.special.entr(values / values.sum()).sum().exp())


def mean_distance(features: Tensor, real: Tensor) -> float | None:
    """Squared distance of the means of features (N, F) and (M, F), over the variance of the real ones.

    The first term of a Fréchet distance (Heusel et al. 2017, eq. 6), without its unit: of 64 and 64 real images 0.03.
    None: the real ones are all the same.
    """
    mean = real.mean(0)
    variance = (real - mean).square().sum(1).mean()
    return float((features.mean(0) - mean).square().sum() / variance) if variance else None
