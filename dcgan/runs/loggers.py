"""Where a run's scalars and pictures go."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dcgan.config.options import Logger as LoggerConfig
from dcgan.config.options import MLflow, Wandb
from dcgan.runs.compared import hyperparameters


def build_loggers(config: LoggerConfig, folder: Path, *, from_step: int | None) -> list[Logger]:
    """The dashboard's writers; they write into the run folder itself, but for MLflow's one data base of all runs.

    Args:
        from_step: the last that stays of what is there already, which TensorBoard is told; None: nothing is there.

    Raises:
        ValueError: one that is not installed.
    """
    try:
        return _loggers(config, folder, from_step)
    except ModuleNotFoundError as error:
        raise ValueError(f"logger={config.name}: is not installed; pip install 'dcgan[{config.name}]'") from error


def _loggers(config: LoggerConfig, folder: Path, from_step: int | None) -> list[Logger]:
    if config.name == "tensorboard":
        purge = None if from_step is None else from_step + 1
        return [TensorBoardLogger(folder, name="", version="", default_hp_metric=False, purge_step=purge)]
    if config.name == "csv":
        return [CSVLogger(folder, name="csv")]  # version_0/metrics.csv; a resumed run writes version_1
    if isinstance(config, Wandb):
        return [_wandb(config, folder)]
    if isinstance(config, MLflow):
        return [_mlflow(config, folder, going_on=from_step is not None)]
    return []


def _wandb(config: Wandb, folder: Path) -> Logger:
    import wandb  # Lightning's logger would ask for it when the run has begun

    settings = wandb.Settings(silent=True, console="off")
    return WandbLogger(
        name=folder.name,
        id=_same(folder),
        resume="allow",
        save_dir=folder,
        project=config.project,
        offline=config.offline,
        settings=settings,
    )


def _same(folder: Path) -> str:
    """What a run is found again by, when it goes on."""
    return hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]


def _mlflow(config: MLflow, folder: Path, *, going_on: bool) -> Logger:
    """Its run is found again by a tag."""
    logger = MLFlowLogger(
        experiment_name=config.project,
        run_name=folder.name,
        tracking_uri=config.uri,
        tags={"folder": str(folder.absolute()), "same": _same(folder)},
        artifact_location=str(Path("outputs", "mlflow").absolute()),
    )
    if going_on and (experiment := logger._mlflow_client.get_experiment_by_name(config.project)):
        asked = f"tags.same = '{_same(folder)}'"
        found = logger._mlflow_client.search_runs([experiment.experiment_id], asked, max_results=1)
        logger._run_id = found[0].info.run_id if found else None
    return logger


def log_picture(trainer: Trainer, tag: str, picture: Tensor) -> None:
    """Show a uint8 (C, H, W) picture in every dashboard that has room for one."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(tag, picture, trainer.global_step)
        elif isinstance(logger, WandbLogger):
            logger.log_image(tag, [picture.permute(1, 2, 0).numpy()], step=trainer.global_step)
        elif isinstance(logger, MLFlowLogger):
            pixels = picture.permute(1, 2, 0).numpy()
            logger.experiment.log_image(logger.run_id, pixels, key=tag.replace("/", "_"), step=trainer.global_step)


def close(trainer: Trainer) -> None:
    """Let go of what would otherwise be taken for the next run's too, in a sweep."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish()


def log_histograms(trainer: Trainer, values: Mapping[str, Tensor]) -> None:
    """The distributions of ``values`` at this step, which TensorBoard alone has a tab for."""
    for writer in _writers(trainer):
        for tag, tensor in values.items():
            writer.add_histogram(tag, tensor.detach().float(), trainer.global_step)


EVALUATION = "Evaluation"  # the group of its tags; TensorBoard puts the capital before all others, and shows five


# The tab CUSTOM SCALARS: what is read together in one chart each; the tags are regular expressions.
LAYOUT = {
    "Training": {
        "losses": ["Multiline", ["loss/generator$", "loss/discriminator$"]],
        "D's verdict on real and fake": ["Multiline", ["probability/real", "probability/fake"]],
        "share that D judges rightly, and that fools it": ["Multiline", ["accuracy/(real|fake|fooled)"]],
        "gradient norms": ["Multiline", ["grad_norm/.*"]],
    },
    "Evaluation": {
        "FID": ["Multiline", [f"{EVALUATION}/fid_.*", f"{EVALUATION}/best/fid_.*"]],
        "share of samples that the classifier is sure of": ["Multiline", [f"{EVALUATION}/confident_.*"]],
        "KL of the classes": ["Multiline", [f"{EVALUATION}/class_kl_.*"]],
    },
}


@rank_zero_only
def log_hyperparameters(trainer: Trainer, config: Mapping[str, Any], *, begins: bool) -> None:
    """A row in TensorBoard's HPARAMS tab, of which it takes a run's first; that may be one of another logger before.

    Only what is the row's own: of an experiment's description beside it TensorBoard would take the first it finds for
    all rows. Without any it finds out from the rows which columns there are, and puts first what differs.
    """
    _, session, _ = hparams(hyperparameters(config), {})
    for writer in _writers(trainer):
        writer._get_file_writer().add_summary(session)
        writer.add_custom_scalars(LAYOUT)
    for logger in trainer.loggers if begins else ():
        if isinstance(logger, WandbLogger | MLFlowLogger):
            logger.log_hyperparams(hyperparameters(config))


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
