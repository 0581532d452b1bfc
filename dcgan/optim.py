"""Optimisers by name."""

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adam": torch.optim.Adam}


def build_optimizer(
    parameters: Iterable[nn.Parameter], *, name: str, lr: float, betas: tuple[float, float]
) -> Optimizer:
    """The named optimiser in its fused form (one kernel for all parameters).

    Raises:
        ValueError: the name is not in ``OPTIMIZERS``.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer name={name}: unknown; known: {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](parameters, lr=lr, betas=tuple(betas), fused=True)  # type: ignore[call-arg]
