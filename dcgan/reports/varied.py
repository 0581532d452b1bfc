"""What varied between runs: the keys that differ, without those that only follow another."""

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "-"  # of a key that an option does not have
REPEATED = ("seed", "metrics.")  # repeats, and how often and on how much a run is evaluated: training is the same

Config = Mapping[str, Any]


def varied_keys(configs: Sequence[Config]) -> list[str]:
    """The keys in which configurations differ, ``experiment`` and the names of options first.

    One that takes a shared value (``optimizer.generator.lr`` that of ``optimizer.lr``) is left out, and so is one that
    is the same wherever an option or an experiment is: it comes with that.
    """
    keys = dict.fromkeys(key for config in configs for key in config if not key.startswith(REPEATED))
    differing = [key for key in keys if len({_text(config, key) for config in configs}) > 1]
    differing.sort(key=lambda key: (key != "experiment", not key.endswith(".name"), key.count(".")))
    kept: list[str] = []
    for key in differing:
        if not _shares(key, configs) and not any(_follows(key, one, configs) for one in kept if _chooses(one, key)):
            kept.append(key)
    return kept


def _text(config: Config, key: str) -> str:
    return str(config.get(key, ABSENT))


def _shares(key: str, configs: Sequence[Config]) -> bool:
    """Whether ``a.b.c`` is everywhere what ``a.c`` is."""
    *groups, last = key.split(".")
    parent = ".".join([*groups[:-1], last])
    return len(groups) > 1 and all(key not in one or one.get(parent) == one[key] for one in configs)


def _chooses(chooser: str, key: str) -> bool:
    """Whether ``chooser`` is the name of what ``key`` belongs to."""
    return chooser == "experiment" or (chooser.endswith(".name") and key.startswith(chooser.removesuffix("name")))


def _follows(key: str, chooser: str, configs: Sequence[Config]) -> bool:
    """Whether every value of ``chooser`` comes with one of ``key``."""
    pairs = {(_text(one, chooser), _text(one, key)) for one in configs}
    return len(pairs) == len({_text(one, chooser) for one in configs})


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """``loss.name`` -> ``loss``, ``optimizer.lr`` -> ``lr`` where no other key would be called so."""

    def last(key: str) -> str:
        return key.removesuffix(".name").rpartition(".")[2]

    lasts = [last(key) for key in keys]
    return {key: last(key) if lasts.count(last(key)) == 1 else key.removesuffix(".name") for key in keys}


def shown_value(value: Any, digits: int = 6) -> str:
    """A value as short as it can be typed."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def labels(configs: Sequence[Config], keys: Sequence[str]) -> list[str]:
    """What tells each group from the others, with as few digits as do."""
    found = [[label(config, keys, digits=digits) for config in configs] for digits in (3, 6, 17)]
    return next((names for names in found if len({*names}) == len(names)), found[-1])


def label(config: Config, keys: Sequence[str], *, digits: int = 6) -> str:
    """The keys that varied, with their values; the value alone of an option where nothing else varied."""
    values = [shown_value(config.get(key, ABSENT), digits) for key in keys]
    if len(keys) == 1 and (keys[0].endswith(".name") or keys[0] == "experiment"):
        return values[0]
    names = short_names(keys)
    return " ".join(f"{names[key]}={value}" for key, value in zip(keys, values, strict=True)) or "all runs"
