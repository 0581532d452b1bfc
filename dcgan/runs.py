"""From a configuration to the parts of a run, and from a run folder back to a generator."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.profilers import PassThroughProfiler
from omegaconf import OmegaConf

from dcgan.build import build_data, build_gan
from dcgan.callbacks import Dashboard, Evaluation, GracefulStop, Progress, Samples
from dcgan.checkpoints import AtomicCheckpointIO, Checkpoints, load_checkpoint
from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.features import load_feature_space
from dcgan.gan import GAN
from dcgan.hardware import ask_for_gpus_once, keep_freed_memory, resolve_device, resolve_hardware
from dcgan.loggers import build_loggers, log_hyperparameters
from dcgan.metrics.reference import reference
from dcgan.provenance import provenance
from dcgan.status import write_status


@dataclass
class Run:
    """The parts of a training run, ready to start; ``config`` has the machine's choices filled in."""

    config: TrainConfig
    folder: Path
    gan: GAN
    data: ImageData
    trainer: Trainer
    evaluation: Evaluation | None
    samples: Samples
    stop: GracefulStop

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "checkpoints" / "last.ckpt"


def build_run(config: TrainConfig, folder: Path) -> Run:
    """Everything that training needs. What can be refused is refused here; ``folder`` is not touched.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong and what to do.
    """
    hardware = resolve_hardware(config.trainer)
    ask_for_gpus_once()
    if config.keep_freed_memory:
        keep_freed_memory()
    resolved = replace(config, resume=None, trainer=replace(config.trainer, precision=hardware["precision"]))
    gan, data = build_gan(config), build_data(config)
    data.setup("fit")
    dashboard, stop = Dashboard(), GracefulStop()
    evaluation = build_evaluation(config, folder, data)
    samples = Samples(
        folder / "samples",
        every=config.samples.every,
        n=config.samples.n,
        seed=config.seed,
        real=data.split("train").images,
    )
    callbacks: list[Callback] = [stop, dashboard, samples, *([evaluation] if evaluation else [])]
    if config.trainer.enable_checkpointing:
        checkpoints = Checkpoints(
            folder / "checkpoints",
            every=config.checkpoints.every,
            keep=config.checkpoints.keep,
            config=asdict(resolved),
            evaluation=evaluation,
        )
        callbacks.append(checkpoints)
    if config.trainer.enable_progress_bar:
        callbacks.append(Progress(dashboard, evaluation))
    trainer = build_trainer(config, folder, hardware=hardware, callbacks=callbacks)
    data.check_batch(world=trainer.world_size)
    return Run(resolved, folder, gan, data, trainer, evaluation, samples, stop)


def build_evaluation(config: TrainConfig, folder: Path, data: ImageData) -> Evaluation | None:
    """The FID against the training split, or nothing with ``metrics=none``."""
    metrics = config.metrics
    if metrics.name == "none":
        return None
    assert metrics.every is not None  # checked with the configuration
    assert metrics.num_samples is not None
    space = load_feature_space(metrics.name, weights=metrics.weights)
    images, cache = data.split("train").images, statistics_folder(data.root)
    real = reference(space, images, with_features=False, cache=cache)
    path = folder / "metrics.jsonl"
    return Evaluation(
        path,
        space=space,
        real=real,
        data=data,
        every=metrics.every,
        num_samples=metrics.num_samples,
        seed=config.seed,
    )


def statistics_folder(root: Path) -> Path:
    """Where the statistics of real images are kept: beside the data they came from."""
    return root / "statistics"


def build_trainer(
    config: TrainConfig, folder: Path, *, hardware: Mapping[str, Any], callbacks: Sequence[Callback]
) -> Trainer:
    """Lightning's Trainer, with the loggers of the run.

    Raises:
        ValueError: Lightning refuses an argument.
    """
    quiet_lightning()
    arguments = {key: value for key, value in asdict(config.trainer).items() if value is not None and key != "gpus"}
    arguments = {"default_root_dir": folder, "profiler": NoProfiler(), **arguments}
    ours = {
        "callbacks": list(callbacks),
        "logger": build_loggers(config.logger.name, folder),
        "plugins": [AtomicCheckpointIO(), *_as_list(config.trainer.plugins)],
        "enable_checkpointing": False,  # ours are callbacks of our own, and so is the bar
        "enable_progress_bar": False,
    }
    try:
        return Trainer(**{**arguments, **hardware, **ours})
    except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"trainer: {' '.join(str(error).split())}") from error


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
    r"The 'train_dataloader' does not have many workers",  # batches are gathered from memory
    r"Found \d+ module\(s\) in eval mode at the start of training",  # the averaged generator, always
    r"You're resuming from a checkpoint that ended before the epoch ended",  # batches follow from the step
    r"The number of training batches .* is smaller than the logging interval",  # which counts steps of the run
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
)


def shared_folder(folder: Path) -> Path:
    """The first process's folder: those that Lightning starts for further devices repeat the whole command."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.environ["DCGAN_RUN_FOLDER"] = str(folder)
    return Path(os.environ.get("DCGAN_RUN_FOLDER", folder))


@rank_zero_only
def record_start(run: Run, overrides: Sequence[str], *, resume: bool) -> None:
    """Write the resolved configuration and where it came from; a resumed run adds a line on where it went on."""
    if not resume:
        try:
            run.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise ValueError(f"{run.folder}: another run took this folder just now; start this one again") from error
    OmegaConf.save(OmegaConf.create(asdict(run.config)), run.folder / "config.yaml")
    with (run.folder / "provenance.jsonl").open("a") as file:
        file.write(json.dumps(provenance(overrides)) + "\n")


@rank_zero_only
def record_status(run: Run, **status: Any) -> None:
    """Write ``status.json``."""
    write_status(run.folder, **status)


def resume_step(run: Run) -> int:
    """The step at which a resumed run goes on.

    Raises:
        ValueError: there is nothing to go on with, or nothing left to do.
    """
    if not run.last.is_file():
        raise ValueError(f"resume={run.folder}: it has no checkpoints/last.ckpt to go on with")
    step = int(load_checkpoint(run.last)["global_step"])
    limit = run.config.trainer.max_steps
    if 0 <= limit <= step:
        raise ValueError(
            f"resume={run.folder}: it stands at step {step} of trainer.max_steps={limit}; type a larger one"
        )
    return step


def fit(run: Run, *, resume: bool) -> None:
    """Train, from the start or from the last checkpoint."""
    if not resume:
        metrics = ["loss/discriminator", "loss/generator"]
        metrics += [run.evaluation.name, f"best/{run.evaluation.name}"] if run.evaluation else []
        log_hyperparameters(run.trainer, asdict(run.config), metrics)
    run.trainer.fit(run.gan, run.data, ckpt_path=run.last if resume else None, weights_only=True)


def checkpoint_path(run: Path, checkpoint: str) -> Path:
    """The file of ``best``, ``last`` or a step. For a run that was never evaluated, the best is the last, with a word.

    Raises:
        FileNotFoundError: not a run folder, or no such checkpoint; the message lists those there are.
    """
    folder = run / "checkpoints"
    name = f"step_{int(checkpoint):06d}" if checkpoint.isdigit() else checkpoint
    there = sorted(path.stem for path in folder.glob("*.ckpt"))
    if not there:
        raise FileNotFoundError(f"run={run}: no run folder with checkpoints")
    if name == "best" and "best" not in there and "last" in there:
        print("note: this run was not evaluated, so it has no best checkpoint; taking the last", file=sys.stderr)
        name = "last"
    if name not in there:
        raise FileNotFoundError(f"checkpoint={checkpoint}: {run} has {', '.join(there)}")
    return folder / f"{name}.ckpt"


def load_gan(run: Path, *, checkpoint: str = "best", device: str = "auto") -> tuple[GAN, TrainConfig, int]:
    """Rebuild a GAN from a run folder, in evaluation mode, with its configuration and the step it was saved at.

    Raises:
        FileNotFoundError: no such run or checkpoint.
        ValueError: the checkpoint is damaged, or its weights are not those of its configuration.
    """
    path = checkpoint_path(run, checkpoint)
    content = load_checkpoint(path)
    config = check(OmegaConf.create(content["config"]), TrainConfig)
    gan = build_gan(config)
    try:
        gan.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit its configuration") from error
    gan.to(resolve_device(device))
    return gan.eval(), config, int(content["global_step"])
