"""Closed tables of names: a configuration or a checkpoint can choose what is in them, and nothing else."""

from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


def lookup(registry: Mapping[str, Entry], name: str, *, key: str) -> Entry:
    """The entry of that name; ``key`` is where the name was configured.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in registry:
        raise ValueError(f"{key}={name}: unknown; known: {', '.join(registry)}")
    return registry[name]
