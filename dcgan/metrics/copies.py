"""Does a generator repeat its training images? Samples are compared with what unseen real images look like."""

from typing import NamedTuple

import torch
from scipy.stats import fisher_exact
from torch import Tensor

from dcgan.metrics.distances import distance_blocks

REAL_SHARE = 0.01
LEAST_P, LEAST_EXCESS = 1e-3, 2.0


class Neighbours(NamedTuple):
    """The two nearest training images of each of N images, by Euclidean distance of pixels in [0, 1]."""

    distances: Tensor  # (N, 2), ascending
    indices: Tensor  # (N, 2)

    @property
    def ratio(self) -> Tensor:
        """(N,), in [0, 1]: how much nearer the first is than the second. Near 0 for a copy, near 1 otherwise.

        Not the distance itself: plain strokes are close to many images without being a copy of one.
        """
        return self.distances[:, 0] / self.distances[:, 1].clamp(min=1e-6)


class Copies(NamedTuple):
    """How many samples look copied, and how many unseen real images do."""

    share: float  # of samples with a ratio that only 1 % of the test images have
    real_share: float  # of test images; 1 %, but for ties
    p_value: float  # of a share as large, did the samples know as little of the training images as the test images do
    median_distance: float  # of samples to their nearest training image
    real_median_distance: float  # of test images

    @property
    def accused(self) -> bool:
        """Whether it is no chance (p < 0.001), and more than twice what test images have.

        The second, because MNIST's splits are of different writers: training images that were held out look like a copy
        more often than test images do, without being one.
        """
        return self.p_value < LEAST_P and self.share > LEAST_EXCESS * self.real_share


def nearest(images: Tensor, train: Tensor) -> Neighbours:
    """The nearest of the uint8 images ``train`` (M, C, H, W) for each of ``images`` (N, C, H, W)."""
    distances, indices = torch.empty(len(images), 2), torch.empty(len(images), 2, dtype=torch.int64)
    for rows, squared in distance_blocks(*(some.flatten(1).float().div_(255) for some in (images, train))):
        near = squared.topk(2, largest=False)
        distances[rows], indices[rows] = near.values.sqrt(), near.indices
    return Neighbours(distances, indices)


def find_copies(samples: Neighbours, test: Neighbours) -> Copies:
    """Compare the distances of samples to the training images with those of test images.

    The ratio is that of Yoon et al. 2023 ("Diffusion probabilistic models generalize when they fail to memorize"), the
    comparison with a test set that of Meehan et al. 2020; the p-value is Fisher's exact test, one-sided.
    """
    threshold = test.ratio.quantile(REAL_SHARE)
    found, real = (int((neighbours.ratio < threshold).sum()) for neighbours in (samples, test))
    table = [[found, len(samples.ratio) - found], [real, len(test.ratio) - real]]
    return Copies(
        share=found / len(samples.ratio),
        real_share=real / len(test.ratio),
        p_value=float(fisher_exact(table, alternative="greater").pvalue),
        median_distance=float(samples.distances[:, 0].median()),
        real_median_distance=float(test.distances[:, 0].median()),
    )
