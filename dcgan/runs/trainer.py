"""Lightning's Trainer, as a run uses it."""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.profilers import PassThroughProfiler

from dcgan.config.schema import TrainConfig
from dcgan.runs.checkpoints import AtomicCheckpointIO
from dcgan.runs.hardware import on_cpu, several_processes
from dcgan.runs.launch import cluster_environment
from dcgan.runs.loggers import build_loggers
from dcgan.runs.stop import TimeLimit


def build_trainer(
    config: TrainConfig,
    folder: Path,
    *,
    hardware: Mapping[str, Any],
    callbacks: Sequence[Callback],
    from_step: int | None = None,
) -> Trainer:
    """Lightning's Trainer, with the loggers of the run.

    Args:
        from_step: as ``build_loggers`` takes it.

    Raises:
        ValueError: Lightning refuses an argument.
    """
    quiet_lightning()
    given = asdict(replace(config.trainer, gpus=None, strategy=None))  # which ``hardware`` has
    arguments = {key: value for key, value in given.items() if value is not None}
    arguments = {"default_root_dir": folder, "profiler": NoProfiler(), **arguments}
    ours = {
        "callbacks": list(callbacks),
        "logger": build_loggers(config.logger, folder, from_step=from_step),
        "enable_checkpointing": False,  # ours are callbacks of our own, and so is the bar
        "enable_progress_bar": False,
    }
    for name in [one for one in os.environ if one.startswith("PL_TRAINER_")]:
        del os.environ[name]  # Lightning's: it would add to what was typed and recorded
    try:
        if (limit := arguments.pop("max_time", None)) is not None:
            ours["callbacks"] = [TimeLimit(limit), *callbacks]  # before those that save: what is over is over in theirs
        several = several_processes(config.trainer.num_nodes, hardware)
        plugins = [AtomicCheckpointIO(), cluster_environment(several=several), *_as_list(config.trainer.plugins)]
        arguments = {**arguments, **hardware, **ours, "plugins": plugins}
        if hardware["precision"] == "16-mixed" and on_cpu(hardware):  # of which Lightning would make bf16-mixed
            plugins.append(MixedPrecision(arguments.pop("precision"), "cpu"))
        trainer = Trainer(**arguments)
    except (MisconfigurationException, ImportError, TypeError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())
        if "interactive environment" in line:  # Lightning advises a strategy that cannot train two networks
            line = "several devices are of a script, python -m dcgan.train; in a notebook or at a prompt take one"
        raise ValueError(f"trainer: {line}") from error
    # Lightning asks the other processes in every step whether SIGTERM came, and waits; GracefulStop asks now and then.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


class NoProfiler(PassThroughProfiler):
    """Measures nothing: Lightning's own still enters a generator for every hook of every callback, 60 times a step."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]
        """A block without a beginning or an end."""
        return nullcontext(action_name)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def quiet_lightning() -> None:
    """Silence what Lightning says to everybody and what does not hold here, by its text; everything else is shown."""
    for package in ("pytorch", "fabric"):  # not the loggers of the profiler and the model summary
        logging.getLogger(f"lightning.{package}.utilities.rank_zero").setLevel(logging.WARNING)
    for text in QUIETED:
        warnings.filterwarnings("ignore", message=text)


QUIETED = (
    r"Be aware that when using `ckpt_path`",  # a replay leaves out what training does not depend on
    r"Found \d+ module\(s\) in eval mode at the start of training",  # the averaged generator, always
    r"You're resuming from a checkpoint that ended before the epoch ended",  # batches follow from the step
    r"The number of training batches .* is smaller than the logging interval",  # which counts steps of the run
    r"The `srun` command is available on your system but is not used",  # nor need it be
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
)
