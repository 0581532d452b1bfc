"""The keys of each command's configuration and their types. What they mean is said where they are set, in conf/."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from dcgan.config.options import GROUPS, NETWORK_OPTIMIZERS, Data, Logger, OfBoth, Optimizer, Option
from dcgan.config.rules import (
    CHECKPOINT,
    GPUS,
    KEPT,
    LABEL,
    LIMIT,
    NAME,
    NOT_NEGATIVE,
    OBJECTIVES,
    PATH,
    POSITIVE,
    SEED,
    SEEDS,
    STEPS,
    TEXT,
    Rule,
    at_least,
    left_alone,
    one_of,
)

NO_VALIDATION = "there is no validation loop; metrics.every sets how often the generator is evaluated"
NO_CLIPPING = "in manual optimisation Lightning clips nothing; use optimizer.clip"
DEVICE = one_of("auto", "cpu", "cuda", "mps")
FORMAT = one_of("grid", "png", "npz", "gif", "webp", hint="; nothing that is installed with this writes MP4")


@dataclass
class Ema:
    half_life: Annotated[float, NOT_NEGATIVE]


@dataclass
class Grids:
    every: Annotated[int, at_least(1)]
    n: Annotated[int, at_least(1)]


@dataclass
class Checkpoints:
    every: Annotated[int, at_least(1)]
    keep: Annotated[Any, KEPT]


@dataclass
class TrainerConfig:
    """Every argument of ``lightning.Trainer``, and ``gpus``. ``None`` leaves its default, and it checks ``Any``.

    What Lightning would ignore or refuse in manual optimisation is refused here, with what to do instead.
    """

    gpus: Annotated[Any, GPUS]
    max_steps: Annotated[int, LIMIT]
    precision: Annotated[Any, one_of("auto", "32-true", 32, "bf16-mixed", "16-mixed")]
    log_every_n_steps: Annotated[int, at_least(0)]
    max_epochs: Annotated[int | None, LIMIT] = None
    max_time: Any = None
    min_epochs: int | None = None
    min_steps: int | None = None
    accelerator: str | None = None
    devices: Any = None
    strategy: str | None = None
    num_nodes: int = 1
    deterministic: Any = None
    benchmark: bool | None = None
    fast_dev_run: Any = False
    limit_train_batches: Annotated[Any, Rule("must be above 0", lambda value: isinstance(value, str) or value > 0)] = (
        None
    )
    enable_checkpointing: bool = True
    enable_progress_bar: bool = True
    enable_model_summary: bool = False
    profiler: str | None = None
    detect_anomaly: bool = False
    plugins: Any = None
    sync_batchnorm: bool = False
    inference_mode: bool = True
    reload_dataloaders_every_n_epochs: int = 0
    default_root_dir: Annotated[str | None, PATH] = None
    enable_autolog_hparams: bool = True
    model_registry: str | None = None
    logger: Annotated[Any, left_alone(fix="use the group logger=, with tensorboard, csv, wandb, mlflow or none")] = None
    callbacks: Annotated[
        Any, left_alone(fix="objects cannot be named in a configuration; dcgan/runs/run.py puts them together")
    ] = None
    gradient_clip_val: Annotated[Any, left_alone(0, fix=NO_CLIPPING)] = None
    gradient_clip_algorithm: Annotated[Any, left_alone(fix=NO_CLIPPING)] = None
    accumulate_grad_batches: Annotated[
        int, left_alone(1, fix="accumulation is not available; raise data.batch_size")
    ] = 1
    overfit_batches: Annotated[
        Any, left_alone(0, fix="batches follow from the seed and the step; use limit_train_batches")
    ] = 0.0
    use_distributed_sampler: Annotated[
        bool, left_alone(False, fix="the data set is divided among the devices already; leave it false")
    ] = False
    limit_val_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    limit_test_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    limit_predict_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    val_check_interval: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    check_val_every_n_epoch: Annotated[int | None, left_alone(1, fix=NO_VALIDATION)] = 1
    num_sanity_val_steps: Annotated[int, left_alone(0, fix=NO_VALIDATION)] = 0
    barebones: Annotated[
        bool, left_alone(False, fix="use logger=none metrics=none trainer.enable_checkpointing=false")
    ] = False


@dataclass
class TrainConfig:
    """conf/train.yaml and its groups."""

    name: Annotated[str, NAME]
    seed: Annotated[int, SEED]
    d_steps: Annotated[int, at_least(1)]
    fast: bool
    ema: Ema
    samples: Grids
    checkpoints: Checkpoints
    model: Option
    loss: Option
    penalty: Option
    augment: Option
    optimizer: OfBoth
    data: Data
    metrics: Option
    trainer: TrainerConfig
    logger: Logger
    init: Annotated[str | None, PATH] = None
    resume: Annotated[str | None, PATH] = None


@dataclass
class EvaluateData:
    name: str | None
    root: Annotated[str, PATH]
    folder: Annotated[str | None, PATH]


@dataclass
class EvaluateConfig:
    """conf/evaluate.yaml."""

    run: Annotated[str | None, PATH]
    samples: Annotated[str | None, PATH]
    checkpoint: Annotated[str, CHECKPOINT]
    split: Annotated[str, one_of("test", "train")]
    num_samples: Annotated[int | None, at_least(10)]
    memorisation: bool
    cas: bool
    seed: Annotated[int | None, SEED]
    device: Annotated[str, DEVICE]
    out: Annotated[str | None, PATH]
    data: EvaluateData
    metrics: Option | None = None  # a group that is null is left out by Hydra


@dataclass
class DataRoot:
    root: Annotated[str, PATH]
    folder: Annotated[str | None, PATH]


@dataclass
class GenerateConfig:
    """conf/generate.yaml."""

    run: Annotated[str | None, PATH]
    checkpoint: Annotated[str, CHECKPOINT]
    n: Annotated[int | None, at_least(1)]
    seed: Annotated[Any, SEEDS]
    label: Annotated[Any, LABEL]
    format: Annotated[str, FORMAT]
    out: Annotated[str | None, PATH]
    overwrite: bool
    device: Annotated[str, DEVICE]
    mode: Annotated[str, one_of("grid", "interpolate", "progress", "compare", "sheet")] = "grid"
    text: Annotated[str | None, TEXT] = None
    labels: Annotated[str, one_of("even", "data")] = "even"
    truncation: Annotated[float | None, POSITIVE] = None
    weights: Annotated[str, one_of("averaged", "raw")] = "averaged"
    path: Annotated[str, one_of("spherical", "linear")] = "spherical"
    loop: bool = False
    steps: Annotated[Any, STEPS] = None
    zoo: str | None = None
    data: DataRoot = field(default_factory=lambda: DataRoot("data", None))


@dataclass
class ExportConfig:
    """conf/export.yaml."""

    run: Annotated[str | None, PATH]
    zoo: str | None
    checkpoint: Annotated[str, CHECKPOINT]
    format: Annotated[str, one_of("onnx", "torch", "safetensors")]
    out: Annotated[str | None, PATH]
    overwrite: bool


@dataclass
class DoctorConfig:
    """conf/doctor.yaml, of a run."""

    run: Annotated[str | None, PATH]
    intervals: Annotated[int, at_least(1)]
    seed: Annotated[int, SEED]
    fix: Annotated[str | None, PATH]
    out: Annotated[str | None, PATH]
    data: DataRoot
    metrics: Option | None = None  # a group that is null is left out by Hydra


@dataclass
class CheckupConfig(DoctorConfig):
    """The same, of images."""

    data: Data  # type: ignore[assignment]


@dataclass(kw_only=True)
class SearchConfig:
    """What conf/tune.yaml has beside conf/train.yaml."""

    name: Annotated[str | None, NAME]
    search: dict[str, Any]
    trials: Annotated[int, at_least(1)]
    sampler: Annotated[str, one_of("tpe", "random")]
    objective: Annotated[Any, OBJECTIVES]
    pruning: bool
    storage: Annotated[str, one_of("journal", "sqlite")]


@dataclass(kw_only=True)
class TuneConfig(SearchConfig, TrainConfig):  # type: ignore[misc]  # a search need not be given a name
    """conf/tune.yaml."""


@dataclass
class ReportConfig:
    """conf/report.yaml."""

    run: Annotated[str, PATH]
    metric: str | None
    out: Annotated[str | None, PATH]


CONF = next(
    folder for folder in (Path(__file__).parents[1] / "_conf", Path(__file__).parents[2] / "conf") if folder.is_dir()
)
Config = TypeVar(
    "Config",
    TrainConfig,
    EvaluateConfig,
    GenerateConfig,
    ExportConfig,
    DoctorConfig,
    CheckupConfig,
    ReportConfig,
    SearchConfig,
)
SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "generate": GenerateConfig,
    "doctor": CheckupConfig,
    "export": ExportConfig,
    "tune": TuneConfig,
    "report": ReportConfig,
}


def known_keys(schema: type) -> list[str]:
    """The dotted names of all keys of a command, of every option of its groups, without repetition."""
    return list(dict.fromkeys(key for key, _ in _keys(schema, "")))


def path_keys(schema: type) -> list[str]:
    """Those of them that name a file or a folder."""
    return list(dict.fromkeys(key for key, hint in _keys(schema, "") if PATH in get_args(hint)))


def _keys(kind: type, prefix: str) -> Iterator[tuple[str, Any]]:
    hints, with_rules = _hints(kind), _hints(kind, with_rules=True)
    for key in (one.name for one in fields(kind)):
        yield prefix + key, with_rules[key]
        for inner in _within(kind, key, hints[key], prefix):
            yield from _keys(inner, f"{prefix}{key}.")


@cache
def _hints(kind: type, *, with_rules: bool = False) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=with_rules)


def _within(kind: type, key: str, hint: Any, prefix: str) -> list[type]:
    """The dataclasses that the value of a key may be of."""
    if issubclass(kind, OfBoth) and key in ("generator", "discriminator"):
        return [*NETWORK_OPTIMIZERS.values(), Optimizer]
    found = [one for one in (hint, *get_args(hint)) if is_dataclass(one)]
    return GROUPS[key].kinds() if found and not prefix and is_group(kind, key) else found  # type: ignore[return-value]


def is_group(schema: type, key: str) -> bool:
    """Whether a key of a command is a group of options; ``data`` of ``evaluate`` is none."""
    return key in GROUPS and get_type_hints(schema).get(key) not in (EvaluateData, DataRoot)
