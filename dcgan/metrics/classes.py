"""What a classifier says of the samples: how sure, which classes, how evenly."""

import warnings

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore

from dcgan.metrics.bootstrap import Estimate, estimate, mean

CONFIDENT = 0.9
SPLITS = 10


def inception_score(logits: Tensor, weights: Tensor, *, seed: int) -> Estimate:
    """Inception Score, exp E KL(p(y|x) || p(y)) (Salimans et al. 2016), of logits (N, K), N >= 10.

    By torchmetrics, over ten splits, whose deviation is given too.
    """
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="Metric `InceptionScore` will save all")
        torch.manual_seed(seed)  # torchmetrics shuffles by the global stream
        score = InceptionScore(feature=nn.Identity(), splits=SPLITS, sync_on_compute=False)
        score.update(logits)
        value, deviation = (float(number) for number in score.compute())
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    shares = weights.to(p.dtype) / len(logits)
    marginal, negative_entropy = shares @ p, shares @ log_p.mul_(p).sum(1)
    replicates = (negative_entropy - torch.special.xlogy(marginal, marginal).sum(1)).exp()
    return estimate(value, replicates.double())._replace(deviation=deviation)


def histogram(logits: Tensor) -> Tensor:
    """How many of the images (N, K) fall into each class: int64 (K,)."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1])


def class_kl(counts: Tensor, real: Tensor) -> Tensor:
    """KL(samples || real) between class frequencies, counts (..., K) and (K,), in nats.

    0 for equal frequencies; infinite if samples fall into a class that real images do not have.
    """
    p, q = counts / counts.sum(-1, keepdim=True), real / real.sum()
    divergence: Tensor = (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)
    return divergence


def sampling_floor(frequencies: Tensor, real: Tensor, num_samples: int) -> float:
    """What ``class_kl`` is on average for ``num_samples`` draws from ``frequencies`` (K,): the exact expectation.

    Even draws from 1000 classes score 0.0193 with 26,000 samples, not 0: about (K - 1) / 2N (Miller 1955).
    """
    count = np.arange(1, num_samples + 1)
    pairs = torch.stack([frequencies / frequencies.sum(), real / real.sum()], 1).double()
    total = 0.0
    for (p, q), repeated in zip(*np.unique(pairs.numpy(), axis=0, return_counts=True), strict=True):
        if p > 0:
            share = count / num_samples
            total += repeated * float((binom.pmf(count, num_samples, p) * share * np.log(share / q)).sum())
    return total


def num_modes(counts: Tensor) -> int:
    """Classes with at least one sample (PacGAN, Lin et al. 2018, section 4)."""
    return int((counts > 0).sum())


def confident(logits: Tensor) -> Tensor:
    """Whether each image (N, K) is classified with a probability of 0.9 or more: (N,)."""
    return logits.softmax(1).amax(1) >= CONFIDENT


def label_accuracy(logits: Tensor, labels: Tensor) -> list[float | None] | None:
    """The share of each label's images that is classified so: K shares of logits (N, K) and labels (N,), None of none.

    None altogether if a label is no class of this classifier.
    """
    if int(labels.max()) >= logits.shape[1]:
        return None
    right = (logits.argmax(1) == labels).double()
    shares = [right[labels == k] for k in range(logits.shape[1])]
    return [float(share.mean()) if len(share) else None for share in shares]


def class_measures(logits: Tensor, real_counts: Tensor, weights: Tensor) -> dict[str, Estimate]:
    """Class KL, modes and the share of confident samples; ``weights`` (B, N) resample the samples for intervals."""
    counts, real_counts = histogram(logits), real_counts.double()
    index = logits.argmax(1).expand(len(weights), -1)
    resampled = weights.new_zeros(len(weights), logits.shape[1]).scatter_add_(1, index, weights)
    return {
        "class_kl": estimate(float(class_kl(counts.double(), real_counts)), class_kl(resampled, real_counts)),
        "modes": Estimate(num_modes(counts)),
        "confident": mean(confident(logits), weights),
    }
