"""The exponential moving average of a generator."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dcgan.data.latents import random_stream
from dcgan.models.base import Generator, class_of_samples
from dcgan.models.precision import full_float32

FIT_BATCHES, FIT_SIZE = 80, 128  # noise that the statistics are estimated on


class EMA(nn.Module):
    """A copy of ``generator`` whose parameters are averaged over training, with batch norm statistics of its own.

    The half-life is given in thousands of images, so that it means the same at every batch size
    (Karras et al. 2020, StyleGAN2-ADA, "G_ema half-life"). Zero keeps the latest weights.

    Args:
        seed: of the noise that the statistics are estimated on.
    """

    def __init__(self, generator: Generator, *, half_life: float, seed: int) -> None:
        super().__init__()
        self.generator: Generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.half_life, self.seed = half_life, seed
        self._fitted = False

    def decay(self, num_images: int) -> float:
        """The weight that the average keeps after a step of ``num_images``: 0.5 ** (images / half-life)."""
        return 0.5 ** (num_images / (1000 * self.half_life)) if self.half_life else 0.0

    @torch.no_grad()
    def update(self, generator: nn.Module, *, num_images: int) -> None:
        """Average <- decay * average + (1 - decay) * generator."""
        averages: list[Tensor] = list(self.generator.parameters())
        latest: list[Tensor] = list(generator.parameters())
        torch._foreach_lerp_(averages, latest, 1 - self.decay(num_images))  # one call: 1.1 ms, one by one 4.4
        self._fitted = False

    def fitted(self) -> Generator:
        """The average as it is sampled from, evaluated and saved: with the statistics that its weights have."""
        if not self._fitted:
            fit_statistics(self.generator, seed=self.seed)
            self._fitted = True
        return self.generator

    def train(self, mode: bool = True) -> "EMA":
        """Stay in evaluation mode: samples are never drawn with batch statistics."""
        return super().train(False)


@torch.no_grad()
def fit_statistics(generator: Generator, *, seed: int) -> None:
    """Estimate the means and variances of batch norm anew, on seeded noise and even labels, in float32.

    Averaged weights have other activations than the latest ones, whose statistics training keeps: Izmailov et al. 2018
    ("Averaging weights leads to wider optima and better generalization", section 3.2) pass over the data once more.
    A function of the weights and ``seed``; without batch norm there is nothing to do.
    """
    norms = [layer for layer in generator.modules() if isinstance(layer, _BatchNorm)]
    if not norms:
        return
    device = next(generator.parameters()).device
    stream = random_stream(seed, "statistics")
    n = FIT_BATCHES * FIT_SIZE
    latents = torch.randn(n, generator.latent_dim, generator=stream).to(device).split(FIT_SIZE)
    labels = class_of_samples(n, num_classes=generator.num_classes)
    if labels is not None:  # mixed, so that each batch is of all
        labels = labels[torch.randperm(n, generator=stream)].to(device)
    momentums = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
        layer.train()
    with full_float32(device.type):
        for i, batch in enumerate(latents):
            generator(batch, None if labels is None else labels[i * FIT_SIZE : (i + 1) * FIT_SIZE])
    for layer, momentum in zip(norms, momentums, strict=True):
        layer.momentum = momentum
        layer.eval()
