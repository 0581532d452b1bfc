"""Grids of samples over a run, from the same latents throughout."""

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor

from dcgan.data.images import grid, save_png
from dcgan.runs.loggers import log_picture
from dcgan.training.gan import GAN


class SampleGrids(Callback):
    """A grid of samples from fixed latents at step 0, every ``every`` steps and at the end; and one of real images."""

    def __init__(self, folder: Path, *, every: int, n: int, seed: int, real: Tensor) -> None:
        self.folder, self.every, self.n, self.seed, self.real = folder, every, n, seed, real[:n]
        self._shown = -1

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Show where the run begins, and what it is after."""
        if trainer.global_step == 0:
            self._show(trainer, "samples/real", grid(self.real), self.folder / "real.png")
            self._show_samples(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Show progress."""
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            self._show_samples(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Show where the run ends."""
        if self._shown != trainer.global_step:
            self._show_samples(trainer, pl_module)

    @property
    def path(self) -> Path:
        """The latest grid."""
        return self.folder / f"step_{self._shown:06d}.png"

    def _show_samples(self, trainer: Trainer, gan: GAN) -> None:
        self._shown = trainer.global_step
        average = gan.ema.fitted()  # by every process: with trainer.sync_batchnorm they wait for each other there
        if trainer.is_global_zero:
            picture = grid(average.sample(n=self.n, seed=self.seed), num_classes=gan.generator.num_classes)
            self._show(trainer, "samples/generated", picture, self.path)

    @rank_zero_only
    def _show(self, trainer: Trainer, tag: str, picture: Tensor, path: Path) -> None:
        save_png(picture, path)
        log_picture(trainer, tag, picture)
