"""One side of the game: a network, its optimiser, its clip, and what follows its step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from dcgan.training.optim import OptimizerBuilder

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class Player(Generic[Network]):
    """A network, how it is stepped, and what follows its step.

    Args:
        clip: the largest norm of its gradient; None: any.
        weight_clip: its parameters stay within +- this (Arjovsky et al. 2017, algorithm 1); None: let them be.
    """

    network: Network
    optimizer: OptimizerBuilder
    clip: float | None = None
    weight_clip: float | None = None

    def clip_gradients(self) -> None:
        """Before each step; gradients must not be scaled up."""
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)

    @torch.no_grad()
    def clip_weights(self) -> None:
        """After each step."""
        for parameter in self.network.parameters() if self.weight_clip is not None else ():
            parameter.clamp_(-self.weight_clip, self.weight_clip)  # type: ignore[operator]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for the parameters of ``network`` inside the block (9 % of a step), whatever happens in it."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad = True
