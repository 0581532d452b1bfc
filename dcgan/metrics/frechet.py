"""The Fréchet distance between Gaussians fitted to features (FID)."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from dcgan.metrics.bootstrap import Estimate, estimate

LARGE, FEW = 512, 20  # features; replicates with more features than that


class Moments(NamedTuple):
    """Sums over the features of images, in float64: all that the Fréchet distance needs of them."""

    total: Tensor  # (F,)
    outer: Tensor  # (F, F), the sum of f f^T
    num_images: Tensor  # int64 scalar

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """The sums over float64 features (N, F)."""
        return cls(features.sum(0), features.T @ features, torch.tensor(len(features)))

    def gaussian(self) -> tuple[Tensor, Tensor]:
        """Mean (F,) and unbiased covariance (F, F)."""
        mean = self.total / self.num_images
        return mean, (self.outer - self.num_images * mean.outer(mean)) / (self.num_images - 1)


class FrechetDistance(FrechetInceptionDistance):
    """torchmetrics' FID, but for how its last step computes the trace of the matrix root.

    tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2), whose argument is symmetric: its eigenvalues are real, whereas those
    of A B, computed directly, come out complex or slightly negative where a covariance is singular (fewer samples than
    features, duplicates, a constant feature).
    """

    def compute(self) -> Tensor:
        """Heusel et al. 2017, eq. 6: finite and >= 0, in float64."""
        real = Moments(self.real_features_sum, self.real_features_cov_sum, self.real_features_num_samples)
        fake = Moments(self.fake_features_sum, self.fake_features_cov_sum, self.fake_features_num_samples)
        return next(_distances(real, [fake]))


def frechet_distance(features: Tensor, real: Moments) -> float:
    """FID (Heusel et al. 2017, eq. 6) of float64 features (N, F), N >= 2, to ``real``."""
    # Each process has all it needs; torchmetrics would otherwise wait for the others, which do not compute.
    fid = FrechetDistance(feature=_Features(features.shape[1]), sync_on_compute=False)
    fid.real_features_sum, fid.real_features_cov_sum, fid.real_features_num_samples = real
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``compute`` method of metric", category=UserWarning)
        fid.update(features, real=False)
        return float(fid.compute())


def frechet_estimate(features: Tensor, real: Moments, weights: Tensor) -> Estimate:
    """The FID with the interval that resampling the samples by ``weights`` (B, N) gives; the real images stay.

    In a space as large as Inception's a replicate takes seconds: 20 must do, which makes the interval a rough one.
    """
    if features.shape[1] > LARGE:
        weights = weights[:FEW]
    weighted = (
        Moments(weight @ features, (features * weight[:, None]).T @ features, torch.tensor(len(features)))
        for weight in weights
    )
    return estimate(frechet_distance(features, real), torch.tensor(list(map(float, _distances(real, weighted)))))


def _distances(real: Moments, others: "Iterator[Moments] | list[Moments]") -> Iterator[Tensor]:
    mean, covariance = real.gaussian()
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    for other in others:
        other_mean, other_covariance = other.gaussian()
        cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
        distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
        yield distance.clamp(min=0)


class _Features(nn.Module):
    """Tells torchmetrics that what it is given are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
