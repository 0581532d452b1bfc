"""Whether a run does well, while it trains: it looks on, and says so when that changes."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from dcgan.config.options import HealthOn
from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.runs.dashboard import STEPPED, log_scalars
from dcgan.runs.diagnosis import Diagnosis, Finding
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.health import NotFiniteError
from dcgan.runs.remedies import PAGE, knob
from dcgan.runs.signals import Probe, Reference, Signals
from dcgan.runs.signs import DIVERGING, HEALTHY, STATES, class_share
from dcgan.shell.status import read_status, shown_health, write_status
from dcgan.training.gan import GAN


def build_monitor(
    config: TrainConfig, folder: Path, data: ImageData, evaluation: Evaluation | None, *, pack: int
) -> "Monitor | None":
    """What looks whether a run does well, or nothing with ``health=off``."""
    if not isinstance(config.health, HealthOn):
        return None
    probe = Probe(data, seed=config.seed, pack=pack, space=evaluation.space if evaluation else None)
    return Monitor(folder, probe, config, evaluation)


class Monitor(Callback):
    """A look every ``health.every`` steps; a line when the state changes, kept in ``status.json`` too.

    Classes are counted in every second look, or what it costs would be above 1 % (experiments/speed), and in every one
    while there is something against the run. Curves are under ``health/``. Training computes the same without it.

    Args:
        config: whose keys it names, and whose ``health`` says how often it looks.
        evaluation: of the run, if there is one.
    """

    def __init__(self, folder: Path, probe: Probe, config: TrainConfig, evaluation: Evaluation | None) -> None:
        assert isinstance(config.health, HealthOn)
        self.folder, self.probe, self.config, self.evaluation = folder, probe, config, evaluation
        self.every = config.health.every
        self.diagnosis = Diagnosis(probe.reference, patience=config.health.patience)
        self.said: dict[str, Any] = {}  # as status.json has it; empty: there was no look yet
        self.taken: list[
            dict[str, Any]
        ] = []  # the rollbacks so far, which a run without ``health=act`` stays slower by
        self._recorded = HEALTHY  # what stands there since this process began, where nothing means that

    @property
    def finding(self) -> Finding:
        """The state that the looks so far agree on."""
        return self.diagnosis.finding

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        seen = {"probe": self.probe.state_dict(), "diagnosis": self.diagnosis.state_dict(), "said": self.said}
        return {**seen, "taken": list(self.taken)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; one that was saved without a monitor may know of rollbacks alone."""
        self.taken = list(state_dict.get("taken", ()))
        if "said" not in state_dict:
            return
        self.probe.load_state_dict(state_dict["probe"])
        self.diagnosis.load_state_dict(state_dict["diagnosis"])
        self.said = dict(state_dict["said"])

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Of what was before nothing is known, unless there was a look then."""
        if not self.said:
            self.diagnosis.begin(trainer.global_step)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: GAN, optimizer: Optimizer) -> None:  # type: ignore[override]
        """Measure the gradient in a step that is looked at."""
        if (trainer.global_step + 1) % self.every == 0:
            self.probe.before_update(trainer, optimizer)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        """Keep what the step says; look where an interval ends."""
        self.probe.after_step(outputs)
        if trainer.global_step % self.every == 0:
            self._look(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """A run that was stopped by what is not finite has diverged."""
        if isinstance(exception, NotFiniteError):
            self.said = {"state": DIVERGING, "since": trainer.global_step, "figure": str(exception)}

    def _look(self, trainer: Trainer, gan: GAN) -> None:
        before = self.finding
        fid = self.evaluation.latest if self.evaluation else None
        count = self.diagnosis.suspects or trainer.global_step % (2 * self.every) == 0
        seen = self.probe.look(trainer, gan, fid=fid, count=count)
        found = self.diagnosis.see(seen)
        log_scalars(trainer, curves(seen, found, self.probe.reference))
        self.said = self.told(found, trainer)
        if found.state != before.state:
            over = f"well again at step {found.since} ({before.state} since step {before.since} is over)"
            self._say(over if found.healthy else line(self.said))
        if found.state != self._recorded:
            self._record()

    @rank_zero_only
    def _say(self, line: str) -> None:
        """A line above the bar."""
        tqdm.write(f"health: {line}", sys.stderr)

    @rank_zero_only
    def _record(self) -> None:
        """In ``status.json``, while it runs."""
        self._recorded = self.finding.state
        status = read_status(self.folder)
        if status.get("state") == "running":  # a run that is only fitted, by hand, has none
            write_status(self.folder, **{**status, "health": self.said})

    def told(self, found: Finding, trainer: Trainer) -> dict[str, Any]:
        """As ``status.json`` has it."""
        if found.healthy:
            return {"state": found.state, "since": found.since}
        return {**found._asdict(), "knob": knob(found.state, self.config, rates=rates_of(trainer))}


def line(told: Mapping[str, Any]) -> str:
    """What goes wrong: the state, since when, the figure that shows it, what to turn, and where to read."""
    return f"{shown_health({'health': told})}: {told['figure']}; {told['knob']}; see {PAGE}"


def rates_of(trainer: Trainer) -> dict[str, float]:
    """The rate of each network now, without the schedule's factor."""
    groups = [optimizer.param_groups[0] for optimizer in trainer.optimizers]
    return {name: group.get("initial_lr", group["lr"]) for name, group in zip(STEPPED, groups, strict=True)}


def curves(seen: Signals, found: Finding, real: Reference) -> Mapping[str, float]:
    """What a look says, as it is drawn: of real images rank, spread and classes are 1."""
    values = {
        "ordered": seen.ordered,
        "recognised": seen.recognised,
        "rank": seen.rank / real.rank,
        "spread": seen.spread,
        "classes": class_share(seen, real),
        "moved": seen.moved,
        "distance": seen.distance,
        "state": STATES.index(found.state),
    }
    return {f"health/{name}": value for name, value in values.items() if value is not None}
