"""Which values of a configuration do not go together: refused by name, never dropped."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dcgan.config.catalogue import CATALOGUE, DataSet, facts_of, misfit, no_choice
from dcgan.config.rules import shown
from dcgan.config.schema import TrainConfig


class Keys:
    """A configuration by its dotted keys: ``keys["loss.weight_clip"]``; None where its options have no such key."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def __getitem__(self, key: str) -> Any:
        found: Any = self.config
        for name in key.split("."):
            found = getattr(found, name, None)
        return found

    @property
    def data(self) -> DataSet:
        """What is known of the data set."""
        return facts_of(self.config.data)

    @property
    def misfit(self) -> str | None:
        """What is wrong with the feature space for the data set."""
        return misfit(self["metrics.name"], self["data.name"])

    @property
    def no_choice(self) -> str | None:
        """What is wrong with the feature space for choosing by it."""
        return no_choice(self["metrics.name"])


class Clash(NamedTuple):
    """A value that cannot work beside the others."""

    key: str
    is_one: Callable[[Keys], bool]
    fix: str  # may name values, as {keys[data.resolution]} and {keys.data.num_classes}


class ImpossibleError(ValueError):
    """Values that each may be given, but not together."""


IMPOSSIBLE = (
    Clash(
        "data.name",
        lambda keys: keys["data.name"] not in CATALOGUE,
        "unknown; known: " + ", ".join(CATALOGUE),
    ),
    Clash(
        "penalty.name",
        lambda keys: keys["penalty.name"] != "none" and keys["model.discriminator.norm"] == "batch",
        "needs each image's own gradient, which model.discriminator.norm=batch mixes with others; take layer, group, "
        "none or spectral (Gulrajani et al. 2017, section 4)",
    ),
    Clash(
        "penalty.every",
        lambda keys: 0 <= keys["trainer.max_steps"] < (keys["penalty.every"] or 0),
        "is longer than the run; must be at most trainer.max_steps",
    ),
    Clash(
        "loss.name",
        lambda keys: keys["loss.name"] == "wasserstein" and not _is_lipschitz(keys),
        "needs something that bounds its critic's slope: penalty=wgan_gp with model.discriminator.norm=layer, "
        "model.discriminator.norm=spectral, or loss.weight_clip=0.01",
    ),
    Clash(
        "loss.weight_clip",
        lambda keys: keys["loss.weight_clip"] is not None and keys["model.discriminator.norm"] == "spectral",
        "has no effect under model.discriminator.norm=spectral, which scales the weights anew; leave it null",
    ),
    Clash(
        "model.conditional",
        lambda keys: bool(keys["model.conditional"]) and keys.data.num_classes == 0 and keys["data.folder"] is not None,
        "data.folder={keys[data.folder]} has no labels of two classes (a folder each, or an array of labels); leave it "
        "false",
    ),
    Clash(
        "model.conditional",
        lambda keys: bool(keys["model.conditional"]) and keys.data.num_classes == 0,
        "data={keys[data.name]} has no labels; leave it false",
    ),
    Clash(
        "metrics.num_samples",
        lambda keys: bool(keys["model.conditional"]) and _is_below_classes(keys),
        "a conditional model of {keys[data.name]} has {keys.data.num_classes} classes; draw as many at least",
    ),
    Clash(
        "metrics.name",
        lambda keys: keys.misfit is not None,
        "{keys.misfit}",
    ),
    Clash(
        "metrics.name",
        lambda keys: keys.no_choice is not None,
        "{keys.no_choice}",
    ),
    Clash(
        "model.generator.conditioning",
        lambda keys: keys["model.generator.conditioning"] is not None and not keys["model.conditional"],
        "is of conditional models; add model.conditional=true",
    ),
    Clash(
        "model.discriminator.conditioning",
        lambda keys: keys["model.discriminator.conditioning"] is not None and not keys["model.conditional"],
        "is of conditional models; add model.conditional=true",
    ),
    Clash(
        "model.generator.conditioning",
        lambda keys: keys["model.generator.conditioning"] == "norm" and keys["model.generator.norm"] == "none",
        "no norm in the generator has a gain to follow the label; take concat, or model.generator.norm=batch",
    ),
    Clash(
        "augment.flip",
        lambda keys: bool(keys["augment.flip"]) and not keys.data.mirrored,
        "data={keys[data.name]} has images that mean nothing, or another thing, when they are mirrored; leave it false",
    ),
    Clash(
        "model.depth",
        lambda keys: keys["model.name"] != "mlp" and not _can_be_halved(keys),
        "data.resolution={keys[data.resolution]} cannot be halved so often; take null, or another resolution",
    ),
    Clash(
        "model.discriminator.pack",
        lambda keys: _pack(keys) > 1 and bool(keys["model.conditional"]),
        "a pack has as many labels as images, and model.conditional=true needs one; take 1",
    ),
    Clash(
        "data.batch_size",
        lambda keys: keys["data.batch_size"] % _pack(keys) != 0,
        "must be a multiple of model.discriminator.pack",
    ),
    Clash(
        "data.batch_size",
        lambda keys: keys["data.batch_size"] < 2 * _pack(keys),
        "must hold two packs at least (model.discriminator.pack): batch norm needs a batch",
    ),
    Clash(
        "data.channels",
        lambda keys: keys.data.channels > 1 and keys["data.channels"] != keys.data.channels,
        "{keys[data.name]} has a picture in each of {keys.data.channels}; leave it",
    ),
    Clash("trainer.gpus", lambda keys: keys["trainer.gpus"] is None, "must be auto, 0 (CPU), or how many"),
    Clash(
        "trainer.max_steps",
        lambda keys: _is_endless(keys) and keys["trainer.max_time"] is None,
        "without max_epochs or max_time the run would never end; give one of them",
    ),
    Clash(
        "health.name",
        lambda keys: keys["health.name"] == "act" and not keys["trainer.enable_checkpointing"],
        "keeps what was well in checkpoints; leave trainer.enable_checkpointing as it is, or take health=on",
    ),
    Clash(
        "optimizer.warmup",
        lambda keys: 0 <= keys["trainer.max_steps"] <= (keys["optimizer.warmup"] or 0),
        "must be below trainer.max_steps",
    ),
)


def _is_lipschitz(keys: Keys) -> bool:
    spectral = keys["model.discriminator.norm"] == "spectral"
    return spectral or keys["loss.weight_clip"] is not None or keys["penalty.name"] != "none"


def _is_below_classes(keys: Keys) -> bool:
    return 0 < (keys["metrics.num_samples"] or 0) < (keys.data.num_classes or 0)


def _can_be_halved(keys: Keys) -> bool:
    """As often as the depth says; what is not known yet is asked again once it is."""
    return bool((keys["data.resolution"] or 0) % 2 ** (keys["model.depth"] or 0) == 0)


def _is_endless(keys: Keys) -> bool:
    return bool(keys["trainer.max_steps"] == -1) and keys["trainer.max_epochs"] in (None, -1)


def _pack(keys: Keys) -> int:
    return keys["model.discriminator.pack"] or 1


def check_combinations(config: TrainConfig) -> None:
    """Raise ImpossibleError, one line with key, value and fix, where values clash or would have no effect."""
    keys = Keys(config)
    for clash in IMPOSSIBLE:
        if clash.is_one(keys):
            given = f"{clash.key.removesuffix('.name')}={shown(keys[clash.key])}"
            raise ImpossibleError(f"{given}: {clash.fix.format(keys=keys)}")
