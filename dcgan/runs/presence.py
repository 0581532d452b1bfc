"""A sign of life in the run folder, and a look whether the folder is still there."""

import os
import time
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only

from dcgan.shell.status import FILE
from dcgan.training.gan import GAN

EVERY = 60.0  # seconds between signs, by which other machines tell that this process lives


class Presence(Callback):
    """Touches ``status.json`` now and then; stops a run whose folder was deleted, before anything makes it anew."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._last = float("-inf")

    @rank_zero_only
    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """One look a step (2 µs), one touch a minute."""
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path.parent}: was deleted while the run wrote into it")
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            os.utime(self.path)
