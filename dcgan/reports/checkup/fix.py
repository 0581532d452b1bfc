"""A mended copy of a folder of pictures. Of the pictures themselves no byte is changed, nor is any label."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dcgan.config.rules import one_line
from dcgan.data.decode import decode
from dcgan.data.files import LEVELS_OF_LOSS
from dcgan.data.prepared import mark_of
from dcgan.reports.checkup.files import hidden_pictures
from dcgan.reports.checkup.finding import Diagnosis, count
from dcgan.reports.checkup.seen import Seen, content_of
from dcgan.shell.writing import naming

LEFT = "what only a person can decide is as it was"


def refuse_place(path: Path, source: Path | None, *, key: str) -> None:
    """Hold that nothing is written into the images' own folder.

    Raises:
        ValueError: ``path`` is inside.
    """
    if source is not None and source.is_dir() and _real(path).is_relative_to(_real(source)):
        raise ValueError(f"{key}={path}: lies in the folder that is looked at; name one outside")


def refuse_copy(path: Path) -> None:
    """Hold that a copy overwrites nothing.

    Raises:
        FileExistsError: ``path`` is there.
    """
    if path.exists() or path.is_symlink():
        raise FileExistsError(f"fix={path}: is there already; name a folder that is not")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def mend(seen: Seen, found: Diagnosis, path: Path) -> str:
    """Write the copy, whole or not at all; and say what was done.

    Left out are what cannot be read, images of one value, all but one of exact duplicates, and those to train on that
    are exactly in the test split. Pictures are named by what they are.

    Raises:
        OSError: it cannot be written.
    """
    assert seen.listing is not None
    dropped = _dropped(seen, found)
    entries = {entry.name: entry for entry in seen.listing.entries}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    written: set[str] = set()
    with naming(path):
        temporary.mkdir(parents=True)
        try:
            for i, one in enumerate(seen.glances):
                if i not in dropped:
                    name = seen.collection.names(i)
                    _write(temporary, name, one.endings, content_of(seen.listing, entries[name]), written)
            num_kept = len(written)
            for name, ending, content in _unseen(seen):
                _write(temporary, name, (ending,), content, written)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    renamed = len(written - entries.keys())
    others = len(seen.listing.strangers) - (len(written) - num_kept)
    return one_line(
        f"{path}: a copy of {count(len(written))}, without {len(dropped):,} (unreadable, of one value, or exactly "
        f"there twice), {renamed:,} under another name; {count(others, 'file')} of other kinds not copied; {LEFT}"
    )


def _dropped(seen: Seen, found: Diagnosis) -> set[int]:
    useless = {i for one in found.findings if one.kind in ("constant", "duplicate") for i in one.images}
    pairs = [*zip(seen.glances, seen.splits, strict=True)]
    tested = {one.mark for one, split in pairs if split == "test" and not one.reason}
    for i, (one, split) in enumerate(pairs):
        if one.reason or (split == "train" and one.mark in tested):
            useless.add(i)
    return useless


def _unseen(seen: Seen) -> Iterator[tuple[str, str, bytes]]:
    """Those that would be of use: neither constant nor there already."""
    assert seen.listing is not None
    entries = {entry.name: entry for entry in seen.listing.strangers}
    known = {one.mark for one in seen.glances if not one.reason}
    for name, ending in hidden_pictures(seen):
        content = content_of(seen.listing, entries[name])
        pixels = decode(content, background="black")
        if np.ptp(pixels, axis=(0, 1)).max() > LEVELS_OF_LOSS and (mark := mark_of(pixels)) not in known:
            known.add(mark)
            yield name, ending, content


def _write(folder: Path, name: str, endings: Sequence[str], content: bytes, written: set[str]) -> None:
    """Under its own name; with its true ending, if it has another; with a number, if that name is taken."""
    stem, dot, ending = name.rpartition(".")
    if endings and f".{ending}".lower() not in endings:
        name = f"{stem if dot and '/' not in ending else name}{endings[0]}"
    base, _, ending = name.rpartition(".")
    names = (name, *(f"{base}-{i}.{ending}" for i in range(2, 10_000)))
    name = next(one for one in names if one not in written)
    written.add(name)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
