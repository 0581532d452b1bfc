"""The keys of a configuration and their types, as dataclasses. What they mean is said where they are set, in conf/."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints


@dataclass
class EMAConfig:
    half_life: float


@dataclass
class GeneratorConfig:
    norm: str | None = "batch"
    conditioning: str | None = None


@dataclass
class DiscriminatorConfig:
    norm: str | None = "batch"
    conditioning: str | None = None
    dropout: float | None = 0.0
    minibatch_stddev: bool | None = False
    pack: int | None = 1


@dataclass
class ModelConfig:
    name: str
    width: int
    depth: int | None
    latent_dim: int
    dense_units: int | None = None
    base_convs: int | None = 0
    norm: str | None = "batch"
    upsample: str | None = "transposed"
    init: str | None = "normal"
    conditional: bool = False
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)


@dataclass
class LossConfig:
    name: str
    label_smoothing: float | None = None
    label_flipping: float | None = None
    weight_clip: float | None = None


@dataclass
class PenaltyConfig:
    name: str = "none"
    gamma: float | None = None
    every: int | None = None


@dataclass
class AugmentConfig:
    name: str = "none"
    translation: float | None = None
    cutout: float | None = None
    brightness: float | None = None
    std: float | None = None
    decay_steps: int | None = None
    consistency: float | None = None


@dataclass
class EncoderConfig:
    name: str = "none"
    share: float | None = None
    weight: float | None = None
    kl: float | None = None


@dataclass
class NetworkOptimizerConfig:
    name: str
    lr: float
    betas: list[float] | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip: float | None = None


@dataclass
class OptimizerConfig:
    lr: float
    generator: NetworkOptimizerConfig
    discriminator: NetworkOptimizerConfig
    betas: list[float] | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    schedule: str = "constant"
    warmup: int = 0


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
    penalty: PenaltyConfig = field(default_factory=PenaltyConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    fast_ends: bool = False  # as it was for runs that do not know the key; conf/train.yaml has true
    fast_gradients: bool = False
    keep_freed_memory: bool = True


@dataclass
class EvaluateDataConfig:
    name: str | None
    root: str | None


@dataclass
class EvaluateConfig:
    """conf/evaluate.yaml."""

    run: str | None
    samples: str | None
    checkpoint: str
    split: str
    num_samples: int | None
    memorisation: bool
    cas: bool
    seed: int | None
    device: str
    out: str | None
    data: EvaluateDataConfig
    metrics: MetricsConfig | None = None  # a group that is null is left out by Hydra


@dataclass
class GenerateConfig:
    """conf/generate.yaml."""

    run: str
    checkpoint: str
    n: int
    seed: int
    label: int | None
    format: str
    out: str | None
    overwrite: bool
    device: str


CONF = next(
    folder for folder in (Path(__file__).parents[1] / "_conf", Path(__file__).parents[2] / "conf") if folder.is_dir()
)
Config = TypeVar("Config", TrainConfig, EvaluateConfig, GenerateConfig)
SCHEMAS: dict[str, type] = {"train": TrainConfig, "evaluate": EvaluateConfig, "generate": GenerateConfig}


def known_keys(schema: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of all keys of a schema, inner ones included."""
    hints = get_type_hints(schema)
    for key in fields(schema):
        yield prefix + key.name
        for kind in (hints[key.name], *get_args(hints[key.name])):
            if is_dataclass(kind):
                yield from known_keys(kind, f"{prefix}{key.name}.")  # type: ignore[arg-type]
