"""What a value must satisfy, in words and as a test; a key's type carries its rule: ``Annotated[float, POSITIVE]``."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rule:
    """``words`` follow the offending key and value. ``None`` passes where the type allows it."""

    words: str
    holds: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value  # what becomes of a value that holds


def at_least(least: int) -> Rule:
    """A whole number."""
    return Rule(f"must be at least {least}", lambda value: value >= least)


def between(least: int, most: int) -> Rule:
    """A whole number that something is built so many times for: a file's must not keep us building for ever."""
    return Rule(f"must be at least {least}, {most} at most", lambda value: least <= value <= most)


def one_of(*choices: Any, hint: str = "") -> Rule:
    """A closed list."""
    return Rule(f"must be one of {', '.join(map(shown, choices))}{hint}", lambda value: value in choices)


def left_alone(*neutral: Any, fix: str) -> Rule:
    """An argument of Lightning's that would have no effect here, or a wrong one."""
    return Rule(fix, lambda value: value in neutral)


def _are_gpus(value: Any) -> bool:
    numbers, least = (value, 0) if isinstance(value, list) else ([value], -1)
    return bool(numbers) and all(type(n) is int and n >= least for n in numbers) and len({*numbers}) == len(numbers)


def as_list(value: Any) -> list[Any]:
    """One value is a list of one."""
    return value if isinstance(value, list) else [value]


def _are_whole(value: Any, most: int) -> bool:
    numbers = as_list(value)
    return bool(numbers) and all(type(n) is int and 0 <= n <= most for n in numbers)


def _are_labels(value: Any) -> bool:
    labels = as_list(value)
    return bool(labels) and all(type(one) in (int, str) and str(one).strip() for one in labels)


def _are_objectives(value: Any) -> bool:
    names = as_list(value)
    return bool(names) and all(name in ("fid", "cpu_seconds") for name in names) and len({*names}) == len(names)


def _is_time(value: Any) -> bool:
    if isinstance(value, Mapping):
        return timedelta(**value) > timedelta()
    return isinstance(value, str) and re.fullmatch(r"(?=.*[1-9])\d+:\d\d:\d\d:\d\d", value.strip()) is not None


def _are_devices(value: Any) -> bool:
    return type(value) is int or isinstance(value, list) or re.fullmatch(r"auto|-1|\d+(,\d+)*,?", value) is not None


def expanded(path: str) -> str:
    """``path`` with its ``~`` replaced by the home folder, where there is one."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        return path


def shown(value: Any) -> str:
    """A value as it is typed."""
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or value is True or value is False
        else str(value)
    )


LONGEST_LINE = 1000  # letters


def one_line(text: str) -> str:
    """What a terminal may be shown of a text that a file has a part in: no control characters, no screen full."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"  # the fix comes last


POSITIVE = Rule("must be a finite number above 0", lambda value: math.isfinite(value) and value > 0)
NOT_NEGATIVE = Rule("must be a finite number, 0 or more", lambda value: math.isfinite(value) and value >= 0)
SHARE = Rule("must be from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE = Rule("must be in [0, 1)", lambda value: 0 <= value < 1)
UP_TO_HALF = Rule("must be from 0 to 0.5", lambda value: 0 <= value <= 0.5)
BETAS = Rule("must be two numbers in [0, 1)", lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value))
LIMIT = Rule("must be at least 1, or -1 for no limit", lambda value: value >= 1 or value == -1)
SEED = Rule("must be from 0 to 2**32 - 1", lambda value: 0 <= value < 2**32)
NAME = Rule(
    "must be letters, digits, '.', '_' or '-', 60 at most",
    lambda value: re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,59}", value) is not None,
)
CHECKPOINT = Rule(
    "must be best, last, or the number of a step", lambda value: re.fullmatch(r"best|last|\d+", value) is not None
)
GPUS = Rule(
    "must be auto, 0 (CPU), how many, -1 (all), or a list of different ones such as [0,1]",
    lambda value: value == "auto" or _are_gpus(value),
)
DEVICES = Rule("must be how many, -1 or auto (all), or a list of different ones such as [0,1]", _are_devices)
TIME = Rule("must be days:hours:minutes:seconds, such as 00:00:03:00 for three minutes (in a file in quotes)", _is_time)
KEPT = Rule("must be true (all), false (none), or how many", lambda value: type(value) in (bool, int) and value >= 0)
OBJECTIVES = Rule("must be fid, cpu_seconds, or both, as in [fid,cpu_seconds]", _are_objectives, as_list)
SEEDS = Rule(
    "must be a whole number from 0 to 2**32 - 1, or a list of them such as [3,4,5]",
    lambda value: _are_whole(value, 2**32 - 1),
    as_list,
)
STEPS = Rule(
    "must be a step, or a list of them such as [0,1000,10000]", lambda value: _are_whole(value, 2**63), as_list
)
LABEL = Rule("must be a class, by its number or its name, a list of them such as [3,8], or all", _are_labels, as_list)
TEXT = Rule("must be what to write, such as 2026", lambda value: value.strip() != "")
FILES = (".safetensors", ".onnx", ".pt", ".pt2", ".html", ".md", ".csv", ".json", ".jsonl", ".png", ".txt", ".zip")
FOLDER = Rule(
    "names a file, and a folder is written; leave out its ending", lambda value: not value.lower().endswith(FILES)
)
PATH = Rule("must be a path; leave it out for the default", lambda value: value.strip() != "", expanded)
