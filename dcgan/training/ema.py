"""The exponential moving average of a generator."""

import copy

import torch
from torch import Tensor, nn

from dcgan.models.base import Generator


class EMA(nn.Module):
    """A copy of ``generator`` whose parameters are averaged over training and whose buffers are copied.

    The half-life is given in thousands of images, so that it means the same at every batch size
    (Karras et al. 2020, StyleGAN2-ADA, "G_ema half-life"). Zero keeps the latest weights.
    """

    def __init__(self, generator: Generator, *, half_life: float) -> None:
        super().__init__()
        self.generator: Generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.half_life = half_life

    def decay(self, num_images: int) -> float:
        """The weight that the average keeps after a step of ``num_images``: 0.5 ** (images / half-life)."""
        return 0.5 ** (num_images / (1000 * self.half_life)) if self.half_life else 0.0

    @torch.no_grad()
    def update(self, generator: nn.Module, *, num_images: int) -> None:
        """Average <- decay * average + (1 - decay) * generator."""
        averages: list[Tensor] = list(self.generator.parameters())
        latest: list[Tensor] = list(generator.parameters())
        torch._foreach_lerp_(averages, latest, 1 - self.decay(num_images))  # one call: 1.1 ms, one by one 4.4
        for copied, buffer in zip(self.generator.buffers(), generator.buffers(), strict=True):
            copied.copy_(buffer)

    def train(self, mode: bool = True) -> "EMA":
        """Stay in evaluation mode: samples are never drawn with batch statistics."""
        return super().train(False)
