"""From a configuration to the parts of a run, and their start."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf

from dcgan.config.options import Metrics
from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.features.spaces import load_feature_space
from dcgan.metrics.reference import reference_of, statistics_folder
from dcgan.runs.checkpoints import Checkpoints, load_checkpoint
from dcgan.runs.dashboard import Dashboard
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.hardware import ask_for_gpus_once, keep_freed_memory, resolve_hardware
from dcgan.runs.health import Health
from dcgan.runs.loggers import RunText, log_hyperparameters
from dcgan.runs.progress import Progress
from dcgan.runs.provenance import provenance
from dcgan.runs.samples import SampleGrids
from dcgan.runs.stop import GracefulStop
from dcgan.runs.trainer import build_trainer
from dcgan.shell.contents import what_is
from dcgan.shell.status import write_status
from dcgan.shell.words import pasted
from dcgan.shell.writing import append_json, replacing
from dcgan.training.build import build_data, build_gan
from dcgan.training.gan import GAN


@dataclass
class Run:
    """The parts of a training run, ready to start; ``config`` has the machine's choices filled in."""

    config: TrainConfig
    folder: Path
    gan: GAN
    data: ImageData
    trainer: Trainer
    evaluation: Evaluation | None
    grids: SampleGrids
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
    if config.fast:
        keep_freed_memory()
    resolved = replace(config, resume=None, trainer=replace(config.trainer, precision=hardware["precision"]))
    gan, data = build_gan(config), build_data(config)
    data.setup("fit")
    dashboard, stop = Dashboard(), GracefulStop()
    evaluation = build_evaluation(config, folder, data)
    grids = SampleGrids(
        folder / "samples",
        every=config.samples.every,
        n=config.samples.n,
        seed=config.seed,
        real=data.split("train").images,
    )
    intervals = [config.samples.every, config.checkpoints.every, *([evaluation.every] if evaluation else [])]
    health = Health(folder / "checkpoints" / "last.ckpt", *intervals)
    callbacks: list[Callback] = [stop, health, dashboard, grids, *([evaluation] if evaluation else [])]
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
    data.check_batch(world=trainer.world_size, pack=gan.discriminator.pack)
    return Run(resolved, folder, gan, data, trainer, evaluation, grids, stop)


def build_evaluation(config: TrainConfig, folder: Path, data: ImageData) -> Evaluation | None:
    """The FID against the training split, or nothing with ``metrics=none``."""
    metrics = config.metrics
    if metrics.name == "none":
        return None
    assert isinstance(metrics, Metrics)
    space = load_feature_space(metrics.name, weights=getattr(metrics, "weights", None))
    images, cache = data.split("train").images, statistics_folder(data.root)
    real = reference_of(space, images, with_features=False, cache=cache)
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


def shared_folder(folder: Path) -> Path:
    """The first process's folder: those that Lightning starts for further devices repeat the whole command."""
    starter, _, told = os.environ.get("DCGAN_RUN_FOLDER", "").partition(":")
    if os.environ.get("LOCAL_RANK", "0") != "0" and starter == str(os.getppid()):
        return Path(told)
    os.environ["DCGAN_RUN_FOLDER"] = f"{os.getpid()}:{folder}"
    return folder


@rank_zero_only
def record_start(run: Run, overrides: Sequence[str], *, resume: bool) -> None:
    """Write the resolved configuration and where it came from; a resumed run adds a line on where it went on."""
    if not resume:
        _claim(run.folder)
    config, origin = OmegaConf.create(asdict(run.config)), provenance(overrides)
    with replacing(run.folder / "config.yaml") as temporary:
        OmegaConf.save(config, temporary)
    append_json(run.folder / "provenance.jsonl", origin)
    texts = RunText({"run/config": OmegaConf.to_yaml(config), "run/command": shlex.join(origin["command"])})
    run.trainer.callbacks.append(texts)  # type: ignore[attr-defined]


def _claim(folder: Path) -> None:
    """Make the folder this run's, or refuse; of two that come at once, one gets it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if any(folder.iterdir()):
            raise FileExistsError
        (folder / "config.yaml").open("x").close()
    except FileExistsError as error:
        raise ValueError(f"{folder}: is not empty; choose another folder, or {pasted('resume', folder)}") from error


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
        kind = what_is(run.last)
        words = f"its checkpoints/last.ckpt is {kind}" if kind else "it has no checkpoints/last.ckpt to go on with"
        raise ValueError(f"resume={run.folder}: {words}")
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
        log_hyperparameters(run.trainer, asdict(run.config))
    run.trainer.fit(run.gan, run.data, ckpt_path=run.last if resume else None, weights_only=True)
