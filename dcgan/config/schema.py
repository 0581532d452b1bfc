"""The keys of each command's configuration and their types. What they mean is said where they are set, in conf/."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from dcgan.config.options import GROUPS, NETWORK_OPTIMIZERS, Data, HealthOn, Logger, OfBoth, Optimizer, Option
from dcgan.config.rules import (
    BETAS,
    CHECKPOINT,
    DEVICES,
    FOLDER,
    GPUS,
    KEPT,
    LABEL,
    NAME,
    NOT_NEGATIVE,
    OBJECTIVES,
    PATH,
    POSITIVE,
    SEED,
    SEEDS,
    STEPS,
    TEXT,
    at_least,
    between,
    one_of,
)
from dcgan.config.trainer import TrainerConfig

DEVICE = one_of("auto", "cpu", "cuda", "mps")
FORMAT = one_of("grid", "png", "npz", "gif", "webp", hint="; nothing that is installed with this writes MP4")


@dataclass
class Ema:
    half_life: Annotated[float, NOT_NEGATIVE]


@dataclass
class Grids:
    every: Annotated[int, at_least(1)]
    n: Annotated[int, between(1, 10_000)]


@dataclass
class Checkpoints:
    every: Annotated[int, at_least(1)]
    keep: Annotated[Any, KEPT]


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
    health: Option = field(default_factory=lambda: HealthOn("on"))  # of runs from before there was any
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
    num_samples: Annotated[int | None, between(10, 1_000_000)]
    memorisation: bool
    cas: bool
    seed: Annotated[int | None, SEED]
    device: Annotated[str, DEVICE]
    out: Annotated[str | None, PATH, FOLDER]
    data: EvaluateData
    metrics: Option | None = None  # a group that is null is left out by Hydra


@dataclass
class DataRoot:
    root: Annotated[str, PATH]
    folder: Annotated[str | None, PATH]


@dataclass
class Downloads:
    root: Annotated[str, PATH]


@dataclass
class GenerateConfig:
    """conf/generate.yaml."""

    run: Annotated[str | None, PATH]
    checkpoint: Annotated[str, CHECKPOINT]
    n: Annotated[int | None, at_least(1)]
    seed: Annotated[Any, SEEDS]
    label: Annotated[Any | None, LABEL]
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
    format: Annotated[str, one_of("onnx", "torch", "safetensors", "web")]
    out: Annotated[str | None, PATH, FOLDER]
    overwrite: bool
    data: Downloads


@dataclass
class DemoConfig:
    """conf/demo.yaml."""

    run: Annotated[str | None, PATH]
    zoo: str | None
    checkpoint: Annotated[str, CHECKPOINT]
    port: Annotated[int | None, between(1, 65535)]
    open: bool
    data: Downloads


@dataclass
class DoctorConfig:
    """conf/doctor.yaml, of a run."""

    run: Annotated[str | None, PATH]
    intervals: Annotated[int, at_least(1)]
    seed: Annotated[int, SEED]
    fix: Annotated[str | None, PATH]
    out: Annotated[str | None, PATH, FOLDER]
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
    out: Annotated[str | None, PATH, FOLDER]


CONF = next(
    folder for folder in (Path(__file__).parents[1] / "_conf", Path(__file__).parents[2] / "conf") if folder.is_dir()
)
Config = TypeVar(
    "Config",
    TrainConfig,
    EvaluateConfig,
    GenerateConfig,
    ExportConfig,
    DemoConfig,
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
    "demo": DemoConfig,
    "tune": TuneConfig,
    "report": ReportConfig,
}


def known_keys(schema: type) -> list[str]:
    """The dotted names of all keys of a command, of every option of its groups, without repetition."""
    return list(dict.fromkeys(key for key, _ in _keys(schema, "")))


def path_keys(schema: type) -> list[str]:
    """Those of them that name a file or a folder."""
    return list(dict.fromkeys(key for key, hint in _keys(schema, "") if PATH in get_args(hint)))


def list_keys(schema: type) -> list[str]:
    """Those of them that take a list, so that several values need not be a sweep."""
    lists = {BETAS, GPUS, DEVICES, SEEDS, STEPS, LABEL, OBJECTIVES}
    return list(dict.fromkeys(key for key, hint in _keys(schema, "") if lists & {*get_args(hint)[1:]}))


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
    return key in GROUPS and get_type_hints(schema).get(key) not in (EvaluateData, DataRoot, Downloads)
