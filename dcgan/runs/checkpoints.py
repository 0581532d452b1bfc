"""What a run keeps of its weights, how it is written, and how damage is noticed."""

import hashlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.loggers import TensorBoardLogger

from dcgan import __version__
from dcgan.data.plain import load_plain
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.finite import not_finite, tensors_of
from dcgan.runs.load import SUFFIX, save_generator
from dcgan.shell.writing import replacing
from dcgan.training.gan import GAN

LAST, PREVIOUS = "last", "previous"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, syncs, renames: a reader or a power cut finds the old file or the new one, whole.

    (Lightning's own goes through ``$TMPDIR``, which on another device is a plain copy.) A digest goes with it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` to ``path``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(target) as temporary:
            temporary.write_bytes(sealed(content.getvalue()))


SEAL = b"sha256:"
_SEALED, _END = len(SEAL) + 64, 22  # bytes of it, and of the archive's last record
_LENGTH = 2  # bytes at a zip archive's end that say how long the comment behind them is (APPNOTE.TXT, 4.3.16)


def sealed(archive: bytes) -> bytes:
    """The zip archive that ``torch.save`` writes, with its own digest as the archive's comment."""
    assert archive.endswith(b"\0\0")  # there is none yet
    seal = SEAL + hashlib.sha256(archive[:-_LENGTH]).hexdigest().encode()
    return archive[:-_LENGTH] + len(seal).to_bytes(_LENGTH, "little") + seal


def is_whole(content: bytes) -> bool:
    """Whether an archive is as it was sealed, not cut or changed since; of one that never was nobody can tell."""
    if content[-_END:].startswith(b"PK\5\6") and content.endswith(b"\0\0"):
        return True  # without a comment: another program's, or an earlier version's
    archive, digest = content[: -_SEALED - _LENGTH], content[-_SEALED:]
    return digest == SEAL + hashlib.sha256(archive).hexdigest().encode()


class Checkpoints(Callback):
    """``last.ckpt`` every ``every`` steps and at the end, ``best.ckpt`` by the evaluation, ``step_*.ckpt`` if ``keep``.

    Beside the last the one before, ``previous.ckpt``, should the last be damaged.

    (Lightning's ModelCheckpoint does not write the end of training between two intervals, and names files by a
    counter of optimiser steps.) The resolved configuration travels inside, as plain containers.
    """

    def __init__(
        self, folder: Path, *, every: int, keep: bool | int, config: dict[str, Any], evaluation: Evaluation | None
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
            self.save_last(trainer)
        if step % self.every == 0 and self.keep:
            self._save(trainer, f"step_{step:06d}")
            if trainer.is_global_zero:
                self._thin_out()

    def save_last(self, trainer: Trainer) -> None:
        """Save now, as at the end of an interval."""
        self._saved = trainer.global_step
        self._save(trainer, LAST)

    def _thin_out(self) -> None:
        """Where a number of them is to be kept, the latest stay."""
        if self.keep is True:
            return
        for path in sorted(self.folder.glob("step_*.ckpt"), key=lambda path: int(path.stem[5:]))[: -self.keep]:
            path.with_name(path.stem + SUFFIX).unlink(missing_ok=True)
            path.unlink()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save where training ended otherwise: by epochs, or by time."""
        if self._save_best(trainer) or self._saved != trainer.global_step:
            self._save(trainer, LAST)

    def _save(self, trainer: Trainer, name: str) -> None:
        """A checkpoint to go on from, and beside it the generator to draw with."""
        path = self.folder / f"{name}.ckpt"
        generator = _gan(trainer).ema.fitted()
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            flush(trainer)  # a killed run goes on from here: what was logged until now must not be lost with it
            # Before it, so that beside the last of all checkpoints there is never an older generator.
            save_generator(generator, self.folder / f"{name}{SUFFIX}", config=self.config, step=trainer.global_step)
            if name == LAST and path.exists():
                linked(path, path.with_name(f"{PREVIOUS}.ckpt"))
        trainer.save_checkpoint(path, weights_only=False)  # said, or Lightning says so at every save

    def _save_best(self, trainer: Trainer) -> bool:
        improved = self.evaluation is not None and self.evaluation.take_improved()
        if improved:
            self._save(trainer, "best")
        return improved


def flush(trainer: Trainer) -> None:
    """Have every logger write out what it keeps back."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):  # whose save() writes another file
            logger.experiment.flush()
        else:
            logger.save()


def linked(path: Path, other: Path) -> None:
    """Give a file another name, too: until one of them is replaced, both are there, and take no space."""
    with replacing(other) as temporary:
        try:
            os.link(path, temporary)
        except OSError:  # a file system without links
            shutil.copy2(path, temporary)


class DamagedError(ValueError):
    """A checkpoint that is not as it was written."""


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint in ``folder`` to go on from: the last, or if that is damaged, with a word, the one before.

    None: there is none.

    Raises:
        ValueError: there is, but not one that can be read.
    """
    reasons = []
    for path in (folder / f"{name}.ckpt" for name in (LAST, PREVIOUS)):
        if path.is_file():
            try:
                load_checkpoint(path)
            except DamagedError as error:
                reasons.append(str(error))
                continue
            if reasons:
                print(f"note: {reasons[0]}; going on from {path}", file=sys.stderr)
            return path
    if reasons:
        raise DamagedError(reasons[0])
    return None


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
        raise DamagedError(f"{path} is not a readable checkpoint ({error})") from error
    if not is_whole(path.read_bytes()):
        raise DamagedError(f"{path} is not a readable checkpoint (it is not as it was written: its digest differs)")
    if not isinstance(checkpoint, dict) or "config" not in checkpoint or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is not a checkpoint of this package")
    parts = {key: checkpoint.get(key) for key in ("state_dict", "optimizer_states")}
    if fault := not_finite(dict(tensors_of(parts))):
        raise ValueError(f"{path} holds values that are not finite ({fault}); take another checkpoint")
    return checkpoint
