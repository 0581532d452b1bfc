"""The kernel distance between sets of features (KID)."""

import warnings

import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from dcgan.metrics.bootstrap import Estimate

SUBSETS, SUBSET_SIZE = 100, 1000


def kernel_distance(fake: Tensor, real: Tensor, *, seed: int) -> Estimate:
    """KID (Binkowski et al. 2018, section 4) of float64 features (N, F) and (M, F), by torchmetrics.

    The mean of the unbiased estimate over 100 pairs of subsets of 1,000 (half the images, where there are fewer than
    2,000), and their deviation. It may be negative. The interval rescales that deviation from subsets to all images
    (Politis and Romano 1994).
    """
    num_images = min(len(fake), len(real))
    size = min(SUBSET_SIZE, num_images // 2)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all")
        torch.manual_seed(seed)  # torchmetrics draws its subsets from the global stream
        kid = KernelInceptionDistance(feature=nn.Identity(), subsets=SUBSETS, subset_size=size, sync_on_compute=False)
        kid.update(real, real=True)
        kid.update(fake, real=False)
        value, deviation = (float(number) for number in kid.compute())
    half = 1.96 * deviation * (size / (num_images - size)) ** 0.5
    return Estimate(value, value - half, value + half, deviation)
