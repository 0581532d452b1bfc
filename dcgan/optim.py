"""Optimisers by name, their settings, and how the learning rate changes over a run."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

OptimizerBuilder = Callable[[Iterable[nn.Parameter]], Optimizer]
# Fused: one call for all parameters. RMSprop has none for the CPU.
OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
    "rmsprop": RMSprop,
    "sgd": partial(SGD, fused=True),
}

Schedule = Callable[[float], float]
"""The share of a run that is done, 0 to 1 -> what the learning rate is multiplied by."""

SCHEDULES: Mapping[str, Schedule] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
}


def learning_rate_factor(schedule: str, *, warmup: int, step: int, total: float) -> float:
    """What every learning rate is multiplied by in generator step ``step``, the first being 0.

    The warm-up rises linearly over ``warmup`` steps; the schedule then runs from there to ``total``, so that the step
    after the last would have the factor 0.
    """
    if step < warmup:
        return (step + 1) / warmup
    return SCHEDULES[schedule](min(1.0, (step - warmup) / (total - warmup))) if total > warmup else 1.0
