"""What a run shows while it trains. Every x-axis is the number of generator steps."""

import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from tqdm import tqdm

from dcgan.data.module import ImageData
from dcgan.features import FeatureSpace
from dcgan.gan import GAN
from dcgan.images import grid, save_png
from dcgan.metrics.measure import monitor, record, values
from dcgan.metrics.protocol import append_record, protocol
from dcgan.metrics.reference import Reference

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def log_scalars(trainer: Trainer, values: Mapping[str, float]) -> None:
    """Write ``values`` to every logger at the current step."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(values), step=trainer.global_step)


class Dashboard(Callback):
    """What ``training_step`` observed, learning rates and images/s, every ``trainer.log_every_n_steps``."""

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._since: tuple[float, int] = (0.0, 0)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Start the clock."""
        self._since = (time.perf_counter(), trainer.global_step)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        """Log what the step observed, if it did."""
        if not outputs:
            return
        self.latest = {name: float(value) for name, value in outputs.items()}
        self.latest["speed/images_per_second"] = self._speed(trainer, len(batch[0]) * trainer.world_size)
        for name, optimizer in zip(("discriminator", "generator"), trainer.optimizers, strict=True):
            self.latest[f"lr/{name}"] = optimizer.param_groups[0]["lr"]
        log_scalars(trainer, self.latest)

    def _speed(self, trainer: Trainer, images_per_step: int) -> float:
        """Real images per second of wall time since the last look, evaluation and pictures included."""
        (then, step), now = self._since, time.perf_counter()
        self._since = (now, trainer.global_step)
        return (trainer.global_step - step) * images_per_step / (now - then)


class Samples(Callback):
    """A grid of samples from fixed latents at step 0, every ``every`` steps and at the end; and one of real images."""

    def __init__(self, folder: Path, *, every: int, n: int, seed: int, real: Tensor) -> None:
        self.folder, self.every, self.n, self.seed, self.real = folder, every, n, seed, real[:n]
        self._shown = -1

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Show where the run begins, and what it is after."""
        if trainer.global_step == 0:
            self._show(trainer, "samples/real", grid(self.real), self.folder / "real.png")
            self._show_samples(trainer, pl_module)

    @rank_zero_only
    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Show progress."""
        if trainer.global_step % self.every == 0:
            self._show_samples(trainer, pl_module)

    @rank_zero_only
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
        picture = grid(gan.sample(n=self.n, seed=self.seed), num_classes=gan.generator.num_classes)
        self._show(trainer, "samples/generated", picture, self.path)

    def _show(self, trainer: Trainer, tag: str, picture: Tensor, path: Path) -> None:
        save_png(picture, path)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(tag, picture, trainer.global_step)


class Evaluation(Callback):
    """The FID of the averaged generator every ``every`` steps and at the end, against the *training* split.

    From a classifier come three more: the KL of the classes from the data's, how many occur (modes), and the share of
    samples that it is sure of.

    Checkpoints are chosen on it; the reported numbers come from the test split, by ``dcgan.evaluate``.
    Draws from streams of its own, without gradients: an evaluated run ends with the weights of one that is not.
    """

    def __init__(
        self,
        path: Path,
        *,
        space: FeatureSpace,
        real: Reference,
        data: ImageData,
        every: int,
        num_samples: int,
        seed: int,
    ) -> None:
        self.path, self.space, self.real, self.data = path, space, real, data
        self.every, self.num_samples, self.seed = every, num_samples, seed
        self.name = protocol(space.name, "train", num_samples)
        self.latest: float | None = None
        self.best: float | None = None
        self.best_step = -1
        self._evaluated, self._improved = -1, False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best": self.best, "best_step": self.best_step, "latest": self.latest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.best_step, self.latest = (state_dict[key] for key in ("best", "best_step", "latest"))

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Evaluate where an interval ends, and at the last step."""
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            self._evaluate(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Evaluate what training ended with otherwise, by epochs or by time, unless somebody waits for it to stop."""
        if self._evaluated != trainer.global_step and not interrupted(trainer):
            self._evaluate(trainer, pl_module)
        if self.best is not None:
            log_scalars(trainer, {f"best/{self.name}": self.best})

    def take_improved(self) -> bool:
        """Whether an evaluation since the last call was the best so far."""
        improved, self._improved = self._improved, False
        return improved

    def _evaluate(self, trainer: Trainer, gan: GAN) -> None:
        self._evaluated = trainer.global_step
        found = trainer.strategy.broadcast(self._score(gan) if trainer.is_global_zero else {})
        self.latest = value = found[self.name]
        if self.best is None or value < self.best:
            self.best, self.best_step, self._improved = value, trainer.global_step, True
        log_scalars(trainer, found)

    def _score(self, gan: GAN) -> dict[str, float]:
        started = time.perf_counter()
        features = self.space.extract(gan.sample(n=self.num_samples, seed=self.seed), device=gan.device)
        found = monitor(features, space=self.space, real=self.real)
        line = record(
            found,
            features,
            space=self.space,
            real=self.real,
            data=self.data,
            split="train",
            seed=self.seed,
            started=started,
        )
        append_record(self.path, {"step": self._evaluated, **line})
        names = {name: protocol(self.space.name, "train", self.num_samples, metric=name) for name in found}
        return {names[name]: value for name, value in values(found).items()}


class Progress(Callback):
    """One bar over all steps, with losses, FID, images/s and the time remaining."""

    def __init__(self, dashboard: Dashboard, evaluation: Evaluation | None) -> None:
        self.dashboard, self.evaluation = dashboard, evaluation
        self._bar: tqdm[Any] | None = None

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Open the bar where training stands. Into a file or a pipe it writes a line every ten seconds, no more."""
        total = trainer.estimated_stepping_batches
        self._bar = tqdm(
            total=int(total) if total != float("inf") else None,
            initial=trainer.global_step,
            unit="step",
            mininterval=0.5 if sys.stderr.isatty() else 10,
            dynamic_ncols=True,
        )

    @rank_zero_only
    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, *_: Any) -> None:  # type: ignore[override]
        """Advance."""
        assert self._bar is not None
        if outputs:
            self._bar.set_postfix_str(self._text(), refresh=False)
        self._bar.update()

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Close the bar."""
        assert self._bar is not None
        self._bar.set_postfix_str(self._text(), refresh=False)
        self._bar.close()

    def _text(self) -> str:
        shown = {
            "D": ("loss/discriminator", "{:.2f}"),
            "G": ("loss/generator", "{:.2f}"),
            "img/s": ("speed/images_per_second", "{:.0f}"),
        }
        latest = self.dashboard.latest
        parts = [f"{name} {form.format(latest[key])}" for name, (key, form) in shown.items() if key in latest]
        if self.evaluation is not None and self.evaluation.latest is not None:
            parts.append(f"FID {self.evaluation.latest:.1f}")
        return "  ".join(parts)


class GracefulStop(Callback):
    """Ctrl-C and SIGTERM finish the step, save, and stop; a second one stops at once, at the last checkpoint."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Listen, where that is possible: only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.received:
                raise KeyboardInterrupt
            self.received = signal.Signals(number)
            tqdm.write(f"{self.received.name}: finishing the step and saving; once more to stop at once", sys.stderr)

        self._before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Stop after this step if one of the processes was told to; all of them save together."""
        told = self.received is not None
        if trainer.world_size > 1:
            told = trainer.strategy.reduce_boolean_decision(told, all=False)
            self.received = self.received or (signal.SIGTERM if told else None)
        trainer.should_stop = trainer.should_stop or told

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Stop listening."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Stop listening."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def interrupted(trainer: Trainer) -> bool:
    """Whether somebody asked the run to stop."""
    return any(isinstance(callback, GracefulStop) and callback.received for callback in trainer.callbacks)  # type: ignore[attr-defined]
