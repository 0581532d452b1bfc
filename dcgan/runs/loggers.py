"""Where a run's scalars and pictures go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dcgan.runs.compared import hyperparameters


def build_loggers(name: str, folder: Path, *, from_step: int | None) -> list[Logger]:
    """The dashboard's writers; they write into the run folder itself.

    Args:
        from_step: the last that stays of what is there already, which TensorBoard is told; None: nothing is there.
    """
    if name == "tensorboard":
        purge = None if from_step is None else from_step + 1
        return [TensorBoardLogger(folder, name="", version="", default_hp_metric=False, purge_step=purge)]
    if name == "csv":
        return [CSVLogger(folder, name="csv")]  # version_0/metrics.csv; a resumed run writes version_1
    return []


EVALUATION = "Evaluation"  # the group of its tags; TensorBoard puts the capital before all others, and shows five


@rank_zero_only
def log_hyperparameters(trainer: Trainer, config: Mapping[str, Any]) -> None:
    """A row in TensorBoard's HPARAMS tab.

    Only what is the row's own: of an experiment's description beside it TensorBoard would take the first it finds for
    all rows. Without any it finds out from the rows which columns there are, and puts first what differs.
    """
    _, session, _ = hparams(hyperparameters(config), {})
    for writer in _writers(trainer):
        writer._get_file_writer().add_summary(session)


class RunText(Callback):
    """Texts under the dashboard's tab of that name, again where a resumed run goes on."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Write them."""
        for writer in _writers(trainer):
            for tag, text in self.texts.items():
                writer.add_text(tag, f"```\n{text}\n```", trainer.global_step)


def _writers(trainer: Trainer) -> list[SummaryWriter]:
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
