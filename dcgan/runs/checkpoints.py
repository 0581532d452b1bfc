"""What a run keeps of its weights, and how it is written."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.io import TorchCheckpointIO

from dcgan import __version__
from dcgan.data.plain import load_plain
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.finite import not_finite, tensors_of
from dcgan.runs.load import SUFFIX, save_generator
from dcgan.shell.writing import replacing
from dcgan.training.gan import GAN


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, syncs, renames: a reader or a power cut finds the old file or the new one, whole.

    (Lightning's own goes through ``$TMPDIR``, which on another device is a plain copy.)
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` to ``path``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)


class Checkpoints(Callback):
    """``last.ckpt`` every ``every`` steps and at the end, ``best.ckpt`` by the evaluation, ``step_*.ckpt`` if ``keep``.

    (Lightning's ModelCheckpoint does not write the end of training between two intervals, and names files by a
    counter of optimiser steps.) The resolved configuration travels inside, as plain containers.
    """

    def __init__(
        self, folder: Path, *, every: int, keep: bool, config: dict[str, Any], evaluation: Evaluation | None
    ) -> None:
        self.folder, self.every, self.keep, self.config, self.evaluation = folder, every, keep, config, evaluation
        self._saved = -1

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the configuration, and what made it."""
        checkpoint["config"], checkpoint["version"] = self.config, __version__

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Save where an interval ends, or an evaluation just found the best."""
        step = trainer.global_step
        self._save_best(trainer)
        if step % self.every == 0 or step == trainer.max_steps or trainer.should_stop:
            self._saved = step
            self._save(trainer, "last")
        if step % self.every == 0 and self.keep:
            self._save(trainer, f"step_{step:06d}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save where training ended otherwise: by epochs, or by time."""
        if self._save_best(trainer) or self._saved != trainer.global_step:
            self._save(trainer, "last")

    def _save(self, trainer: Trainer, name: str) -> None:
        """A checkpoint to go on from, and beside it the generator to draw with."""
        path = self.folder / f"{name}.ckpt"
        generator = _gan(trainer).ema.fitted()
        trainer.save_checkpoint(path, weights_only=False)  # said, or Lightning says so at every save
        if trainer.is_global_zero:
            save_generator(generator, self.folder / f"{name}{SUFFIX}", config=self.config, step=trainer.global_step)

    def _save_best(self, trainer: Trainer) -> bool:
        improved = self.evaluation is not None and self.evaluation.take_improved()
        if improved:
            self._save(trainer, "best")
        return improved


def _gan(trainer: Trainer) -> GAN:
    assert isinstance(trainer.lightning_module, GAN)
    return trainer.lightning_module


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain containers, onto the CPU; nothing in it is executed.

    Raises:
        ValueError: the file is no checkpoint of this package, is damaged, or holds what is not finite.
    """
    try:
        checkpoint = load_plain(path)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable checkpoint ({error})") from error
    if not isinstance(checkpoint, dict) or "config" not in checkpoint or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is not a checkpoint of this package")
    parts = {key: checkpoint.get(key) for key in ("state_dict", "optimizer_states")}
    if fault := not_finite(dict(tensors_of(parts))):
        raise ValueError(f"{path} holds values that are not finite ({fault}); take another checkpoint")
    return checkpoint
