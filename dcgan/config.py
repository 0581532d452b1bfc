"""The shape of a configuration, and what it must satisfy before anything starts. No torch: mistakes answer at once.

Hydra refuses unknown keys on the command line only. This check sees the composed configuration, so a key misspelt in an
experiment file, or appended with ``+``, is refused too.
"""

import difflib
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


@dataclass
class EMAConfig:
    half_life: float


@dataclass
class ModelConfig:
    name: str
    width: int
    depth: int | None
    latent_dim: int


@dataclass
class LossConfig:
    name: str


@dataclass
class NetworkOptimizerConfig:
    name: str
    lr: float
    betas: list[float]


@dataclass
class OptimizerConfig:
    lr: float
    betas: list[float]
    generator: NetworkOptimizerConfig
    discriminator: NetworkOptimizerConfig


@dataclass
class DataConfig:
    name: str
    root: str
    batch_size: int
    resolution: int
    channels: int


@dataclass
class MetricsConfig:
    name: str
    every: int | None
    num_samples: int | None
    weights: str | None


@dataclass
class SamplesConfig:
    every: int
    n: int


@dataclass
class CheckpointsConfig:
    every: int
    keep: bool


@dataclass
class LoggerConfig:
    name: str


@dataclass
class TrainerConfig:
    """Every argument of ``lightning.Trainer``, and ``gpus``. Lightning itself checks those that are ``Any`` here."""

    gpus: Any
    max_steps: int
    precision: Any
    log_every_n_steps: int
    deterministic: Any
    max_epochs: int | None
    max_time: Any
    accelerator: str | None
    devices: Any
    strategy: str | None
    num_nodes: int
    logger: Any
    callbacks: Any
    fast_dev_run: Any
    min_epochs: int | None
    min_steps: int | None
    limit_train_batches: Any
    limit_val_batches: Any
    limit_test_batches: Any
    limit_predict_batches: Any
    overfit_batches: Any
    val_check_interval: Any
    check_val_every_n_epoch: int | None
    num_sanity_val_steps: int
    enable_checkpointing: bool
    enable_progress_bar: bool
    enable_model_summary: bool
    accumulate_grad_batches: int
    gradient_clip_val: Any
    gradient_clip_algorithm: Any
    benchmark: bool | None
    inference_mode: bool
    use_distributed_sampler: bool
    profiler: str | None
    detect_anomaly: bool
    barebones: bool
    plugins: Any
    sync_batchnorm: bool
    reload_dataloaders_every_n_epochs: int
    default_root_dir: str | None
    enable_autolog_hparams: bool
    model_registry: str | None


@dataclass
class TrainConfig:
    """conf/train.yaml and its groups."""

    name: str
    seed: int
    d_steps: int
    channels_last: bool
    ema: EMAConfig
    samples: SamplesConfig
    checkpoints: CheckpointsConfig
    model: ModelConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    data: DataConfig
    metrics: MetricsConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    resume: str | None


@dataclass
class DataRootConfig:
    root: str | None


@dataclass
class EvaluateConfig:
    """conf/evaluate.yaml."""

    run: str
    checkpoint: str
    split: str
    num_samples: int | None
    seed: int | None
    device: str
    data: DataRootConfig
    metrics: MetricsConfig | None = None  # a group that is null is left out by Hydra


@dataclass
class GenerateConfig:
    """conf/generate.yaml."""

    run: str
    checkpoint: str
    n: int
    seed: int
    format: str
    out: str | None
    overwrite: bool
    device: str


CONF = next(
    folder for folder in (Path(__file__).parent / "_conf", Path(__file__).parents[1] / "conf") if folder.is_dir()
)
Config = TypeVar("Config", TrainConfig, EvaluateConfig, GenerateConfig)
SCHEMAS: dict[str, type] = {"train": TrainConfig, "evaluate": EvaluateConfig, "generate": GenerateConfig}

# What Lightning would ignore or refuse in manual optimisation, the value that means "not asked for", and what to do.
UNAVAILABLE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "gradient_clip_val": ((None, 0), "gradient clipping is not available; leave it null"),
    "gradient_clip_algorithm": ((None,), "gradient clipping is not available; leave it null"),
    "accumulate_grad_batches": ((1,), "accumulation is not available; raise data.batch_size"),
    "overfit_batches": ((0,), "batches follow from the seed and the step; use limit_train_batches"),
    "use_distributed_sampler": ((False,), "the data set is divided among the devices already; leave it false"),
    "callbacks": ((None,), "objects cannot be named in a configuration; dcgan/runs.py puts them together"),
    "logger": ((None,), "use the group logger=, with tensorboard, csv or none"),
}


class Rule:
    """What a value must satisfy, in words and as a test. ``None`` passes where the schema allows it."""

    def __init__(self, words: str, test: Callable[[Any], bool]) -> None:
        self.words, self.test = words, test


def _at_least(least: int) -> Rule:
    return Rule(f"must be at least {least}", lambda value: value >= least)


def _one_of(*choices: Any) -> Rule:
    return Rule(f"must be one of {', '.join(map(str, choices))}", lambda value: value in choices)


POSITIVE = Rule("must be a finite number above 0", lambda value: math.isfinite(value) and value > 0)
BETAS = Rule("must be two numbers in [0, 1)", lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value))
SEED = Rule("must be from 0 to 2**32 - 1", lambda value: 0 <= value < 2**32)
NAME = Rule(
    "must be letters, digits, '.', '_' or '-', 60 at most",
    lambda value: re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,59}", value) is not None,
)
CHECKPOINT = Rule(
    "must be best, last, or the number of a step", lambda value: bool(re.fullmatch(r"best|last|\d+", value))
)
RULES: Mapping[str, Rule] = {
    "name": NAME,
    "seed": SEED,
    "d_steps": _at_least(1),
    "ema.half_life": Rule("must be a finite number, 0 or more", lambda value: math.isfinite(value) and value >= 0),
    "samples.every": _at_least(1),
    "samples.n": _at_least(1),
    "checkpoints.every": _at_least(1),
    "model.width": _at_least(1),
    "model.depth": _at_least(1),
    "model.latent_dim": _at_least(1),
    "optimizer.lr": POSITIVE,
    "optimizer.betas": BETAS,
    "optimizer.generator.lr": POSITIVE,
    "optimizer.generator.betas": BETAS,
    "optimizer.discriminator.lr": POSITIVE,
    "optimizer.discriminator.betas": BETAS,
    "data.batch_size": Rule("must be at least 2: batch norm needs a batch", lambda value: value >= 2),
    "data.resolution": Rule("must be a multiple of 4", lambda value: value >= 4 and value % 4 == 0),
    "data.channels": _one_of(1, 3),
    "metrics.every": _at_least(1),
    "metrics.num_samples": _at_least(2),
    "trainer.max_steps": Rule("must be at least 1, or -1 for no limit", lambda value: value >= 1 or value == -1),
    "trainer.log_every_n_steps": _at_least(0),
    "logger.name": _one_of("tensorboard", "csv", "none"),
    "split": _one_of("test", "train"),
    "num_samples": _at_least(2),
    "checkpoint": CHECKPOINT,
    "n": _at_least(1),
    "format": _one_of("grid", "png", "npz"),
    "device": _one_of("auto", "cpu", "cuda", "mps"),
}


def check(config: DictConfig, schema: type[Config]) -> Config:
    """Turn a composed configuration into a ``schema``.

    Raises:
        ValueError: one line with the key, the value and what it may be.
    """
    _refuse_unknown_keys(OmegaConf.to_container(config), schema)  # type: ignore[arg-type]
    try:
        typed = OmegaConf.merge(OmegaConf.structured(schema), config)
        missing = OmegaConf.missing_keys(typed)
        if missing:
            raise ValueError(f"{min(missing)}: no value; give it as {min(missing)}=...")
        result = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise ValueError(_one_line(error)) from error
    assert isinstance(result, schema)
    for key, rule in RULES.items():
        value = _select(result, key)
        if value is not None and not rule.test(value):
            raise ValueError(f"{key}={value}: {rule.words}")
    if isinstance(result, TrainConfig):
        _check_training(result)
    return result


def _check_training(config: TrainConfig) -> None:
    trainer = config.trainer
    for key, (neutral, fix) in UNAVAILABLE.items():
        value = getattr(trainer, key)
        if value not in neutral:
            raise ValueError(f"trainer.{key}={value}: {fix}")
    if trainer.max_steps == trainer.max_epochs == -1 or (
        trainer.max_steps == -1 and trainer.max_epochs is None and trainer.max_time is None
    ):
        raise ValueError(
            "trainer.max_steps=-1: without max_epochs or max_time the run would never end; give one of them"
        )
    if config.metrics.name != "none":
        for key in ("every", "num_samples"):
            if getattr(config.metrics, key) is None:
                raise ValueError(
                    f"metrics.{key}=null: metrics={config.metrics.name} needs a number; or use metrics=none"
                )
    for key in ("every", "num_samples", "weights"):
        value = getattr(config.metrics, key)
        if config.metrics.name == "none" and value is not None:
            raise ValueError(f"metrics.{key}={value}: metrics=none evaluates nothing; leave it null")


# What does not change what a run learns, so neither its folder's name.
UNNAMED = re.compile(
    r"[+~]*(name|experiment|resume|sweep|trainer|logger|samples|checkpoints|data\.root|hydra)([./@=]|$)"
)
LONGEST_NAME = 80


def named(overrides: Sequence[str]) -> list[str]:
    """What was typed that changes what a run computes."""
    return [override for override in overrides if not UNNAMED.match(override)]


def folder_name(name: str, told: Sequence[str]) -> str:
    """The name of a run folder: ``name`` and the overrides ``told``, in ``[A-Za-z0-9._-]``, 80 bytes at most.

    Such a path can be pasted behind ``run=``: Hydra stumbles over ``=``, ``,`` and brackets.
    """
    words = [re.sub(r"[^A-Za-z0-9.]+", "-", override).strip("-") for override in told if override != f"model={name}"]
    full = "_".join([name, *words])
    if len(full) <= LONGEST_NAME:
        return full
    return f"{full[: LONGEST_NAME - 9]}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"


# What may be changed when a run is resumed: how long, where and how it is shown, not what is computed.
FREE_ON_RESUME = re.compile(r"(trainer|logger|samples|checkpoints)(\..*)?|data\.root|resume")


def resumed(typed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration of the run ``typed.resume``, with only those of its values changed that were typed now.

    Args:
        typed: what the command line composes to.
        overrides: the words of the command line.

    Raises:
        ValueError: something was typed that would make it another run, or there is no such run.
    """
    path = Path(typed.resume) / "config.yaml"
    if not path.is_file():
        raise ValueError(f"resume={typed.resume}: no run folder (it has no config.yaml)")
    run = OmegaConf.load(path)
    assert isinstance(run, DictConfig)
    for override in overrides:
        key = re.split(r"[=@]", override.lstrip("+~"))[0].replace("/", ".")
        for leaf in _leaves(typed, "" if key == "experiment" else key):
            now, then = OmegaConf.select(typed, leaf), OmegaConf.select(run, leaf)
            if FREE_ON_RESUME.fullmatch(leaf):
                OmegaConf.update(run, leaf, now, force_add=True)
            elif now != then:
                raise ValueError(f"{leaf}={now}: the run {typed.resume} has {then}; leave it, or start a new run")
    return run


def _leaves(config: DictConfig, key: str) -> Iterator[str]:
    node = OmegaConf.select(config, key) if key else config
    if isinstance(node, DictConfig):
        for name in map(str, node):
            yield from _leaves(config, f"{key}.{name}" if key else name)
    else:
        yield key


def known_keys(schema: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of all keys of a schema, inner ones included."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        yield prefix + field.name
        for kind in (hints[field.name], *get_args(hints[field.name])):
            if is_dataclass(kind):
                yield from known_keys(kind, f"{prefix}{field.name}.")  # type: ignore[arg-type]


def unknown_key(key: str, schema: type) -> str:
    """The line for a key that does not exist, with the nearest that do."""
    near = difflib.get_close_matches(key, list(known_keys(schema)), n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]}?" if near else "; --help lists them"
    return f"{key}: no such key{hint}"


def _refuse_unknown_keys(values: Mapping[Any, Any], schema: type, prefix: str = "") -> None:
    known = set(known_keys(schema))
    groups = {key.rpartition(".")[0] for key in known}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key not in known:
            raise ValueError(unknown_key(key, schema))
        if key in groups and isinstance(value, Mapping):
            _refuse_unknown_keys(value, schema, f"{key}.")


def _select(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name, None)
    return config


KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def _one_line(error: OmegaConfBaseException) -> str:
    key, first = str(error.full_key), str(error).splitlines()[0]
    if match := re.match(r"Value '(.*)' (?:of type '.*' could not be converted to|is not a valid) (\w+)", first):
        return f"{key}={match[1]}: must be {KINDS.get(match[2], match[2])}"
    if re.match(r"Incompatible value 'None'|field '.*' is not Optional", first):
        return f"{key}=null: must have a value"
    if match := re.match(r"Invalid type assigned: (\w+) is not a subclass of \w+\. value: (.*)", first):
        return f"{key}={match[2]}: is a group of keys, such as {key}.name={match[2]}"
    return f"{key}: {first}"
