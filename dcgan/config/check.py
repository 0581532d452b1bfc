"""What a configuration must satisfy before anything starts.

Hydra refuses unknown keys on the command line only. This check sees the composed configuration, so a key misspelt in an
experiment file, or appended with ``+``, is refused too.
"""

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dcgan.config.combinations import FITTING_DATA, check_combinations, select
from dcgan.config.schema import Config, TrainConfig, known_keys


class Rule:
    """What a value must satisfy, in words and as a test. ``None`` passes where the schema allows it."""

    def __init__(self, words: str, test: Callable[[Any], bool]) -> None:
        self.words, self.test = words, test


def _at_least(least: int) -> Rule:
    return Rule(f"must be at least {least}", lambda value: value >= least)


def _one_of(*choices: Any) -> Rule:
    return Rule(f"must be one of {', '.join(map(str, choices))}", lambda value: value in choices)


def _are_gpus(value: Any) -> bool:
    numbers, least = (value, 0) if isinstance(value, list) else ([value], -1)
    return bool(numbers) and all(type(n) is int and n >= least for n in numbers) and len({*numbers}) == len(numbers)


POSITIVE = Rule("must be a finite number above 0", lambda value: math.isfinite(value) and value > 0)
SMOOTHING = Rule("must be from 0 to 0.5", lambda value: 0 <= value <= 0.5)
NOT_NEGATIVE = Rule("must be a finite number, 0 or more", lambda value: math.isfinite(value) and value >= 0)
BETAS = Rule("must be two numbers in [0, 1)", lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value))
SHARE = Rule("must be from 0 to 1", lambda value: 0 <= value <= 1)
MOMENTUM = Rule("must be in [0, 1)", lambda value: 0 <= value < 1)
OF_NETWORK: Mapping[str, Rule] = {
    "lr": POSITIVE,
    "betas": BETAS,
    "momentum": MOMENTUM,
    "weight_decay": NOT_NEGATIVE,
    "clip": POSITIVE,
}
NORMS = ("batch", "layer", "group", "none")
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
    "ema.half_life": NOT_NEGATIVE,
    "samples.every": _at_least(1),
    "samples.n": _at_least(1),
    "checkpoints.every": _at_least(1),
    "model.width": _at_least(1),
    "model.depth": _at_least(1),
    "model.latent_dim": _at_least(1),
    "model.dense_units": _at_least(1),
    "model.base_convs": _at_least(0),
    "model.upsample": _one_of("transposed", "nearest", "pixel_shuffle"),
    "model.init": _one_of("default", "normal", "orthogonal", "kaiming"),
    "model.norm": Rule(
        "must be one of batch, layer, group, none; spectral is model.discriminator.norm's", NORMS.__contains__
    ),
    "model.generator.norm": _one_of(*NORMS),
    "model.generator.conditioning": _one_of("concat", "norm"),
    "model.discriminator.norm": _one_of(*NORMS, "spectral"),
    "model.discriminator.conditioning": _one_of("projection", "concat", "auxiliary"),
    "model.discriminator.dropout": MOMENTUM,
    "model.discriminator.pack": _at_least(1),
    "loss.label_smoothing": SMOOTHING,
    "loss.label_flipping": SMOOTHING,
    "loss.weight_clip": POSITIVE,
    "penalty.gamma": POSITIVE,
    "penalty.every": _at_least(1),
    "augment.translation": SHARE,
    "augment.cutout": SHARE,
    "augment.brightness": NOT_NEGATIVE,
    "augment.std": POSITIVE,
    "augment.decay_steps": _at_least(1),
    "augment.consistency": NOT_NEGATIVE,
    "encoder.name": _one_of("none", "vae_gan"),
    "encoder.share": Rule("must be above 0, and 1 at most", lambda value: 0 < value <= 1),
    "encoder.weight": POSITIVE,
    "encoder.kl": POSITIVE,
    **{
        f"optimizer.{block}{key}": rule
        for block in ("", "generator.", "discriminator.")
        for key, rule in OF_NETWORK.items()
    },
    "optimizer.schedule": _one_of("constant", "linear", "cosine"),
    "optimizer.warmup": _at_least(0),
    "data.batch_size": Rule("must be at least 2: batch norm needs a batch", lambda value: value >= 2),
    "data.resolution": Rule("must be a multiple of 4", lambda value: value >= 4 and value % 4 == 0),
    "data.channels": _one_of(1, 3),
    "metrics.every": _at_least(1),
    "metrics.num_samples": _at_least(2),
    "trainer.max_steps": Rule("must be at least 1, or -1 for no limit", lambda value: value >= 1 or value == -1),
    "trainer.max_epochs": Rule("must be at least 1, or -1 for no limit", lambda value: value >= 1 or value == -1),
    "trainer.limit_train_batches": Rule("must be above 0", lambda value: isinstance(value, str) or value > 0),
    "trainer.log_every_n_steps": _at_least(0),
    "trainer.gpus": Rule(
        "must be auto, 0 (CPU), how many, -1 (all), or a list of different ones such as [0,1]",
        lambda value: value == "auto" or _are_gpus(value),
    ),
    "trainer.precision": _one_of("auto", "32-true", 32, "bf16-mixed", "16-mixed"),
    "logger.name": _one_of("tensorboard", "csv", "none"),
    "split": _one_of("test", "train"),
    "num_samples": _at_least(10),
    "checkpoint": CHECKPOINT,
    "data.name": _one_of(*FITTING_DATA.values()),
    "n": _at_least(1),
    "label": _at_least(0),
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
        value = select(result, key)
        if value is not None and not rule.test(value):
            raise ValueError(f"{key}={value}: {rule.words}")
    if isinstance(result, TrainConfig):
        check_combinations(result)
    return result


def unknown_key(key: str, schema: type) -> str:
    """The line for a key that does not exist, with the nearest that do."""
    keys = list(known_keys(schema))
    if key in keys:
        within = [other for other in keys if other.startswith(f"{key}.")]
        if within:  # a group elsewhere, not of this command
            return f"{key}: takes no option here; it has the keys {', '.join(within)}"
        group = key.partition(".")[0]  # which is null
        return f"{key}: say which {group} it belongs to, as in {group}=<option> {key}=...; --help lists the options"
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
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
