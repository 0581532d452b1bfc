"""A folder of one's own pictures, or a .zip of one: which files are meant, and what their folders say of them."""

import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dcgan.config.rules import one_line
from dcgan.data.decode import MOST_BYTES
from dcgan.data.pictures import CACHE, JUNK, SUFFIXES
from dcgan.shell.contents import what_is

MOST_UNPACKED, MOST_TIMES = 2**30, 200  # bytes that an archive may unpack to, if that is so often its own size
MOST_CLASSES = 1000  # whose names a configuration holds
TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")  # the first that is there
LINK = "it is a link out of the folder; put the picture itself there"


class Entry(NamedTuple):
    """A file that its ending says is a picture."""

    name: str  # its path inside, with / between the folders
    size: int  # bytes
    changed: int  # when, or what tells its content from another
    fault: str = ""  # why it is not to be opened


@dataclass
class Listing:
    """The pictures, and how many other files there are."""

    content: Callable[[str], bytes]  # of an entry's name
    entries: list[Entry] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # by their endings
    strangers: list[Entry] = field(default_factory=list)  # the same files, one by one
    folders: list[str] = field(default_factory=list)  # their names end with /
    hidden: int = 0
    links: int = 0

    @property
    def skipped(self) -> str:
        """In words, what there is beside the pictures; empty: nothing."""
        kinds = f"of other kinds ({', '.join(sorted(self.others))})"
        counts = {kinds: self.others.total(), "hidden": self.hidden}
        words = [f"{number} {'file' if number == 1 else 'files'} {kind}" for kind, number in counts.items() if number]
        words += [f"{self.links} {'link' if self.links == 1 else 'links'} to folders"] if self.links else []
        return one_line(" and ".join(words))


def list_pictures(path: Path) -> Listing:
    """The pictures in a folder at any depth, or in a ``.zip`` of one, in the order of their names.

    That is the files' own names first, whatever folders they are in, so that numbered files keep their order over
    the folders of their classes. Links to folders are not followed.

    Raises:
        ValueError, OSError: words that follow the folder's name, on what is wrong with it.
    """
    listing = _of_folder(path) if path.is_dir() else _of_zip(path)
    listing.folders.sort()
    for entries in (listing.entries, listing.strangers):
        entries.sort(key=lambda entry: _order(entry.name))
    return listing


def _order(name: str) -> tuple[str, str]:
    plain = composed(name)
    return plain.rpartition("/")[2], plain


def composed(name: str) -> str:
    """A name as every system would write it: macOS takes letters and their accents apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _ending(name: str) -> str:
    return f".{name.rpartition('/')[2].rpartition('.')[2]}".lower() if "." in name else ""


def _of_folder(folder: Path) -> Listing:
    listing = Listing(lambda name: (folder / name).read_bytes())
    inside = os.path.realpath(folder)
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        with os.scandir(folder / inner) as there:
            for one in there:
                name = f"{inner}{one.name}"
                if one.name == CACHE:
                    continue
                if one.name.startswith(JUNK):
                    within = os.walk(one.path) if one.is_dir(follow_symlinks=False) else ()
                    listing.hidden += max(1, sum(len(names) for *_, names in within))
                elif one.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                    listing.folders.append(f"{name}/")
                elif _is_folder(one):
                    listing.links += 1
                elif _ending(one.name) in SUFFIXES:
                    listing.entries.append(_entry(one, name, inside))
                else:
                    listing.others[_ending(one.name) or "without an ending"] += 1
                    listing.strangers.append(_entry(one, name, inside))
    return listing


def _is_folder(one: os.DirEntry[str]) -> bool:
    try:
        return one.is_dir()
    except OSError:  # links in a circle
        return False


def _entry(one: os.DirEntry[str], name: str, inside: str) -> Entry:
    if one.is_symlink() and not Path(os.path.realpath(one.path)).is_relative_to(inside):
        return Entry(name, 0, 0, LINK)
    try:
        found = one.stat()
    except OSError:
        return Entry(name, 0, 0, f"it is {what_is(Path(one.path))}")
    plain = stat.S_ISREG(found.st_mode)
    fault = _too_large(found.st_size) if plain else f"it is {what_is(Path(one.path))}"  # to open it might wait for ever
    return Entry(name, found.st_size, found.st_mtime_ns, fault)


def _too_large(size: int) -> str:
    return f"it has {size} bytes, {MOST_BYTES} at most are read; scale it down" if size > MOST_BYTES else ""


def _of_zip(path: Path) -> Listing:
    """Nothing is unpacked onto the disk. A small archive can promise any number of bytes."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"is no archive that can be read: it is {what_is(path)}") from error
    there = {info.filename.replace("\\", "/"): info for info in archive.infolist() if not info.is_dir()}
    listing = Listing(lambda name: archive.read(there[name]))
    listing.folders += [info.filename for info in archive.infolist() if info.is_dir()]
    for name, info in there.items():
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise ValueError(f"holds {one_line(name)}, which leads out of it; pack it anew")
        if any(part.startswith(JUNK) for part in parts):
            listing.hidden += 1
        elif _ending(name) in SUFFIXES:
            listing.entries.append(Entry(name, info.file_size, info.CRC, _fault_in_zip(info)))
        else:
            listing.others[_ending(name) or "without an ending"] += 1
            listing.strangers.append(Entry(name, info.file_size, info.CRC, _fault_in_zip(info)))
    unpacked, packed = sum(entry.size for entry in listing.entries), path.stat().st_size
    if unpacked > max(MOST_UNPACKED, MOST_TIMES * packed):
        raise ValueError(f"unpacks to {unpacked} bytes from {packed}, as no pictures do; unpack it by hand")
    return listing


def _fault_in_zip(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link; put the picture itself there"
    return "it is encrypted; pack it without a password" if info.flag_bits & 1 else _too_large(info.file_size)


# --- what the folders say


class Arranged(NamedTuple):
    """What the folders of pictures say, picture by picture."""

    kept: list[int]  # the pictures that this is of: all but those beside the splits
    splits: list[str]  # train, test; empty: they do not say
    labels: list[int]
    classes: list[str]  # none: there are no labels
    notes: list[str]
    names: list[str]  # inside the folders that are around everything


def arrange(names: Sequence[str]) -> Arranged:
    """Splits and classes of pictures by their folders: ``train/`` and ``test/``, and in each a folder for each class.

    Raises:
        ValueError: words that follow the folder's name, on classes that do not fit.
    """
    parts = [composed(name).split("/") for name in names]
    depth = _wrapping(parts)
    parts = [part[depth:] for part in parts]
    of_top = _splits({part[0] for part in parts if len(part) > 1})
    inner = ["/".join(part) for part in parts]
    kept = [i for i, part in enumerate(parts) if not of_top or (part[0] in of_top and len(part) > 1)]
    splits = [of_top[parts[i][0]] if of_top else "" for i in kept]
    folders = [parts[i][1:-1] if of_top else parts[i][:-1] for i in kept]
    notes = _left_out(len(parts) - len(kept), "train and test, and are left out")
    bare = sum(not folder for folder in folders)
    if bare < len(folders):
        notes += _left_out(bare, "the folders of classes, so there are no labels")
    of_each = [folder[0] if folder else "" for folder in folders]
    classes = sorted({name for name, split in zip(of_each, splits, strict=True) if split != "test"})
    if len(classes) > MOST_CLASSES:
        notes.append(f"{len(classes):,} folders are no classes ({MOST_CLASSES:,} at most), so there are no labels")
    if bare or not 2 <= len(classes) <= MOST_CLASSES:
        return Arranged(kept, splits, [0] * len(kept), [], notes, [inner[i] for i in kept])
    if strangers := sorted({*of_each} - {*classes}):
        raise ValueError(f"has the class {one_line(strangers[0])} to test, but not to train on; take it out")
    if odd := [name for name in classes if not name.isprintable() or "${" in name]:  # which no configuration can hold
        raise ValueError(f"has a class named {one_line(odd[0])}; rename its folder")
    numbers = {name: number for number, name in enumerate(classes)}
    return Arranged(kept, splits, [numbers[name] for name in of_each], classes, notes, [inner[i] for i in kept])


def _left_out(number: int, words: str) -> list[str]:
    return [f"{number} {'image lies' if number == 1 else 'images lie'} beside {words}"] if number else []


def _wrapping(parts: Sequence[Sequence[str]]) -> int:
    """How many folders there are around everything, as archives have."""
    deepest = min(map(len, parts), default=1) - 1
    return next((depth for depth in range(deepest) if len({part[depth] for part in parts}) > 1), deepest)


def _splits(tops: set[str]) -> dict[str, str]:
    """Which of the folders are the two splits; none: they are something else."""
    there = {top.lower(): top for top in sorted(tops)}
    train, test = (next((there[name] for name in names if name in there), None) for names in (TRAIN, TEST))
    return {train: "train", test: "test"} if train and test else {}
