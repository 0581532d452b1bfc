"""The small files of a run folder, which may be a stranger's: read in bounded memory, or refused in one line."""

import json
from pathlib import Path
from typing import Any

from dcgan.config.rules import one_line
from dcgan.shell.contents import what_is

LARGEST_TEXT = 2**26  # bytes; a line of metrics.jsonl has 1,000


def small_text(path: Path, *, errors: str = "strict") -> str:
    """What is written in it.

    Args:
        errors: as ``open`` takes it.

    Raises:
        ValueError: it is a pipe or a device, larger than anything that a run writes beside its weights, or no text.
        OSError: it is not there, or cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: it is {what_is(path)}")
    if (size := path.stat().st_size) > LARGEST_TEXT:
        raise ValueError(f"{path}: has {size} bytes, and is no file of a run's")
    return path.read_text(errors=errors)


def from_json(text: str) -> Any:
    """What ``to_json`` wrote.

    Raises:
        ValueError: it is no JSON, or one without end.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("holds containers in containers without end") from error


def plain_numbers(values: dict[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that are numbers, or null for one that was not finite, under names for a terminal."""

    def is_plain(value: Any) -> bool:
        return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)

    return {one_line(key): value for key, value in values.items() if is_plain(value)}
