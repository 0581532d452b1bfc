"""Files of tensors, as ``torch.save`` writes them: read without executing anything, in the memory that they take."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcgan.shell.contents import PYTORCH, what_is

MOST_VALUES, MOST_LEVELS = 100_000, 50  # a checkpoint has some thousand in its containers, 7 deep


class _PackedError(ValueError):
    """What is wrong with how a file is packed."""


def load_plain(path: Path) -> Any:
    """The tensors, numbers, strings and plain containers in a file, onto the CPU.

    Raises:
        ValueError: it holds something else, or is none; the message says what it is, to stand behind its name.
        OSError: it cannot be opened.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError
        _check_packing(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it thinks of other tools' pickles
            content = torch.load(path, weights_only=True, map_location="cpu")
        _check_plain(content)
        return content
    except OSError:
        if what_is(path) is None:
            raise
        raise ValueError(f"it is {what_is(path)}") from None
    except _PackedError as error:
        raise ValueError(f"it {error}") from error
    except Exception as error:
        raise ValueError(f"it {_is(path, error)}") from error


def _is(path: Path, error: Exception) -> str:
    kind = what_is(path)
    if kind == PYTORCH and isinstance(error, pickle.UnpicklingError):
        return "holds more than tensors and plain containers, which could execute code"
    return "is damaged" if kind in (None, PYTORCH) else f"is {kind}"


def _check_packing(path: Path) -> None:
    """PyTorch packs without compressing, and does not look at the checksums that it writes."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise _PackedError("is packed as PyTorch does not, and could unpack to anything; save it with torch.save")
        if wrong := archive.testzip():
            raise ValueError(f"checksum of {wrong}")


def _check_plain(content: Any) -> None:
    """That a walk through it ends, and that no tensor claims more than lies in the file."""
    waiting, num_values = [(content, 0)], 0
    while waiting:
        value, level = waiting.pop()
        num_values += 1
        if num_values > MOST_VALUES or level > MOST_LEVELS:
            raise _PackedError("holds containers in containers without end; it is no checkpoint")
        if isinstance(value, Tensor):
            _check_tensor(value)
        elif isinstance(value, Mapping):
            waiting.extend((one, level + 1) for one in value.values())
        elif isinstance(value, list | tuple | set):
            waiting.extend((one, level + 1) for one in value)


def _check_tensor(tensor: Tensor) -> None:
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
    if not plain or tensor.is_quantized or type(tensor) not in (Tensor, torch.nn.Parameter):
        raise _PackedError("holds tensors that are sparse, quantised or of no device; save plain ones")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise _PackedError("holds a tensor larger than its values in the file; save a contiguous one")
