"""Files of tensors, as ``torch.save`` writes them: read without executing anything."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from dcgan.shell.contents import PYTORCH, what_is


def load_plain(path: Path) -> Any:
    """The tensors, numbers, strings and plain containers in a file, onto the CPU.

    Raises:
        ValueError: it holds something else, or is none; the message says what it is, to stand behind its name.
        OSError: it cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it thinks of other tools' pickles
            return torch.load(path, weights_only=True, map_location="cpu")
    except OSError:
        if what_is(path) is None:
            raise
        raise ValueError(f"it is {what_is(path)}") from None
    except Exception as error:
        raise ValueError(f"it {_is(path, error)}") from error


def _is(path: Path, error: Exception) -> str:
    kind = what_is(path)
    if kind == PYTORCH and isinstance(error, pickle.UnpicklingError):
        return "holds more than tensors and plain containers, which could execute code"
    return "is damaged" if kind in (None, PYTORCH) else f"is {kind}"
