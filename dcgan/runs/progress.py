"""The bar that a person watches."""

import sys
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from tqdm import tqdm

from dcgan.runs.dashboard import Dashboard, is_shown
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.monitor import Monitor
from dcgan.shell.status import shown_health
from dcgan.training.gan import GAN


class Progress(Callback):
    """One bar over all steps, with losses, FID, images/s and the time remaining; and what goes wrong."""

    def __init__(self, dashboard: Dashboard, evaluation: Evaluation | None, monitor: Monitor | None = None) -> None:
        self.dashboard, self.evaluation, self.monitor = dashboard, evaluation, monitor
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
        if is_shown(trainer, trainer.global_step):
            self._bar.set_postfix_str(self._text(), refresh=False)
        self._bar.update()

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Close the bar."""
        assert self._bar is not None
        self._bar.set_postfix_str(self._text(), refresh=False)
        self._bar.close()

    @rank_zero_only
    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Close the bar where it stands."""
        if self._bar is not None:
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
        if self.monitor is not None and (found := shown_health({"health": self.monitor.said})):
            parts.insert(0, found)
        return "  ".join(parts)
