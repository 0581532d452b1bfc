"""Where a run's scalars and pictures go."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.tensorboard.summary import hparams


def build_loggers(name: str, folder: Path) -> list[Logger]:
    """The dashboard's writers; they write into the run folder itself."""
    if name == "tensorboard":
        return [TensorBoardLogger(folder, name="", version="", default_hp_metric=False)]
    if name == "csv":
        return [CSVLogger(folder, name="csv")]  # version_0/metrics.csv; a resumed run writes version_1
    return []


# What runs are compared by; how they are shown, kept and measured is not.
COMPARED = re.compile(
    r"(seed|d_steps|fast|(ema|model|loss|optimizer|data)\..*|trainer\.(max_steps|precision))(?<!data\.root)"
)


@rank_zero_only
def log_hyperparameters(trainer: Trainer, config: Mapping[str, Any], metrics: Sequence[str]) -> None:
    """A row in TensorBoard's HPARAMS tab; it shows the last value of each of ``metrics``."""
    flat = {
        key: value
        for key, value in flatten(config).items()
        if COMPARED.fullmatch(key) and isinstance(value, str | bool | int | float)
    }
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            for summary in hparams(flat, dict.fromkeys(metrics, 0.0)):
                logger.experiment._get_file_writer().add_summary(summary)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
