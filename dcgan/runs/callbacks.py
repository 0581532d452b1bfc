"""What a run does beside its steps."""

from dataclasses import asdict, dataclass
from pathlib import Path

from lightning import Callback

from dcgan.config.options import HealthAct
from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.runs.act import Act
from dcgan.runs.checkpoints import Checkpoints
from dcgan.runs.dashboard import Dashboard
from dcgan.runs.evaluation import Evaluation, build_evaluation
from dcgan.runs.health import Health
from dcgan.runs.monitor import Monitor, build_monitor
from dcgan.runs.presence import Presence
from dcgan.runs.progress import Progress
from dcgan.runs.samples import SampleGrids
from dcgan.runs.stop import GracefulStop
from dcgan.training.gan import GAN


@dataclass
class Callbacks:
    """Those that others ask, and all of them ``in_order``: after a step each finds what those before it have done."""

    evaluation: Evaluation | None
    grids: SampleGrids
    stop: GracefulStop
    monitor: Monitor | None
    act: Act | None
    in_order: list[Callback]


def build_callbacks(config: TrainConfig, folder: Path, *, gan: GAN, data: ImageData, saved: TrainConfig) -> Callbacks:
    """The callbacks of a run.

    Args:
        saved: what checkpoints say of how they were made.
    """
    stop, dashboard = GracefulStop(), Dashboard()
    evaluation = build_evaluation(config, folder, data)
    monitor = build_monitor(config, folder, data, evaluation, pack=gan.discriminator.pack)
    real = data.split("train").images
    grids = SampleGrids(folder / "samples", every=config.samples.every, n=config.samples.n, seed=config.seed, real=real)
    health = _health(config, folder, evaluation)
    looking = [dashboard, grids, *([evaluation] if evaluation else []), *([monitor] if monitor else [])]
    saving: list[Callback] = []
    act = None
    if config.trainer.enable_checkpointing:
        checkpoints = Checkpoints(
            folder / "checkpoints",
            every=config.checkpoints.every,
            keep=config.checkpoints.keep,
            config=asdict(saved),
            evaluation=evaluation,
        )
        saving = [checkpoints]
        if isinstance(config.health, HealthAct) and monitor is not None:
            act = Act(monitor, checkpoints, config.health)
            saving.append(act)
    progress = [Progress(dashboard, evaluation, monitor)] if config.trainer.enable_progress_bar else []
    in_order = [Presence(folder), stop, health, *looking, *saving, *progress]
    return Callbacks(evaluation, grids, stop, monitor, act, in_order)


def _health(config: TrainConfig, folder: Path, evaluation: Evaluation | None) -> Health:
    """Looks where something else is about to; with anomaly detection at every step."""
    looks = [1] if config.trainer.detect_anomaly else []
    evaluated = [evaluation.every] if evaluation else []
    return Health(
        folder / "checkpoints" / "last.ckpt", *looks, config.samples.every, config.checkpoints.every, *evaluated
    )
