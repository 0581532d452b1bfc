"""Images of one's own, read once: squares of bytes in a cache beside them, known by what they hold, and the facts."""

import hashlib
import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from dcgan.config.options import FolderData, OwnData
from dcgan.config.rules import one_line
from dcgan.data.decode import Header, grey, squared
from dcgan.data.own import Collection, Source, UnopenedError, in_parallel, source_of
from dcgan.data.pictures import CACHE
from dcgan.shell.writing import alone, naming, replacing, to_json

FORM = 5  # of what is kept; another is read anew
HELD_OUT = 7  # one image in so many is kept for the test where nobody says which: MNIST's share
LARGEST_INFERRED = 64  # pixels: larger images are brought to this unless data.resolution says otherwise
LOOKED_AT = 1000  # images, whose sizes tell the resolution
NAMED = 5  # unreadable files that a line names
DARK = 32  # of 255, below which images are as good as black
COPIED_AT_ONCE = 4096  # images


@dataclass(frozen=True)
class Facts:
    """What is known of images once they were read."""

    content: str  # the hash of all files and their names
    resolution: int
    channels: int
    classes: list[str]  # none: there are no labels
    num_train: int
    num_test: int
    held_out: bool  # the test split was chosen here, by what the images hold
    unreadable: list[tuple[str, str]]  # names and reasons
    notes: list[str]  # in words, what was left out
    to_train: list[int]  # images of each class
    unopened: bool  # some files could not be opened, which may be otherwise the next time
    folder: str = ""  # where the squares are


def found(data: OwnData) -> Facts:
    """Read the images that a configuration names, unless they were before, and say what they are.

    The order of the file system and the number of threads change nothing; a copy of the folder on another machine is
    read to the same images, in the same order, with the same ones held out.

    Raises:
        ValueError, OSError: one line with the key, the path and what to do.
    """
    source = source_of(data)
    cache = _cache(source.path, Path(data.root))
    with naming(cache), alone(cache / ".lock"):  # a second process waits here, then finds what the first has read
        facts = _kept(cache, source, data) or _read(cache, source, data)
    _refuse(facts, data)
    return replace(facts, notes=[*([f"skipped {source.skipped}"] if source.skipped else []), *facts.notes])


def with_facts(data: OwnData) -> tuple[OwnData, Facts]:
    """The configuration with what its images say filled in.

    Raises:
        ValueError, OSError: one line; also where a run was trained on other images.
    """
    facts = found(data)
    for before, there in ((data.content, facts.content), (data.classes, facts.classes)):
        if before not in (None, there):
            raise ValueError(f"data.folder={data.folder}: holds other images than the run was trained on")
    filled = replace(
        data,
        resolution=facts.resolution,
        channels=facts.channels,
        classes=facts.classes,
        content=facts.content,
    )
    return filled, facts


def read_own(data: OwnData, facts: Facts, *, split: str) -> tuple[Tensor, Tensor]:
    """uint8 images (N, C, S, S) and int64 labels (N,) of a split; what is larger than ``data.memory`` stays a file."""
    path = Path(facts.folder) / f"{split}.npy"
    mapped = path.stat().st_size > data.memory * 1e9
    images = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
    labels = np.load(Path(facts.folder) / f"{split}_labels.npy", allow_pickle=False)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _refuse(facts: Facts, data: OwnData) -> None:
    said = f"data.folder={data.folder}"
    if facts.unreadable and (not isinstance(data, FolderData) or data.unreadable == "stop"):
        raise ValueError(f"{said}: {_listed(facts.unreadable)}; mend or remove them, or data.unreadable=skip")
    if facts.num_train + facts.num_test < 2 or not facts.num_train or not facts.num_test:
        there = facts.num_train + facts.num_test
        words = f"{there} image{'s' * (there != 1)}" if there < 2 else "one image, again and again"
        raise ValueError(f"{said}: holds {words}, {len(facts.unreadable)} unreadable; a GAN learns from hundreds")


def _listed(unreadable: list[tuple[str, str]]) -> str:
    number = len(unreadable)
    named = "; ".join(f"{name}: {reason}" for name, reason in unreadable[:NAMED])
    more = f"; and {number - NAMED} more" if number > NAMED else ""
    return one_line(f"{number} {'file' if number == 1 else 'files'} cannot be read: {named}{more}")


def in_words(facts: Facts, data: OwnData) -> list[str]:
    """What a person should know before step 1, in lines."""
    test = f"held out by content, one in {HELD_OUT}" if facts.held_out else "to report on"
    labels = f"; {len(facts.classes)} classes ({_few(facts.classes)})" if facts.classes else "; no labels"
    kind = "grey" if facts.channels == 1 else "colour"
    lines = [
        f"data.folder={data.folder}: {facts.num_train:,} images to train on, {facts.num_test:,} {test}{labels}; "
        f"data.resolution={facts.resolution}, data.channels={facts.channels} ({kind})"
    ]
    if facts.unreadable:
        lines.append(f"skipped, for {_listed(facts.unreadable)}")
    return [one_line(line) for line in [*lines, *facts.notes]]


def _few(classes: list[str]) -> str:
    return ", ".join(classes if len(classes) <= 10 else [*classes[:9], "..."])


# --- the cache


def _cache(path: Path, root: Path) -> Path:
    """A hidden folder beside the images, or under ``data.root`` where that may not be written to."""
    beside = path / CACHE if path.is_dir() else path.parent / f".{path.name}{CACHE}"
    name = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    for cache in (beside, root / ".own" / name):
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(cache, os.W_OK):
            return cache
    raise OSError(
        f"data.folder={path}: what is read can be kept neither beside it nor under data.root={root}; choose one"
    )


def _place(cache: Path, data: OwnData, content: str, resolution: int, channels: int) -> Path:
    background = data.background if isinstance(data, FolderData) else ""
    return cache / f"{content[:16]}_{resolution}x{channels}{f'_{background}' * bool(background)}"


def _kept(cache: Path, source: Source, data: OwnData) -> Facts | None:
    """What was read before; None: nothing of these files, or it is damaged."""
    try:
        index = _index(cache)
        return _facts_of(cache, index, data) if (index["form"], index["stamp"]) == (FORM, source.stamp) else None
    except (KeyError, TypeError):
        return None


def _facts_of(cache: Path, index: dict[str, Any], data: OwnData) -> Facts | None:
    """What was read as ``data`` wants it of the content that ``index`` names."""
    try:
        resolution = data.resolution or index["resolution"]
        channels = data.channels or index["channels"]
        folder = _place(cache, data, index["content"], resolution, channels)
        facts = Facts(**json.loads((folder / "facts.json").read_text()))
        sizes = facts.num_train, facts.num_test
        if not all(_is_whole(folder, facts, split, n) for split, n in zip(("train", "test"), sizes, strict=True)):
            return None
        return replace(facts, folder=str(folder), unreadable=[(name, why) for name, why in facts.unreadable])
    except (OSError, ValueError, KeyError, TypeError, EOFError):  # of NumPy: an empty file
        return None


def _is_whole(folder: Path, facts: Facts, split: str, number: int) -> bool:
    shape = (number, facts.channels, facts.resolution, facts.resolution)
    images, labels = (np.load(folder / f"{split}{what}.npy", "r", allow_pickle=False) for what in ("", "_labels"))
    return (images.shape, images.dtype, labels.shape) == (shape, np.uint8, (number,))


def _read(cache: Path, source: Source, data: OwnData) -> Facts:
    before = _index(cache)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what decoders think of files that they can read
        collection = source.open()
        content = collection.content()
        index = {"form": FORM, "stamp": source.stamp, "content": content, "resolution": None, "channels": None}
        if (before.get("form"), before.get("content")) == (FORM, content):  # of another time, or read otherwise
            index = {**before, "stamp": source.stamp}
            if facts := _facts_of(cache, index, data):
                _keep(cache, index, facts)
                return facts
        else:
            _forget(cache)
        resolution = data.resolution or usual_size(collection)
        temporary = cache / ".reading"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            facts = _write(temporary, collection, content, resolution=resolution, channels=data.channels)
            folder = _place(cache, data, content, resolution, facts.channels)
            shutil.rmtree(folder, ignore_errors=True)  # it is damaged
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    inferred = {"resolution": resolution, "channels": facts.channels}
    _keep(cache, index | {key: value for key, value in inferred.items() if getattr(data, key) is None}, facts)
    return replace(facts, folder=str(folder))


def _index(cache: Path) -> dict[str, Any]:
    """Which files were read last, what they hold, and what was inferred from them; empty: nothing that can be read."""
    try:
        found = json.loads((cache / "index.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(cache: Path, index: dict[str, Any], facts: Facts) -> None:
    if facts.unopened:
        index = {**index, "stamp": ""}
    with replacing(cache / "index.json") as path:
        path.write_text(to_json(index))


def _forget(cache: Path) -> None:
    """What the folder held before."""
    for path in cache.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def usual_size(collection: Collection) -> int:
    """The multiple of 4 below the shorter side of the image in the middle, 64 at most."""
    number = len(collection.splits)
    chosen = range(0, number, max(1, number // LOOKED_AT))
    sides = sorted(side for i in chosen if (side := collection.shorter_side(i)))
    middle = sides[len(sides) // 2] if sides else LARGEST_INFERRED
    return min(LARGEST_INFERRED, max(4, middle // 4 * 4))


class _Read(NamedTuple):
    """What became of one picture."""

    mark: int  # 64 bits of the hash of its pixels, before they are resized
    coloured: bool
    brightest: int = 0  # of its levels
    header: Header = Header()
    reason: str = ""
    unopened: bool = False


def _write(folder: Path, collection: Collection, content: str, *, resolution: int, channels: int | None) -> Facts:
    """Decode everything into one file, then divide it: which images are held out, its pixels say."""
    number = len(collection.splits)
    everything = open_memmap(folder / "all.npy", "w+", np.uint8, (number, channels or 3, resolution, resolution))

    def read(i: int) -> _Read:
        try:
            pixels = collection.pixels(i)
        except ValueError as error:
            return _Read(0, False, reason=str(error), unopened=isinstance(error, UnopenedError))
        mark = mark_of(pixels)
        square = squared(grey(pixels) if channels == 1 else pixels, resolution=resolution)
        everything[i] = square if square.ndim == 2 else square.transpose(2, 0, 1)
        return _Read(mark, pixels.ndim == 3, int(pixels.max()), collection.header(i))

    found = in_parallel(read, number, words="reading")
    channels = channels or (3 if any(one.coloured for one in found) else 1)
    splits = divided(collection.splits, [None if one.reason else one.mark for one in found])
    labels = np.array(collection.labels, dtype=np.int64)
    for split in ("train", "test"):
        rows = np.array([i for i, one in enumerate(splits) if one == split], dtype=np.int64)
        _copy(everything, rows, folder / f"{split}.npy", channels=channels)
        np.save(folder / f"{split}_labels.npy", labels[rows])
    (folder / "all.npy").unlink()
    of_class = Counter(label for label, split in zip(collection.labels, splits, strict=True) if split == "train")
    facts = Facts(
        content=content,
        resolution=resolution,
        channels=channels,
        classes=collection.classes,
        num_train=splits.count("train"),
        num_test=splits.count("test"),
        held_out="" in collection.splits,
        unreadable=[(collection.names(i), one.reason) for i, one in enumerate(found) if one.reason],
        notes=[
            *collection.notes,
            *_several([collection.names(i) for i, one in enumerate(found) if one.header.pictures > 1]),
            *_too_dark(found),
        ],
        to_train=[of_class[label] for label in range(len(collection.classes))],
        unopened=any(one.unopened for one in found),
    )
    (folder / "facts.json").write_text(to_json(asdict(facts)))
    return facts


def _several(names: list[str]) -> list[str]:
    if not names:
        return []
    files = f"{len(names):,} files ({names[0]}, ...) hold" if len(names) > 1 else f"{names[0]} holds"
    return [f"{files} several pictures, of which the first is taken; save each as a file if all are meant"]


def _too_dark(found: Sequence[_Read]) -> list[str]:
    """Of 12 bits in files of 16, such as scanners write, the upper 8 are 15 at most; of 15 bits, 127."""
    deep = [one.brightest for one in found if one.header.deep and not one.reason]
    if deep and max(deep) < 128:
        files = f"{len(deep):,} files of 16 bits"
        return [f"no pixel of {files} is above {max(deep)} of 255: do they use fewer bits? save them with 8 bits"]
    brightest = max((one.brightest for one in found), default=0)
    return [f"no pixel of any image is above {brightest} of 255; is 255 white?"] if brightest < DARK else []


def _copy(everything: np.ndarray, rows: np.ndarray, path: Path, *, channels: int) -> None:
    target = open_memmap(path, "w+", np.uint8, (len(rows), channels, *everything.shape[2:])) if len(rows) else None
    if target is None:
        np.save(path, everything[:0, :channels])
        return
    for start in range(0, len(rows), COPIED_AT_ONCE):
        stretch = slice(start, start + COPIED_AT_ONCE)
        target[stretch] = everything[rows[stretch], :channels]
    target.flush()


def mark_of(pixels: np.ndarray) -> int:
    """Of what is seen, whatever file it was in: the same for duplicates, in any format that loses nothing."""
    found = hashlib.blake2b(str(pixels.shape).encode(), digest_size=8)
    found.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(found.digest(), "big")


def divided(splits: Sequence[str], marks: Sequence[int | None]) -> list[str]:
    """The split of each image, empty where it cannot be read (None); of those that have none, one in seven is held out.

    There is an image in both, if there are two that differ.
    """
    there = sorted({mark for mark in marks if mark is not None})
    if not there or any(splits):
        return ["" if mark is None else split for mark, split in zip(marks, splits, strict=True)]
    bound = min(max(2**64 // HELD_OUT, there[0] + 1), there[-1])
    return ["" if mark is None else "test" if mark < bound else "train" for mark in marks]
