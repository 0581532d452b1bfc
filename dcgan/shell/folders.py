"""The names of run folders."""

import hashlib
import re
from collections.abc import Sequence

# What does not change what a run learns, so neither its folder's name.
UNNAMED = re.compile(
    r"[+~]*(name|experiment|resume|sweep|trainer|logger|samples|checkpoints|health|data\.(root|folder|memory)|hydra)([./@=]|$)"
)
LONGEST_NAME = 80


def named(overrides: Sequence[str]) -> list[str]:
    """What was typed that changes what a run computes."""
    return [override for override in overrides if not UNNAMED.match(override)]


def folder_name(name: str, told: Sequence[str]) -> str:
    """The name of a run folder: ``name`` and the overrides ``told``, in ``[A-Za-z0-9._-]``, 80 bytes at most.

    Such a path can be pasted behind ``run=``: Hydra stumbles over ``=``, ``,`` and brackets.
    """
    words = [_plain(override) for override in told if override != f"model={name}"]
    full = "_".join([re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("."), *words])
    if len(full) <= LONGEST_NAME:
        return full
    return f"{full[: LONGEST_NAME - 9]}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"


def _plain(override: str) -> str:
    without_plus = re.sub(r"(?<=[0-9.][eE])\+(?=[0-9])", "", override)  # 1e+30 is not 1e-30
    return re.sub(r"[^A-Za-z0-9.]+", "-", without_plus).strip("-")
