"""Which values of a configuration do not go together: refused by name, never dropped."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dcgan.config.schema import TrainConfig

# What Lightning would ignore or refuse in manual optimisation, the value that means "not asked for", and what to do.
NO_VALIDATION = "there is no validation loop; metrics.every sets how often the generator is evaluated"
NO_CLIPPING = "in manual optimisation Lightning clips nothing; use optimizer.clip"
UNAVAILABLE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "gradient_clip_val": (
        (None, 0),
        NO_CLIPPING,
    ),
    "gradient_clip_algorithm": (
        (None,),
        NO_CLIPPING,
    ),
    "accumulate_grad_batches": ((1,), "accumulation is not available; raise data.batch_size"),
    "overfit_batches": ((0,), "batches follow from the seed and the step; use limit_train_batches"),
    "use_distributed_sampler": ((False,), "the data set is divided among the devices already; leave it false"),
    "limit_val_batches": ((None,), NO_VALIDATION),
    "limit_test_batches": ((None,), NO_VALIDATION),
    "limit_predict_batches": ((None,), NO_VALIDATION),
    "val_check_interval": ((None,), NO_VALIDATION),
    "check_val_every_n_epoch": ((1,), NO_VALIDATION),
    "num_sanity_val_steps": ((0,), NO_VALIDATION),
    "barebones": ((False,), "use logger=none metrics=none trainer.enable_checkpointing=false"),
    "callbacks": ((None,), "objects cannot be named in a configuration; dcgan/runs.py puts them together"),
    "logger": ((None,), "use the group logger=, with tensorboard, csv or none"),
}


# What each feature space knows. inception fits them all, poorly.
FITTING_DATA: Mapping[str, str] = {"digits": "mnist", "fashion": "fashion_mnist", "stacked": "stacked_mnist"}
NUM_CLASSES: Mapping[str, int] = {"mnist": 10, "fashion_mnist": 10, "stacked_mnist": 1000}  # of data sets with labels

# Keys that only some options of their group use: null elsewhere.
PENALTIES = ("r1", "r2", "r1_r2", "wgan_gp", "dragan")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "loss.label_smoothing": ("non_saturating",),
    "loss.label_flipping": ("non_saturating",),
    "loss.weight_clip": ("wasserstein",),
    "penalty.gamma": PENALTIES,
    "penalty.every": PENALTIES,
    "augment.translation": ("diffaugment",),
    "augment.cutout": ("diffaugment",),
    "augment.brightness": ("diffaugment",),
    "augment.std": ("noise",),
    "augment.decay_steps": ("noise",),
    "augment.consistency": ("diffaugment", "noise"),
    "encoder.share": ("vae_gan",),
    "encoder.weight": ("vae_gan",),
    "encoder.kl": ("vae_gan",),
}
# And of models, those that have no use for a key: build.py asks the signature of any, but not before torch is there.
UNUSED: Mapping[str, tuple[str, ...]] = {
    "model.dense_units": ("mlp", "resnet"),
    "model.base_convs": ("mlp", "resnet"),
    "model.upsample": ("mlp",),
}
DISPENSABLE = {"loss.label_smoothing", "loss.label_flipping", "loss.weight_clip", "augment.consistency"}
OPTIMIZER_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "betas": ("adam", "adamw"),
    "momentum": ("rmsprop", "sgd"),
    "weight_decay": ("adamw",),
}


class Clash(NamedTuple):
    """A value that cannot work beside the others."""

    key: str
    is_one: Callable[[TrainConfig], bool]
    fix: str  # may name values of ``config``, and ``classes``, of the data


IMPOSSIBLE = (
    Clash(
        "penalty.name",
        lambda config: config.penalty.name in PENALTIES and config.model.discriminator.norm == "batch",
        "needs each image's own gradient, which model.discriminator.norm=batch mixes with others; take layer, group, "
        "none or spectral (Gulrajani et al. 2017, section 4)",
    ),
    Clash(
        "penalty.every",
        lambda config: 0 <= config.trainer.max_steps < (config.penalty.every or 0),
        "is longer than the run; must be at most trainer.max_steps",
    ),
    Clash(
        "loss.name",
        lambda config: config.loss.name == "wasserstein" and not _is_lipschitz(config),
        "needs something that bounds its critic's slope: penalty=wgan_gp with model.discriminator.norm=layer, "
        "model.discriminator.norm=spectral, or loss.weight_clip=0.01",
    ),
    Clash(
        "loss.weight_clip",
        lambda config: bool(config.loss.weight_clip) and config.model.discriminator.norm == "spectral",
        "has no effect under model.discriminator.norm=spectral, which scales the weights anew; leave it null",
    ),
    Clash(
        "model.conditional",
        lambda config: config.model.conditional and config.data.name not in NUM_CLASSES,
        "data={config.data.name} has no labels; leave it false",
    ),
    Clash(
        "metrics.num_samples",
        lambda config: (
            config.model.conditional and 0 < (config.metrics.num_samples or 0) < NUM_CLASSES.get(config.data.name, 0)
        ),
        "a conditional model of {config.data.name} has {classes} classes; draw as many at least",
    ),
    Clash(
        "model.generator.conditioning",
        lambda config: config.model.generator.conditioning is not None and not config.model.conditional,
        "is of conditional models; add model.conditional=true",
    ),
    Clash(
        "model.discriminator.conditioning",
        lambda config: config.model.discriminator.conditioning is not None and not config.model.conditional,
        "is of conditional models; add model.conditional=true",
    ),
    Clash(
        "model.generator.conditioning",
        lambda config: config.model.generator.conditioning == "norm" and config.model.generator.norm == "none",
        "no norm in the generator has a gain to follow the label; take concat, or model.generator.norm=batch",
    ),
    Clash(
        "model.depth",
        lambda config: config.model.name != "mlp" and config.data.resolution % 2 ** (config.model.depth or 0) != 0,
        "data.resolution={config.data.resolution} cannot be halved so often; take null, or another resolution",
    ),
    Clash(
        "model.discriminator.pack",
        lambda config: (config.model.discriminator.pack or 1) > 1 and config.model.conditional,
        "a pack has as many labels as images, and model.conditional=true needs one; take 1",
    ),
    Clash(
        "encoder.name",
        lambda config: config.encoder.name != "none" and (config.model.discriminator.pack or 1) > 1,
        "compares images one by one, which model.discriminator.pack mixes; take encoder=none",
    ),
    Clash(
        "encoder.share",
        lambda config: config.encoder.share is not None and config.data.batch_size * config.encoder.share < 2,
        "of data.batch_size={config.data.batch_size} is less than the two images that batch norm needs; raise either",
    ),
    Clash(
        "data.batch_size",
        lambda config: config.data.batch_size % (config.model.discriminator.pack or 1) != 0,
        "must be a multiple of model.discriminator.pack",
    ),
    Clash(
        "data.batch_size",
        lambda config: config.data.batch_size < 2 * (config.model.discriminator.pack or 1),
        "must hold two packs at least (model.discriminator.pack): batch norm needs a batch",
    ),
    Clash(
        "data.channels",
        lambda config: config.data.name == "stacked_mnist" and config.data.channels != 3,
        "stacked_mnist has a digit in each of 3; leave it",
    ),
    Clash("trainer.gpus", lambda config: config.trainer.gpus is None, "must be auto, 0 (CPU), or how many"),
    Clash(
        "trainer.max_steps",
        lambda config: _is_endless(config) and config.trainer.max_time is None,
        "without max_epochs or max_time the run would never end; give one of them",
    ),
    Clash(
        "optimizer.schedule",
        lambda config: _is_endless(config) and config.optimizer.schedule != "constant",
        "needs to know where the run ends; give trainer.max_steps",
    ),
    Clash(
        "optimizer.warmup",
        lambda config: 0 <= config.trainer.max_steps <= config.optimizer.warmup,
        "must be below trainer.max_steps",
    ),
)


def _is_lipschitz(config: TrainConfig) -> bool:
    spectral = config.model.discriminator.norm == "spectral"
    return spectral or bool(config.loss.weight_clip) or config.penalty.name != "none"


def _is_endless(config: TrainConfig) -> bool:
    return config.trainer.max_steps == -1 and config.trainer.max_epochs in (None, -1)


def check_combinations(config: TrainConfig) -> None:
    """Raise ValueError, one line with key, value and fix, where values clash or would have no effect."""
    for key, (neutral, fix) in UNAVAILABLE.items():
        value = getattr(config.trainer, key)
        if value not in neutral:
            raise ValueError(f"trainer.{key}={value}: {fix}")
    for key, users in OPTIONS.items():
        _check_option(config, key, users)
    for key, names in UNUSED.items():
        if config.model.name in names and select(config, key):
            raise ValueError(f"{key}={select(config, key)}: model={config.model.name} has no use for it; leave it null")
    for clash in IMPOSSIBLE:
        if clash.is_one(config):
            value = select(config, clash.key)
            given = f"{clash.key.removesuffix('.name')}={str(value).lower() if isinstance(value, bool) else value}"
            raise ValueError(f"{given}: {clash.fix.format(config=config, classes=NUM_CLASSES.get(config.data.name))}")
    _check_optimizers(config)
    check_metrics_fit(config.metrics.name, config.data.name)
    _check_metrics(config)


def _check_option(config: TrainConfig, key: str, users: tuple[str, ...]) -> None:
    group, value = key.partition(".")[0], select(config, key)
    name = select(config, f"{group}.name")
    if value and name not in users:
        raise ValueError(f"{key}={value}: {group}={name} has no use for it, only {', '.join(users)}; leave it null")
    if value is None and name in users and key not in DISPENSABLE:
        raise ValueError(f"{key}=null: {group}={name} needs a number")


def _check_optimizers(config: TrainConfig) -> None:
    """A network ignores a shared value that its optimiser does not know; one that no network uses is refused."""
    optimizer = config.optimizer
    networks = {"generator": optimizer.generator, "discriminator": optimizer.discriminator}
    for key, users in OPTIMIZER_OPTIONS.items():
        shared = getattr(optimizer, key)
        for network, block in networks.items():
            value = getattr(block, key)
            if value is not None and value != shared and block.name not in users:
                raise ValueError(
                    f"optimizer.{network}.{key}={value}: {block.name} has no use for it, only {', '.join(users)}"
                )
            if value is None and block.name in users and key != "momentum":
                raise ValueError(f"optimizer.{network}.{key}=null: {block.name} needs a value")
        if shared and not any(block.name in users for block in networks.values()):
            raise ValueError(f"optimizer.{key}={shared}: neither network's optimiser has a use for it; set it to null")


def _check_metrics(config: TrainConfig) -> None:
    for key in ("every", "num_samples", "weights"):
        value = getattr(config.metrics, key)
        if config.metrics.name == "none" and value is not None:
            raise ValueError(f"metrics.{key}={value}: metrics=none evaluates nothing; leave it null")
        if config.metrics.name != "none" and value is None and key != "weights":
            raise ValueError(f"metrics.{key}=null: metrics={config.metrics.name} needs a number; or use metrics=none")


def check_metrics_fit(metrics: str, data: str) -> None:
    """Raise ValueError where a feature space does not know the data set: its numbers would mean nothing."""
    known = FITTING_DATA.get(metrics.rstrip("12"), data)
    if known != data:
        raise ValueError(f"metrics={metrics}: knows {known}, not {data}; use metrics={space_for(data)}")


def space_for(data: str) -> str:
    """The feature space that knows a data set."""
    return next(space for space, known in FITTING_DATA.items() if known == data)


def select(config: Any, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    for name in key.split("."):
        config = getattr(config, name, None)
    return config
