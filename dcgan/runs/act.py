"""``health=act``: a run that goes wrong does not go on so."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from dcgan.config.options import HealthAct
from dcgan.runs.checkpoints import LAST, Checkpoints, linked
from dcgan.runs.load import SUFFIX
from dcgan.runs.monitor import Monitor
from dcgan.shell.words import pasted
from dcgan.training.gan import GAN

BEST = "best"
LEFT_ALONE = "memorising"  # which images of the test split show, by which nothing is to be chosen


class UnwellError(ValueError):
    """A run that its monitor says goes wrong, and that is not to go on so."""


class Act(Callback):
    """Ends a run when its monitor says that it goes wrong; until then, keeps the newest checkpoint that was well.

    A run that memorises is told of, and goes on: that is seen on the test split, by which nothing is chosen.

    A checkpoint was well if the look after it had nothing against the run. Looks of the warm-up never have: what goes
    wrong from the start goes back to it. Each is a folder of links beside the others,
    so that keeping it costs no space until they are replaced.

    Args:
        monitor: which has looked in the same step before.
        checkpoints: which has saved.
    """

    def __init__(self, monitor: Monitor, checkpoints: Checkpoints, config: HealthAct) -> None:
        self.monitor, self.checkpoints, self.config = monitor, checkpoints, config
        self.taken: list[dict[str, Any]] = []  # the rollbacks so far

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"taken": list(self.taken)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.taken = list(state_dict["taken"])

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Keep where the run begins: every run was well then."""
        if trainer.global_step == 0:
            self.checkpoints.save_last(trainer)
            keep(self.checkpoints.folder)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """After a look: stop, or keep the last checkpoint. After the last step there is nothing left to save."""
        step = trainer.global_step
        if step % self.monitor.every or step == trainer.max_steps:
            return
        if not self.monitor.finding.healthy and self.monitor.finding.state != LEFT_ALONE:
            raise UnwellError(f"step {step}: {self.monitor.line()}; {self._words()}")
        if step > self.monitor.diagnosis.bounds.warmup and not self.monitor.diagnosis.suspects:
            keep(self.checkpoints.folder)

    def _words(self) -> str:
        """What was done, and what a person may do."""
        if self.config.action != "stop":
            return "stopped by health=act"
        line = f"python -m dcgan.train {pasted('resume', self.monitor.folder)} health.action=rollback"
        return f"stopped by health=act; back to before it, at half the rate: {line}"


def kept(folder: Path) -> Path | None:
    """The newest folder of checkpoints in ``folder`` that were well; None: there is none."""
    return max(folder.glob("healthy_*"), default=None)


def keep(folder: Path) -> None:
    """Keep the last checkpoint, and the best until then, as ones that were well; those kept before go."""
    last, before = folder / f"{LAST}.ckpt", kept(folder)
    if before is not None and (before / last.name).stat().st_mtime_ns == last.stat().st_mtime_ns:
        return
    number = 1 + int(before.name.partition("_")[2]) if before else 0
    temporary, target = folder / ".healthy", folder / f"healthy_{number:06d}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for path in names(folder, (LAST, BEST)):
        linked(path, temporary / path.name)
    temporary.rename(target)  # whole or not there
    if before is not None:
        shutil.rmtree(before)


def names(folder: Path, checkpoints: Sequence[str]) -> list[Path]:
    """The files of those checkpoints that are in a folder."""
    paths = [folder / f"{name}{suffix}" for name in checkpoints for suffix in (".ckpt", SUFFIX)]
    return [path for path in paths if path.exists()]
