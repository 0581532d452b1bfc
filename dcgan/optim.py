"""Optimisers by name."""

from collections.abc import Mapping

from torch.optim import Adam, Optimizer

OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adam": Adam}
