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

from dcgan.config.schema import Config, TrainConfig, known_keys

# What Lightning would ignore or refuse in manual optimisation, the value that means "not asked for", and what to do.
NO_VALIDATION = "there is no validation loop; metrics.every sets how often the generator is evaluated"
UNAVAILABLE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "gradient_clip_val": ((None, 0), "gradient clipping is not available; leave it null"),
    "gradient_clip_algorithm": ((None,), "gradient clipping is not available; leave it null"),
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


LOSS_OPTIONS: Mapping[str, str] = {"label_smoothing": "non_saturating", "weight_clip": "wasserstein"}


class Rule:
    """What a value must satisfy, in words and as a test. ``None`` passes where the schema allows it."""

    def __init__(self, words: str, test: Callable[[Any], bool]) -> None:
        self.words, self.test = words, test


def _at_least(least: int) -> Rule:
    return Rule(f"must be at least {least}", lambda value: value >= least)


def _one_of(*choices: Any) -> Rule:
    return Rule(f"must be one of {', '.join(map(str, choices))}", lambda value: value in choices)


POSITIVE = Rule("must be a finite number above 0", lambda value: math.isfinite(value) and value > 0)
SMOOTHING = Rule("must be from 0 to 0.5", lambda value: 0 <= value <= 0.5)
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
    "loss.label_smoothing": SMOOTHING,
    "loss.weight_clip": POSITIVE,
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
    "trainer.max_epochs": Rule("must be at least 1, or -1 for no limit", lambda value: value >= 1 or value == -1),
    "trainer.limit_train_batches": Rule("must be above 0", lambda value: isinstance(value, str) or value > 0),
    "trainer.log_every_n_steps": _at_least(0),
    "trainer.precision": _one_of("auto", "32-true", 32, "bf16-mixed", "16-mixed"),
    "logger.name": _one_of("tensorboard", "csv", "none"),
    "split": _one_of("test", "train"),
    "num_samples": _at_least(10),
    "checkpoint": CHECKPOINT,
    "data.name": _one_of(*FITTING_DATA.values()),
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
    if trainer.max_steps == -1 and trainer.max_epochs in (None, -1) and trainer.max_time is None:
        raise ValueError(
            "trainer.max_steps=-1: without max_epochs or max_time the run would never end; give one of them"
        )
    for key, loss in LOSS_OPTIONS.items():
        value = getattr(config.loss, key)
        if value and config.loss.name != loss:
            raise ValueError(f"loss.{key}={value}: is an option of loss={loss} alone; leave it null")
    check_metrics_fit(config.metrics.name, config.data.name)
    if config.data.name == "stacked_mnist" and config.data.channels != 3:
        raise ValueError(f"data.channels={config.data.channels}: stacked_mnist has a digit in each of 3; leave it")
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


def check_metrics_fit(metrics: str, data: str) -> None:
    """Raise ValueError where a feature space does not know the data set: its numbers would mean nothing."""
    known = FITTING_DATA.get(metrics.rstrip("12"), data)
    if known != data:
        raise ValueError(f"metrics={metrics}: knows {known}, not {data}; use metrics={space_for(data)}")


def space_for(data: str) -> str:
    """The feature space that knows a data set."""
    return next(space for space, known in FITTING_DATA.items() if known == data)


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
