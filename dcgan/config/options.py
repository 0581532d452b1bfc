"""The options of every group, one dataclass each: which keys it has, their types, their rules. What they mean is said
where they are set, in conf/.

To add a key: here and in the YAML of its option. An option without keys of its own needs no dataclass.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from dcgan.config.registry import lookup
from dcgan.config.rules import (
    BELOW_ONE,
    BETAS,
    NOT_NEGATIVE,
    PATH,
    POSITIVE,
    SHARE,
    UP_TO_HALF,
    Rule,
    at_least,
    between,
    one_of,
)

NORMS = ("batch", "layer", "group", "none")
INIT = one_of("default", "normal", "orthogonal", "kaiming")
UPSAMPLE = one_of("transposed", "nearest", "pixel_shuffle")


@dataclass
class Option:
    """What every option has."""

    name: str


# --- model


@dataclass
class OfGenerator:
    norm: Annotated[str, one_of(*NORMS)] = "batch"
    conditioning: Annotated[str | None, one_of("concat", "norm")] = None


@dataclass
class OfDiscriminator:
    width: Annotated[int | None, at_least(1)] = None
    norm: Annotated[str, one_of(*NORMS, "spectral")] = "batch"
    conditioning: Annotated[str | None, one_of("projection", "concat", "auxiliary")] = None
    dropout: Annotated[float, BELOW_ONE] = 0.0
    minibatch_stddev: bool = False
    pack: Annotated[int, at_least(1)] = 1


@dataclass
class Model(Option):
    """What the models of this package share."""

    width: Annotated[int, at_least(1)]
    latent_dim: Annotated[int, at_least(1)]
    depth: Annotated[int | None, between(1, 16)] = None
    norm: Annotated[str, one_of(*NORMS, hint="; spectral is model.discriminator.norm's")] = "batch"
    init: Annotated[str, INIT] = "normal"
    conditional: bool = False
    generator: OfGenerator = field(default_factory=OfGenerator)
    discriminator: OfDiscriminator = field(default_factory=OfDiscriminator)


@dataclass
class DCGAN(Model):
    upsample: Annotated[str, UPSAMPLE] = "transposed"
    dense_units: Annotated[int | None, at_least(1)] = None
    base_convs: Annotated[int, between(0, 16)] = 0


@dataclass
class ResNet(Model):
    upsample: Annotated[str, UPSAMPLE] = "nearest"


# --- loss, penalty, augment


@dataclass
class NonSaturating(Option):
    label_smoothing: Annotated[float, UP_TO_HALF] = 0.0
    label_flipping: Annotated[float, UP_TO_HALF] = 0.0


@dataclass
class Wasserstein(Option):
    weight_clip: Annotated[float | None, POSITIVE] = None


@dataclass
class Penalty(Option):
    gamma: Annotated[float, POSITIVE]
    every: Annotated[int, at_least(1)] = 1


@dataclass
class Augment(Option):
    consistency: Annotated[float, NOT_NEGATIVE] = 0.0


@dataclass(kw_only=True)
class DiffAugment(Augment):
    translation: Annotated[float, SHARE]
    cutout: Annotated[float, SHARE]
    brightness: Annotated[float, NOT_NEGATIVE]
    flip: bool = False


@dataclass(kw_only=True)
class Noise(Augment):
    std: Annotated[float, POSITIVE]
    decay_steps: Annotated[int, at_least(1)]


# --- optimizer: that of one network, and what the group adds


@dataclass
class Optimizer(Option):
    lr: Annotated[float, POSITIVE]
    clip: Annotated[float | None, POSITIVE] = None


@dataclass
class Adam(Optimizer):
    betas: Annotated[list[float], BETAS] = field(default_factory=lambda: [0.5, 0.999])


@dataclass
class AdamW(Adam):
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.01


@dataclass
class Momentum(Optimizer):
    momentum: Annotated[float, BELOW_ONE] = 0.0


NETWORK_OPTIMIZERS: dict[str, type[Option]] = {"adam": Adam, "adamw": AdamW, "rmsprop": Momentum, "sgd": Momentum}


@dataclass
class OfBoth:
    """Of both networks: the block of each takes the group's values unless it is given its own."""

    generator: Any = None  # an ``Optimizer`` each, once checked
    discriminator: Any = None
    schedule: Annotated[str, one_of("constant", "linear", "cosine")] = "constant"
    warmup: Annotated[int | None, at_least(0)] = None


@dataclass
class OptimizerOfBoth(OfBoth, Optimizer):
    pass


@dataclass
class AdamOfBoth(OfBoth, Adam):
    pass


@dataclass
class AdamWOfBoth(OfBoth, AdamW):
    pass


@dataclass
class MomentumOfBoth(OfBoth, Momentum):
    pass


# --- data, metrics, logger, health


RESOLUTION = Rule("must be a multiple of 4, 1024 at most", lambda value: 4 <= value <= 1024 and value % 4 == 0)
CHANNELS = one_of(1, 3)


@dataclass
class Data(Option):
    root: Annotated[str, PATH]
    batch_size: Annotated[int, Rule("must be at least 2: batch norm needs a batch", lambda value: value >= 2)]
    resolution: Annotated[int, RESOLUTION]
    channels: Annotated[int, CHANNELS]


@dataclass(kw_only=True)
class OwnData(Data):
    """Images of one's own: what is not said of them is filled in when they are read, before anything starts."""

    folder: Annotated[str, PATH]
    memory: Annotated[float, POSITIVE]
    resolution: Annotated[int | None, RESOLUTION] = None  # type: ignore[assignment]
    channels: Annotated[int | None, CHANNELS] = None  # type: ignore[assignment]
    classes: list[str] | None = None  # the names of the labels, in order
    content: str | None = None  # a hash: on other images a run does not go on


@dataclass(kw_only=True)
class FolderData(OwnData):
    background: Annotated[str, one_of("black", "white")]
    unreadable: Annotated[str, one_of("stop", "skip")]


@dataclass
class Metrics(Option):
    every: Annotated[int, at_least(1)]
    num_samples: Annotated[int, between(2, 1_000_000)]


@dataclass
class Inception(Metrics):
    weights: Annotated[str | None, PATH] = None


@dataclass
class Logger:
    name: Annotated[str, one_of("tensorboard", "csv", "wandb", "mlflow", "none")]


@dataclass
class Wandb(Logger):
    project: str
    offline: bool


@dataclass
class MLflow(Logger):
    project: str
    uri: str


@dataclass
class HealthOn(Option):
    every: Annotated[int, between(1, 10_000)] = 50  # until a look every step is kept, in checkpoints too
    patience: Annotated[int, at_least(1)] = 3


@dataclass
class HealthAct(HealthOn):
    action: Annotated[str, one_of("stop", "rollback")] = "stop"
    rollbacks: Annotated[int, at_least(1)] = 3


class Group(NamedTuple):
    """A folder of conf/: the dataclasses of options with keys of their own, and that of all others."""

    own: dict[str, type]
    usual: type | None = Option  # None: there are no others

    def kind(self, name: str, *, key: str) -> type:
        """The dataclass of an option.

        Raises:
            ValueError: there is no such option, and there must be one.
        """
        return self.own.get(name, self.usual) if self.usual else lookup(self.own, name, key=key)

    def kinds(self) -> list[type]:
        """All of them."""
        return [*self.own.values(), *([self.usual] if self.usual else [])]


GROUPS: dict[str, Group] = {
    "model": Group({"dcgan": DCGAN, "mlp": Model, "resnet": ResNet}, None),
    "loss": Group({"non_saturating": NonSaturating, "wasserstein": Wasserstein}),
    "penalty": Group({"none": Option}, Penalty),
    "augment": Group({"none": Option, "diffaugment": DiffAugment, "noise": Noise}, Augment),
    "optimizer": Group(
        {"adam": AdamOfBoth, "adamw": AdamWOfBoth, "rmsprop": MomentumOfBoth, "sgd": MomentumOfBoth}, OptimizerOfBoth
    ),
    "data": Group({"folder": FolderData, "idx": OwnData}, Data),
    "metrics": Group({"none": Option, "inception": Inception}, Metrics),
    "logger": Group({"wandb": Wandb, "mlflow": MLflow}, Logger),
    "health": Group({"on": HealthOn, "act": HealthAct, "off": Option}, None),
}
