"""A look whether the run folder is still there."""

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only

from dcgan.shell.status import FILE
from dcgan.training.gan import GAN


class Presence(Callback):
    """Stops a run whose folder was deleted, before anything makes it anew."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._recorded = False  # a run that is only fitted, by hand, has no status

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Look whether there is something to watch."""
        self._recorded = self.path.exists()

    @rank_zero_only
    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """One look a step (28 µs)."""
        if self._recorded and not self.path.exists():
            raise FileNotFoundError(f"{self.path.parent}: was deleted while the run wrote into it")
