"""Images from other tools: a folder of pictures, an ``.npy`` or an ``.npz``.

Nothing is ever unpickled, and no memory is taken before an array's header was held against what is there.
"""

import math
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dcgan.config.rules import one_line
from dcgan.data.images import with_channels
from dcgan.data.labels import Given, labels_of
from dcgan.data.pictures import SUFFIXES, read_folder
from dcgan.shell.contents import ARRAYS, LARGEST, what_is

PICKLED = "it holds pickled objects, which could execute code"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
GREYS = (64, 191)  # levels that are neither nearly black nor nearly white
DIM = 4  # levels above black that a lossy file may have
FAINT = 0.02  # of the pixels; of MNIST 0.7 % are 255, and more than 10 % at least half of that
LEVELS_OF_LOSS = 2  # between the channels of what was grey before it was saved as JPEG

# What other tools hand out, the narrowest range first: its ends, and what turns it into bytes.
RANGES = (
    (0, 1, "(x * 255)"),
    (-0.5, 0.5, "((x + 0.5) * 255)"),
    (-1, 1, "((x + 1) * 127.5)"),
    (-0.4242, 2.8215, "((x * 0.3081 + 0.1307) * 255)"),  # less MNIST's mean, by its standard deviation
    (0, 255, "x"),
    (0, 65535, "(x / 257)"),
)


class Found(NamedTuple):
    """What a file or folder holds."""

    images: Tensor  # uint8 (N, C, S, S), of 1 or 3 channels
    labels: Tensor | None  # int64 (N,)
    why_unlabelled: str  # where there are none: what is wrong with those in the file, if it has any
    notes: list[str]  # what to know before the numbers are believed; each follows "samples=<path>: "
    converted: list[str]  # what was done to the pixels


def read_samples(path: Path, *, channels: int, on_black: bool = True) -> Found:
    """Read samples for a data set of so many channels, and labels where an ``.npz`` has an array ``labels``.

    A square of any size that ``data.resolution`` may be is taken; for a grey data set colour is too, as runs with
    ``data.channels=3`` draw it, and comes back as one channel where all three say the same.

    Args:
        on_black: whether the data set is white on black, so that what looks otherwise is a doubt.

    Raises:
        ValueError, OSError: one line on what is wrong with them.
    """
    if not path.is_file() and not path.is_dir():
        kind = what_is(path)
        raise FileNotFoundError(f"samples={path}: {f'is {kind}' if kind else 'no such file or folder'}")
    given: Given = None
    notes: list[str] = []
    if path.is_dir():
        array, notes = _from_folder(path)
    else:
        array, given = read_arrays(path, said=f"samples={path}")
        notes = beside(path)
    images = torch.from_numpy(_as_bytes(array, channels, path))
    converted = []
    if channels == 1 and images.shape[1] == 3 and (images.amax(1) - images.amin(1)).max() <= LEVELS_OF_LOSS:
        images = with_channels(images, channels=1)
        converted.append("grey in three channels to one")
    labels, why = labels_of(given, num_images=len(images))
    if given is not None and labels is None:
        notes.append(f"its labels are not used: {why}")
    return Found(images, labels, why, [*notes, *(_doubts(images) if on_black else [])], converted)


def _from_folder(folder: Path) -> tuple[np.ndarray, list[str]]:
    """The pictures in it, whose names may hold anything."""
    try:
        array, notes = read_folder(folder)
    except ValueError as error:
        raise ValueError(one_line(str(error))) from error
    return array, [one_line(note) for note in notes]


def _as_bytes(array: np.ndarray, channels: int, path: Path) -> np.ndarray:
    """The array as (N, C, S, S), if it is what it should be."""
    refuse_other_types(array, said=f"samples={path}")
    images = _channels_first(array)
    if images is None or images.shape[1] not in (channels, 3) or images.shape[3] % 4 or not images.shape[3]:
        grey = "N x 28 x 28 or N x 1 x 28 x 28 (of three channels too; Stacked-MNIST: data.name=stacked_mnist)"
        wanted = grey if channels == 1 else f"N x {channels} x 28 x 28 or N x 28 x 28 x {channels}"
        raise ValueError(
            f"samples={path}: has the shape {' x '.join(map(str, array.shape))}; must be {wanted}, "
            "or another square of a multiple of 4 pixels"
        )
    if len(images) == 0:
        raise ValueError(f"samples={path}: holds no images")
    refuse_zeros_and_ones(images, said=f"samples={path}")
    return np.ascontiguousarray(images)


def refuse_zeros_and_ones(array: np.ndarray, *, said: str) -> None:
    """Raise ValueError where bytes were meant to be 0 and 1, or all of them are 0."""
    if array.size and array.max() <= 1:
        early = "; of floats that were cast too early, (x * 255).round().astype('uint8') before the cast"
        fix = f"x * 255 turns 0 and 1 into it{early}" if array.max() else "all of it is black"
        raise ValueError(f"{said}: its largest value is {array.max()}; must go from 0 to 255: {fix}")


def refuse_other_types(array: np.ndarray, *, said: str) -> None:
    """Raise ValueError, with how to turn it into bytes, where an array is of another type."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{said}: holds NaN or infinite values; must be uint8, 0 to 255")
    if array.dtype != np.uint8:
        raise ValueError(f"{said}: is {array.dtype}; must be uint8, 0 to 255{_advice(array)}")


def _channels_first(array: np.ndarray) -> np.ndarray | None:
    """(N, C, S, S) of any usual layout; None: it is none."""
    images = array[:, None] if array.ndim == 3 else array
    if images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    return images if images.ndim == 4 and images.shape[2] == images.shape[3] else None


def _advice(array: np.ndarray) -> str:
    """How to turn an array of another type into bytes, by its type and its least and largest value."""
    if array.dtype.kind == "b":
        return ": x.astype('uint8') * 255 turns false and true into it"
    if array.dtype.kind not in "iuf" or not array.size:
        return ""
    least, largest = float(array.min()), float(array.max())
    seen = f"its values go from {least:.4g} to {largest:.4g}"
    for low, high, formula in RANGES:
        if _fills(least, largest, low=low, high=high):
            exact = formula == "x" and array.dtype.kind != "f"
            turned = "x" if exact else f"{formula}.round().clip(0, 255)"
            return f": {turned}.astype('uint8') turns [{low}, {high}] into it ({seen})"
    return f": {seen}, no range that we know; scale them so that 0 is black and 255 is white"


def _fills(least: float, largest: float, *, low: float, high: float) -> bool:
    """Whether values are from a range: inside it but for rounding, and not in a small part of it alone."""
    span = high - low
    if not (low - span / 50 <= least and largest <= high + span / 50):
        return False
    return largest > high - span / 2 if low == 0 else least < low + span / 10 and largest > high - span / 4


def _doubts(images: Tensor) -> list[str]:
    """What makes the pixels look wrong, for white on black."""
    some = images[:: max(1, len(images) // 1000)].flatten(1)
    darkest, brightest = int(some.amin(1).median()), int(images.max())
    levels = some.flatten().bincount(minlength=256)
    commonest = int(levels.argmax())
    there = {*levels.nonzero().flatten().tolist()}
    doubts = []
    if 1 in there and there <= {0, 1, 255}:
        doubts.append(
            "holds 0, 1 and 255 alone: were values in [-1, 1] turned into bytes before they were scaled? "
            "((x + 1) * 127.5).round().astype('uint8') of them is right"
        )
    elif there <= {0, 255} and levels[255] < FAINT * some.numel():
        doubts.append(
            f"holds 0 and 255 alone, and only {levels[255] / some.numel():.1%} of 255: were values in [0, 1] turned "
            "into bytes before they were scaled? (x * 255).round().astype('uint8') of them is right"
        )
    elif DIM < darkest <= 32:
        doubts.append(
            f"holds no black: the darkest pixel of most images is {darkest} of 255, where the data set's is 0"
        )
    elif darkest > 32:
        doubts.append(
            f"holds no black: the darkest pixel of most images is {darkest} of 255; were values in [0, 1] turned into "
            "bytes as if they were in [-1, 1]?"
        )
    elif GREYS[0] <= commonest <= GREYS[1] and levels[commonest] > some.numel() / 3:
        doubts.append(
            f"most pixels are {commonest} of 255, where the data set's are black; were values in [-1, 1] turned into "
            "bytes without a shift, which wraps them around? ((x + 1) * 127.5).round().astype('uint8') is right"
        )
    elif commonest > GREYS[1] and some.float().mean() > 128:
        doubts.append("looks inverted: mostly bright, where the data set is white on black; 255 - x turns it over")
    if brightest < 128:
        doubts.append(f"holds no white: its largest value is {brightest} of 255")
    return doubts


def read_arrays(path: Path, *, said: str) -> tuple[np.ndarray, Given]:
    """The images and the labels of an ``.npy`` or ``.npz``, known by what is in it, not by its name.

    Args:
        said: what errors begin with: the key and the path, as they were typed.

    Raises:
        ValueError, OSError: one line on what is wrong with them.
    """
    with path.open("rb") as file:
        start = file.read(6)
    if not start.startswith((b"\x93NUMPY", b"PK")):
        raise ValueError(f"{said}: {_no_numpy(path)}")
    try:
        if start.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return _from_archive(archive, path)
        with path.open("rb") as file:
            return _array(file, size=os.fstat(file.fileno()).st_size), None
    except zipfile.BadZipFile as error:
        kind = what_is(path)
        why = f"it is damaged ({one_line(str(error))}); save it again" if kind == ARRAYS else f"it is {kind}"
        raise ValueError(f"{said}: cannot be read: {why}") from error
    except Exception as error:  # a damaged file makes NumPy and zipfile stumble in many ways
        raise ValueError(f"{said}: cannot be read: {one_line(str(error))}") from error


def _no_numpy(path: Path) -> str:
    kind = what_is(path)
    if path.suffix.lower() in SUFFIXES:
        return "one image; put images into a folder and name that"
    named = path.suffix.lower() in (".npy", ".npz")
    what = "cannot be read: not a NumPy file" if named else "neither a folder of images nor .npz nor .npy"
    return f"{what}; it is {kind}" if kind else what


def _from_archive(archive: zipfile.ZipFile, path: Path) -> tuple[np.ndarray, Given]:
    kind, there = what_is(path), {name.removesuffix(".npy"): name for name in archive.namelist()}
    names = there.keys() - {"labels"}
    name = "images" if "images" in names else names.pop() if len(names) == 1 else None
    if name is None:
        holds = f"holds {', '.join(sorted(there)) or 'nothing'}; name the array images"
        raise ValueError(f"it {holds if kind == ARRAYS else f'is {kind}, not an .npz of arrays'}")
    with archive.open(there[name]) as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{name} in it is no array; it is {kind}")
    return array_in(archive, there[name]), _labels_in(archive)


def beside(path: Path, used: Sequence[str] = ("images", "labels")) -> list[str]:
    """A note on the arrays of an ``.npz`` that are not used, if there are any and the first of ``used`` is there."""
    if what_is(path) != ARRAYS:
        return []
    with zipfile.ZipFile(path) as archive:
        there = {name.removesuffix(".npy") for name in archive.namelist()}
    others = sorted(there - {*used}) if used[0] in there else []
    return [one_line(f"not used: {', '.join(others)}")] if others else []


def _labels_in(archive: zipfile.ZipFile) -> Given:
    """Those that are there; in words what is wrong, where they cannot be read: they may not be needed."""
    name = next((name for name in ("labels.npy", "labels") if name in archive.namelist()), None)
    if name is None:
        return None
    try:
        return array_in(archive, name)
    except Exception as error:
        return one_line(str(error))


def array_in(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an archive; nothing is unpickled, and it is held against its header first."""
    with archive.open(name) as file:
        return _array(file, size=archive.getinfo(name).file_size)


def _array(file: IO[bytes], *, size: int) -> np.ndarray:
    """An array in NumPy's format, from a file of so many bytes (unpacked): those that its header promises, no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that Python 2 wrote
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"its format is {version[0]}.{version[1]}; save it as a plain array, without named fields")
        shape, _, dtype = HEADERS[version](file)
        if dtype.hasobject:
            raise ValueError(PICKLED)
        there, promised = size - file.tell(), math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or promised > there:
            raise ValueError(f"it holds {there} bytes, its header promises {promised}; it is damaged: save it again")
        if promised > LARGEST:
            raise ValueError(f"it unpacks to {promised} bytes, {LARGEST} at most are read; save fewer images, as uint8")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
