"""Images of one's own, wherever they lie: a folder or .zip of pictures, NumPy's files, four IDX files."""

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from tqdm import tqdm

from dcgan.config.options import FolderData, OwnData
from dcgan.config.rules import one_line
from dcgan.data.decode import Header, decode, header_of, shorter_side
from dcgan.data.files import array_in, beside, read_arrays, refuse_other_types, refuse_zeros_and_ones
from dcgan.data.idx import read_idx
from dcgan.data.labels import labels_of
from dcgan.data.listing import MOST_CLASSES, Listing, arrange, list_pictures
from dcgan.shell.contents import ARRAYS, what_is

WORKERS = 8  # threads at most; Pillow decodes without the interpreter's lock
AT_ONCE = 64  # pictures, to a thread
BAR_FROM = 2000  # pictures, below which a bar would be gone before it was seen
Answer = TypeVar("Answer")


class UnopenedError(ValueError):
    """A file that cannot be opened now; it may be the next time, though neither its size nor its time changes."""


@dataclass(frozen=True)
class Collection:
    """Images before they are read: picture ``i`` is decoded by ``pixels(i)``."""

    splits: list[str]  # train, test; empty: they do not say
    labels: list[int]
    classes: list[str]  # none: there are no labels
    names: Callable[[int], str]
    pixels: Callable[[int], np.ndarray]  # uint8 (H, W) or (H, W, 3); ValueError: the reason why there are none
    shorter_side: Callable[[int], int]  # pixels; 0: it cannot be read
    content: Callable[[], str]  # the hash of all that they are and are called
    header: Callable[[int], Header] = lambda _: Header()  # of the file of image i
    notes: list[str] = field(default_factory=list)
    listing: Listing | None = None  # the files, where each image is one


@dataclass(frozen=True)
class Source:
    """Where images lie: what can be said without opening every file."""

    path: Path
    stamp: str  # names, sizes and times of all files
    open: Callable[[], Collection]
    skipped: str = ""  # in words, which files beside them are no images


def source_of(data: OwnData) -> Source:
    """Where the images of a configuration lie.

    Raises:
        ValueError, OSError: one line with the key, the path and what to do.
    """
    path, said = Path(data.folder), f"data.folder={data.folder}"
    if not path.exists():
        kind = what_is(path)
        raise FileNotFoundError(f"{said}: {f'is {kind}' if kind else 'no such file or folder'}")
    if not isinstance(data, FolderData):
        return _of_idx(path, said)
    kind = what_is(path)
    if path.is_dir() or (kind and "zip archive" in kind):
        return _of_pictures(path, said, background=data.background)
    if kind == ARRAYS or path.suffix.lower() in (".npz", ".npy"):
        return Source(path, _stamp([path]), lambda: _of_arrays(path, said))
    raise ValueError(
        f"{said}: must be a folder of images, a .zip of one, an .npz or an .npy{f'; it is {kind}' * bool(kind)}"
    )


def _stamp(files: Iterable[Path]) -> str:
    found = [(file, file.stat()) for file in files]
    return _digest(f"{file.name} {stat.st_size} {stat.st_mtime_ns}" for file, stat in found)


def _digest(lines: Iterable[str]) -> str:
    result = hashlib.sha256()
    for line in lines:
        result.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return result.hexdigest()


def in_parallel(ask: Callable[[int], Answer], number: int, *, words: str) -> list[Answer]:
    """``[ask(0), ask(1), ...]``, on as many threads as there are cores, under a bar where there is a terminal."""
    stretches = [range(start, min(start + AT_ONCE, number)) for start in range(0, number, AT_ONCE)]
    found: list[Answer] = []
    hidden: bool | None = None if number >= BAR_FROM else True
    with (
        ThreadPoolExecutor(min(WORKERS, _cores())) as pool,
        tqdm(total=number, desc=words, unit=" images", disable=hidden, leave=False) as bar,
    ):
        for answers in pool.map(lambda stretch: [ask(i) for i in stretch], stretches):
            found += answers
            bar.update(len(answers))
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _saying(said: str) -> Iterator[None]:
    """Have what a reader says begin with the key and the path."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{said}: {error}") from error


# --- pictures


def _of_pictures(path: Path, said: str, *, background: str) -> Source:
    if (path / "config.yaml").is_file() and (path / "checkpoints").is_dir():
        raise ValueError(f"{said}: is a run folder; name one of images")
    with _saying(said):
        listing = list_pictures(path)
    entries = listing.entries
    if not entries:
        beside = f"; it holds {listing.skipped}" if listing.skipped else ""
        raise ValueError(f"{said}: holds no images{beside}")
    stamp = _digest(f"{entry.name} {entry.size} {entry.changed} {entry.fault}" for entry in entries)
    return Source(path, stamp, lambda: _collected(listing, said, background=background), listing.skipped)


def _collected(listing: Listing, said: str, *, background: str) -> Collection:
    with _saying(said):
        found = arrange([entry.name for entry in listing.entries])
    entries = [listing.entries[i] for i in found.kept]

    def read(i: int) -> bytes:
        if entries[i].fault:
            raise ValueError(entries[i].fault)
        try:
            return listing.content(entries[i].name)
        except OSError as error:
            raise UnopenedError(one_line(error.strerror or str(error))) from error
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(one_line(str(error))) from error

    def of_content(ask: Callable[[bytes], Answer], i: int, *, unread: Answer) -> Answer:
        try:
            return ask(read(i))
        except ValueError:
            return unread

    def line(i: int) -> str:
        try:
            content = hashlib.sha256(read(i)).hexdigest()
        except ValueError as error:
            content = str(error)
        return f"{found.names[i]} {content}"

    return Collection(
        found.splits,
        found.labels,
        found.classes,
        names=lambda i: entries[i].name,
        pixels=lambda i: decode(read(i), background=background),
        shorter_side=lambda i: of_content(shorter_side, i, unread=0),
        content=lambda: _digest(in_parallel(line, len(entries), words="looking at")),
        header=lambda i: of_content(header_of, i, unread=Header()),
        notes=found.notes,
        listing=listing,
    )


# --- arrays


NAMES = (  # of arrays with two splits, as Keras and MedMNIST write them
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)


def _of_arrays(path: Path, said: str) -> Collection:
    """An ``.npz`` or ``.npy`` of N x H x W, N x H x W x C or N x C x H x W."""
    parts, notes = _two_splits(path, said)
    if not parts:
        parts, notes = {"": read_arrays(path, said=said)}, beside(path)
    images, labels = {}, {}
    for split, (array, given) in parts.items():
        images[split] = _laid_out(array, said)
        found, why = labels_of(given, num_images=len(array))
        if given is not None and found is None:
            notes.append(f"its labels are not used: {why}")
        labels[split] = found
    return of_tensors(images, labels, said, notes)


def _two_splits(path: Path, said: str) -> tuple[dict[str, tuple[np.ndarray, Any]], list[str]]:
    """Images and labels of each split, if there are two, and notes on what is not used."""
    if what_is(path) != ARRAYS:
        return {}, []
    with zipfile.ZipFile(path) as archive:
        there = {name.removesuffix(".npy") for name in archive.namelist()}
        names = next((names for names in NAMES if {names[0], names[2]} <= there), None)
        if names is None:
            return {}, []
        try:
            arrays = [array_in(archive, f"{name}.npy") if name in there else None for name in names]
        except Exception as error:  # what is damaged makes NumPy and zipfile stumble in many ways
            raise ValueError(f"{said}: cannot be read: {one_line(str(error))}") from error
    assert arrays[0] is not None
    assert arrays[2] is not None
    notes = beside(path, names)
    if (arrays[1] is None) != (arrays[3] is None):
        notes.append("its labels are not used: those of one split alone")
    return {"train": (arrays[0], arrays[1]), "test": (arrays[2], arrays[3])}, notes


def _laid_out(array: np.ndarray, said: str) -> np.ndarray:
    """(N, H, W) or (N, H, W, 3)."""
    refuse_other_types(array, said=said)
    refuse_zeros_and_ones(array, said=said)
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim == 3 and array.shape[0] == array.shape[1] != array.shape[2]:
        shape = " x ".join(map(str, array.shape))
        what = "one image" if array.shape[2] in (3, 4) else "H x W x N: take x.transpose(2, 0, 1)"
        raise ValueError(f"{said}: has the shape {shape}, as of {what}; if it is N x H x W, take x[..., None]")
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        shape = " x ".join(map(str, array.shape))
        raise ValueError(f"{said}: has the shape {shape}; must be N x H x W, N x H x W x 3 or N x 3 x H x W")
    if min(array.shape[1:3]) < 4:
        raise ValueError(f"{said}: has images of {array.shape[2]} x {array.shape[1]} pixels; 4 x 4 at least are needed")
    return array


def of_tensors(
    images: dict[str, np.ndarray], labels: dict[str, Tensor | None], said: str, notes: list[str]
) -> Collection:
    """Arrays by their splits; the classes are the labels that are there to train on."""
    arrays, splits = list(images.values()), [split for split, array in images.items() for _ in array]
    starts = np.cumsum([0, *map(len, arrays)])
    given = [one.numpy() for one in labels.values() if one is not None]
    classes = np.unique(given[0]).tolist() if len(given) == len(arrays) else []
    numbers = np.zeros(len(splits), dtype=np.int64)
    if len(classes) > MOST_CLASSES:
        notes = [*notes, f"{len(classes):,} labels are no classes ({MOST_CLASSES:,} at most), so there are none"]
        classes = []
    if len(classes) > 1:
        flat = np.concatenate(given)
        if strangers := sorted({*np.unique(flat).tolist()} - {*classes}):
            raise ValueError(f"{said}: has the label {strangers[0]} to test, but not to train on; take it out")
        numbers = np.searchsorted(classes, flat)

    def pixels(i: int) -> np.ndarray:
        part = int(np.searchsorted(starts, i, side="right")) - 1
        return np.ascontiguousarray(arrays[part][i - starts[part]])

    def content() -> str:
        hashes = [hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() for array in (*arrays, *given)]
        return _digest([*(f"{split} {array.shape}" for split, array in images.items()), *hashes])

    return Collection(
        splits,
        numbers.tolist(),
        [str(one) for one in classes] if len(classes) > 1 else [],
        names=lambda i: f"image {i}",
        pixels=pixels,
        shorter_side=lambda i: min(pixels(i).shape[:2]),
        content=content,
        notes=notes,
    )


# --- IDX


IDX = {"images": "idx3", "labels": "idx1"}
PARTS = {"train": ("train",), "test": ("t10k", "test")}


def _of_idx(folder: Path, said: str) -> Source:
    """Four files of MNIST's form, packed or not, whatever stands before ``train`` and ``t10k`` or ``test`` in names."""
    if not folder.is_dir():
        raise ValueError(f"{said}: must be a folder with four IDX files; it is {what_is(folder)}")
    files = sorted(file for file in folder.iterdir() if "ubyte" in file.name and not file.name.startswith("."))
    found = {
        (split, what): [match for file in files if (match := re.search(rf"({'|'.join(words)})-{what}", file.name))]
        for split, words in PARTS.items()
        for what in IDX
    }
    if absent := [f"{PARTS[split][0]}-{what}-{IDX[what]}-ubyte" for (split, what), ones in found.items() if not ones]:
        raise ValueError(f"{said}: has no {', '.join(absent)} (or .gz); put the four files of MNIST's form there")
    sets = sorted({match.string[: match.start()] for ones in found.values() for match in ones})
    if len(sets) > 1:
        raise ValueError(f"{said}: files of {len(sets)} data sets ({', '.join(f'{one}*' for one in sets)}); keep one's")
    there = {key: folder / ones[0].string for key, ones in found.items()}  # of packed and unpacked ones, the latter
    return Source(folder, _stamp(there.values()), lambda: _idx_collection(there, said))


def _idx_collection(files: dict[tuple[str, str], Path], said: str) -> Collection:
    images, labels = {}, {}
    for split in PARTS:
        with _saying(said):
            array, given = (read_idx(files[split, what]).numpy() for what in IDX)
            images[split] = _laid_out(array, str(files[split, "images"]))
            labels[split], why = labels_of(given, num_images=len(array))
        if labels[split] is None:
            raise ValueError(f"{files[split, 'labels']}: its labels cannot be used: {why}")
    return of_tensors(images, labels, said, [])
