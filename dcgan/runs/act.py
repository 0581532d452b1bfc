"""``health=act``: a run that goes wrong does not go on so."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from dcgan.config.options import HealthAct
from dcgan.runs.checkpoints import LAST, Checkpoints, linked
from dcgan.runs.load import SUFFIX
from dcgan.runs.monitor import Monitor, line
from dcgan.runs.stop import told_to_stop
from dcgan.shell.words import pasted
from dcgan.training.gan import GAN

BEST = "best"


class UnwellError(ValueError):
    """A run that goes wrong, and is not to go on so.

    Args:
        told: what is wrong, as the monitor tells it.
    """

    def __init__(self, message: str, told: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.told = told


class Act(Callback):
    """Ends a run when its monitor finds that it goes wrong; until then, keeps the newest checkpoint that was well.

    Nothing is done by what held-out images show: a run that memorises is told of, and goes on while that is all.

    A checkpoint was well if the look after it had nothing against the run. Looks of the warm-up never have: what goes
    wrong from the start goes back to it. Each is a folder of links beside the others, so that keeping it costs no space
    until they are replaced.

    Args:
        monitor: which has looked in the same step before.
        checkpoints: which has saved.
    """

    def __init__(self, monitor: Monitor, checkpoints: Checkpoints, config: HealthAct) -> None:
        self.monitor, self.checkpoints, self.config = monitor, checkpoints, config

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Keep where the run begins: every run was well then."""
        if trainer.global_step == 0:
            self.checkpoints.save_last(trainer)
            keep(self.checkpoints.folder)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """After a look: stop, or keep the last checkpoint. After the last step there is nothing left to save.

        A run that is told to stop does so, and this when it goes on.
        """
        step = trainer.global_step
        if step % self.monitor.every or step == trainer.max_steps or told_to_stop(trainer):
            return
        diagnosis = self.monitor.diagnosis
        if not diagnosis.without_held_out.healthy:
            told = self.monitor.told(diagnosis.without_held_out, trainer)
            raise UnwellError(f"step {step}: {line(told)}; {self._words()}", told)
        if step > diagnosis.bounds.warmup and not diagnosis.suspects:
            keep(self.checkpoints.folder)

    def _words(self) -> str:
        """What was done, and what a person may do."""
        if self.config.action != "stop":
            return "stopped by health=act"
        again = f"python -m dcgan.train {pasted('resume', self.monitor.folder)} health.action=rollback"
        return f"stopped by health=act; back to before it, at half the rate: {again}"


def kept(folder: Path) -> Path | None:
    """The newest folder of checkpoints in ``folder`` that were well; None: there is none."""
    there = [path for path in folder.glob("healthy_*") if _number(path) and (path / f"{LAST}.ckpt").exists()]
    return max(there, key=_number, default=None)


def keep(folder: Path) -> None:
    """Keep the last checkpoint, and the best until then, as ones that were well; those kept before go."""
    last, before = folder / f"{LAST}.ckpt", kept(folder)
    if before is not None and (before / last.name).stat().st_mtime_ns == last.stat().st_mtime_ns:
        return
    temporary, target = folder / ".healthy", folder / f"healthy_{1 + (_number(before) if before else 0):06d}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for path in names(folder, (LAST, BEST)):
        linked(path, temporary / path.name)
    temporary.rename(target)  # whole or not there
    if before is not None:
        shutil.rmtree(before)


def _number(path: Path) -> int:
    """Of a folder that ``keep`` made; 0: somebody else did."""
    number = path.name.partition("_")[2]
    return int(number) if number.isdecimal() else 0


def names(folder: Path, checkpoints: Sequence[str]) -> list[Path]:
    """The files of those checkpoints that are in a folder."""
    paths = [folder / f"{name}{suffix}" for name in checkpoints for suffix in (".ckpt", SUFFIX)]
    return [path for path in paths if path.exists()]
