"""The labels that other tools write beside images."""

import numpy as np
import torch
from torch import Tensor

Given = np.ndarray | str | None  # an array, what is wrong where it cannot be read, or none


def labels_of(given: Given, *, num_images: int) -> tuple[Tensor | None, str]:
    """int64 (N,) from whole numbers of any type, N, N x 1 or 1 x N, or from one-hot rows; else None, and why."""
    if given is None or isinstance(given, str):
        return None, given or "there are none"
    labels = np.ravel(given) if given.shape in ((), (1, num_images)) else given
    if len(labels) != num_images:
        return None, f"they must be {num_images} whole numbers, 0 or more, one for each image; there are {len(labels)}"
    return _of_each(labels)


def _of_each(given: np.ndarray) -> tuple[Tensor | None, str]:
    """One row for each image."""
    numbers = given.reshape(len(given), -1)
    if given.dtype.kind not in "biuf":
        return None, f"they are {'text' if given.dtype.kind in 'US' else given.dtype}, not whole numbers"
    if numbers.shape[1] == 1 and given.dtype.kind != "b":
        return _whole(numbers[:, 0])
    if given.ndim == 2 and np.isin(numbers, (0, 1)).all() and (numbers.sum(1) == 1).all():
        return torch.from_numpy(numbers.argmax(1)), ""
    return None, f"they are {' x '.join(map(str, given.shape))} {given.dtype}, neither whole numbers nor one-hot"


def _whole(numbers: np.ndarray) -> tuple[Tensor | None, str]:
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers).all() and (numbers == numbers.round()).all()):
        return None, "they are not whole numbers"
    if numbers.min() < 0:
        return None, f"one is {numbers.min():.0f}; they must be 0 or more"
    if float(numbers.max()) >= 2**31:
        return None, f"one is {numbers.max():.0f}, no class"
    return torch.from_numpy(numbers.astype(np.int64)), ""
