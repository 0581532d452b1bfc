"""What is not finite stops a run where it is first seen, before anything is drawn, ranked or saved of it."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor, nn

from dcgan.runs.dashboard import STEPPED, is_shown
from dcgan.runs.finite import not_finite, tensors_of
from dcgan.shell.words import pasted
from dcgan.training.gan import GAN
from dcgan.training.objective import Outcome

FIRST_SCALE = 2.0**16  # of 16-mixed
FACTORS = {"penalty": "penalty.gamma", "consistency": "augment.consistency"}  # of terms of a loss
LEAST_SCALE = 2.0**-20  # here a gradient of 7e10 would still fit


class NotFiniteError(ValueError):
    """A run that cannot go on."""

    @property
    def network(self) -> str:
        """The one whose rate is too high, as far as can be told."""
        words = re.findall(rf"optimizer\.({'|'.join(STEPPED)})\.", str(self))
        return words[0] if words else STEPPED[0]


class Health(Callback):
    """Looks at losses, weights and optimisers in every step that is shown, evaluated, drawn from or saved.

    Steps between are not looked at: each look waits for the device.

    Args:
        last: the checkpoint that a person can go on from.
        intervals: of evaluations, grids and checkpoints, in steps.
    """

    def __init__(self, last: Path, *intervals: int) -> None:
        self.last, self.intervals = last, intervals
        self._seen = -1

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        """Look where something else is about to."""
        step = trainer.global_step
        due = trainer.should_stop or step == trainer.max_steps or any(step % every == 0 for every in self.intervals)
        if due or is_shown(trainer, step):
            self._look(trainer, pl_module, outputs)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Look at what training ended with."""
        if self._seen != trainer.global_step:
            self._look(trainer, pl_module, {})

    def _look(self, trainer: Trainer, gan: GAN, outcomes: Mapping[str, Outcome]) -> None:
        self._seen = trainer.global_step
        found = next(_faults(trainer, gan, outcomes), "")
        stop = bool(found)
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            found = found or "another process met what is not finite"
            raise NotFiniteError(f"step {trainer.global_step}: {found}; {self._replay(trainer)}")

    def _replay(self, trainer: Trainer) -> str:
        """The line that goes the way there again and finds the operation."""
        saved = self.last.exists()
        before = f"{self.last} is from before" if saved else "no checkpoint was saved before"
        if _is_16_mixed(trainer):  # whose first gradients overflow in any run
            return before
        if not saved:
            return f"{before}; the same line with trainer.detect_anomaly=true finds the operation"
        line = f"python -m dcgan.train {pasted('resume', self.last.parents[1])} trainer.detect_anomaly=true"
        return f"{before}; to find the operation: {line}"


def _faults(trainer: Trainer, gan: GAN, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """What is wrong with each network, and what to turn."""
    networks: tuple[nn.Module, ...] = (gan.discriminator, gan.generator)
    knobs = [_knob(trainer, index, outcomes) for index in (0, 1)]
    rates = [_rate(optimizer) for optimizer in trainer.optimizers]
    of_either = f"{knobs[1]} or {knobs[0]}" if rates[1] > rates[0] else knobs[0]  # what D says of huge images is huge
    judged = outcomes.get("discriminator")
    if judged and not_finite({"real": judged.real}) is None and not_finite({"fake": judged.fake}):
        yield f"the generator's images are not finite; {knobs[1]}"  # or their verdict would be
    for name, network, optimizer, knob in zip(STEPPED, networks, trainer.optimizers, knobs, strict=True):
        if name in outcomes and (part := _fault_of(outcomes[name])):
            yield f"the {name}'s {part} is not finite; {of_either if name == STEPPED[0] else knob}"
        if weight := not_finite(network.state_dict()):
            yield f"the {name}'s weights are not finite ({weight}); {knob}"
        if part := not_finite(dict(tensors_of(optimizer.state_dict()["state"]))):
            yield f"the optimiser of the {name} is not finite ({part.rpartition('.')[2]}); {knob}"
    if skips := _skips(trainer):
        yield skips


def _is_16_mixed(trainer: Trainer) -> bool:
    return str(trainer.precision).startswith("16")


def skipped(trainer: Trainer) -> int:
    """How many updates 16-mixed left out, at the least."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return 0 if scaler is None else max(0, round(math.log2(FIRST_SCALE / scaler.get_scale())))


def _skips(trainer: Trainer) -> str | None:
    """Of 16-mixed, which leaves out an update whose gradients overflow, and halves the scale of the next."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None or scaler.get_scale() > LEAST_SCALE:
        return None
    words = f"gradients overflow in 16-mixed, which skips such updates (its scale fell to {scaler.get_scale():.1g})"
    return f"{words}; take trainer.precision=32-true or bf16-mixed, or lower penalty.gamma or optimizer.lr"


def _rate(optimizer: Any) -> float:
    """As it was typed, whatever a schedule has made of it."""
    group = optimizer.param_groups[0]
    return float(group.get("initial_lr", group["lr"]))


def _fault_of(outcome: Outcome) -> str | None:
    return not_finite({"loss": outcome.loss, **outcome.terms, "logit": outcome.real, "logit of fakes": outcome.fake})


def _knob(trainer: Trainer, index: int, outcomes: Mapping[str, Outcome]) -> str:
    """What would keep a network in bounds."""
    name = STEPPED[index]
    ways = [f"lower optimizer.{name}.lr (now {_rate(trainer.optimizers[index]):g})", f"set optimizer.{name}.clip"]
    terms = outcomes[name].terms if name in outcomes else {}
    ways = [f"lower {key}" for term, key in FACTORS.items() if term in terms] + ways
    if _is_16_mixed(trainer):
        ways.append("take trainer.precision=32-true")
    return " or ".join(ways)
