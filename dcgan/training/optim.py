"""Optimisers by name, their settings, and how the learning rate changes over a run."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from lightning import Trainer
from lightning.pytorch.callbacks import Timer
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

OptimizerBuilder = Callable[[Iterable[nn.Parameter]], Optimizer]


def _sgd(parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.0) -> SGD:
    """Fused without momentum only: PyTorch's leaves that of a first step that 16-mixed skips as memory was."""
    return SGD(parameters, lr=lr, momentum=momentum, fused=momentum == 0)


# Fused: one call for all parameters. RMSprop has none for the CPU.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
    "rmsprop": RMSprop,
    "sgd": _sgd,
}

Schedule = Callable[[float], float]
"""The share of a run that is done, 0 to 1 -> what the learning rate is multiplied by."""

SCHEDULES: Mapping[str, Schedule] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
}


WARMUP = 100  # without one, 4 of 23 starts failed or stalled, with it none of 26: experiments/2026-11-30_warmup


def learning_rate_factor(
    schedule: str, *, warmup: int, step: int, total: float, time: float = 0.0, rise: float = 0.0
) -> float:
    """What every learning rate is multiplied by in generator step ``step``, the first being 0.

    The warm-up rises linearly over ``warmup`` steps; the schedule then runs from there to ``total``, so that the step
    after the last would have the factor 0, or over the run's time if that ends first: they meet where one crosses the
    other.

    Args:
        time: the share of it that is over.
        rise: how far the warm-up is by the clock, 1 being its end.
    """
    risen = max((step + 1) / warmup, rise) if step < warmup else 1.0
    steps = max(0.0, (step - warmup) / (total - warmup)) if total > warmup else 0.0
    return min(risen, SCHEDULES[schedule](min(1.0, max(steps, time))))


ASK_EVERY = 20  # steps, where several processes have to agree: each question waits for the others and the device


def share_of_time(trainer: Trainer) -> float:
    """How much of ``trainer.max_time`` is over, resumed time included and the same for all processes; 0 without one."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    left = timers[0].time_remaining() if timers else None
    if left is None:
        return 0.0
    over = timers[0].time_elapsed()
    share = over / max(over + left, 1e-9)
    return float(trainer.strategy.broadcast(share)) if trainer.world_size > 1 else share


class Rates(NamedTuple):
    """How the learning rates change over a run: Lightning steps no schedule in manual optimisation.

    Args:
        schedule: of ``SCHEDULES``.
        warmup: steps over which they rise at first; None: ``WARMUP``, or a tenth of a shorter run, by steps or by time,
            as long as it was when it began.
    """

    schedule: str = "constant"
    warmup: int | None = 0

    def start(self, optimizers: Iterable[Optimizer]) -> None:
        """Keep what the schedule starts from, also after a resume."""
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["initial_lr"] = group["lr"]

    @property
    def change(self) -> bool:
        """Whether they do at all."""
        return self.schedule != "constant" or self.warmup != 0

    def set(self, optimizers: Iterable[Optimizer], *, step: int, total: float, time: float = 0.0) -> None:
        """The rates of generator step ``step`` of ``total``, where the share ``time`` of the run's time is over."""
        own = int(min(WARMUP, total / 10)) if self.warmup is None else self.warmup
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            # Kept in checkpoints: a run made longer does not warm up again, one taken back to its first step does.
            warmup, begun = group.setdefault("warmup", own), group.setdefault("begun", time)
            rise = 10 * (time - begun) if self.warmup is None else 0.0
            if rise >= 1 and step < warmup:
                group["warmup"] = warmup = step
            factor = learning_rate_factor(self.schedule, warmup=warmup, step=step, total=total, time=time, rise=rise)
            group["lr"] = group["initial_lr"] * factor


def gradient_scale(trainer: Trainer, optimizer: Optimizer) -> float:
    """By how much gradients are scaled up when Lightning is about to step: 16-mixed leaves that to fused optimisers."""
    scaler = _scaler_left_to(trainer, optimizer)
    return float(scaler.get_scale()) if scaler else 1.0


def unscale(trainer: Trainer, optimizer: Optimizer) -> None:
    """Scale them down now, without asking the device by how much."""
    if scaler := _scaler_left_to(trainer, optimizer):
        scaler.unscale_(optimizer)


def _scaler_left_to(trainer: Trainer, optimizer: Optimizer) -> Any:
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler if getattr(optimizer, "_step_supports_amp_scaling", False) else None
