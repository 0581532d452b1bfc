"""Every image of a data set, looked at once: what the checks ask of it, in arrays. Nothing is written."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dcgan.config.options import Data, OwnData
from dcgan.config.rules import one_line
from dcgan.data.decode import decode, grey, squared
from dcgan.data.files import LEVELS_OF_LOSS
from dcgan.data.listing import Entry, Listing
from dcgan.data.own import Collection, in_parallel, of_tensors, source_of
from dcgan.data.prepared import divided, mark_of, usual_size
from dcgan.data.readers import read

SIDE = 32  # pixels at most of the small squares that images are compared by
ENDINGS = {  # of formats, by the first bytes of their files; the first ending is what a mended file gets
    b"\x89PNG\r\n\x1a\n": (".png",),
    b"\xff\xd8\xff": (".jpg", ".jpeg", ".jfif"),
    b"GIF8": (".gif",),
    b"BM": (".bmp",),
    b"II*\x00": (".tif", ".tiff"),
    b"MM\x00*": (".tif", ".tiff"),
    b"P1": (".ppm", ".pgm"),
    b"P2": (".pgm", ".ppm"),
    b"P3": (".ppm", ".pgm"),
    b"P4": (".ppm", ".pgm"),
    b"P5": (".pgm", ".ppm"),
    b"P6": (".ppm", ".pgm"),
}
WEBP = (".webp",)
SPLITS = ("train", "test")


class Glance(NamedTuple):
    """What one image is."""

    reason: str = ""  # why it cannot be read
    endings: Sequence[str] = ()  # that its file may have; none: it is no file, or of no known format
    pictures: int = 1  # in its file
    height: int = 0
    width: int = 0
    coloured: bool = False
    spread: int = 0  # levels between its darkest and its brightest value, of the channel with most
    mark: int = 0  # 64 bits of the hash of its pixels


@dataclass(frozen=True)
class Seen:
    """A data set as the checks know it."""

    said: str  # as it was named on the command line
    collection: Collection
    glances: list[Glance]
    small: np.ndarray  # uint8 (N, C, S, S): the square in the middle of each
    resolution: int  # that it would be trained at

    @property
    def listing(self) -> Listing | None:
        """Its files, where each image is one."""
        return self.collection.listing

    @property
    def splits(self) -> list[str]:
        """As given; empty where nobody says."""
        return self.collection.splits

    @property
    def classes(self) -> list[str]:
        """Their names; none: there are no labels."""
        return self.collection.classes

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (N,)."""
        return np.array(self.collection.labels, dtype=np.int64)

    @cached_property
    def sides(self) -> list[str]:
        """The split that each image is used in, also where training holds some out; empty: it cannot be read."""
        return divided(self.splits, [None if one.reason else one.mark for one in self.glances])

    @cached_property
    def readable(self) -> np.ndarray:
        """Of shape (N,): which images there are to look at."""
        return np.array([not one.reason for one in self.glances], dtype=bool)

    @cached_property
    def constant(self) -> np.ndarray:
        """Of shape (N,): which are of one value, but for what saving as JPEG does."""
        return self.readable & (np.array([one.spread for one in self.glances]) <= LEVELS_OF_LOSS)

    @cached_property
    def marks(self) -> np.ndarray:
        """uint64 (N,)."""
        return np.array([one.mark for one in self.glances], dtype=np.uint64)

    def name(self, i: int) -> str:
        """Of an image: that of its file, or its number."""
        return one_line(self.collection.names(i))


def look(data: Data) -> Seen:
    """Decode every image of a data set once.

    Raises:
        ValueError, OSError: one line, where there is nothing that could be looked at.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what decoders think of files that they can read
        collection, said = _opened(data)
        number = len(collection.splits)
        side = min(SIDE, usual_size(collection))
        small = np.zeros((number, 3, side, side), dtype=np.uint8)
        glance = _glancing(collection, small, data)
        glances = in_parallel(glance, number, words="looking")
    readable = [one for one in glances if not one.reason]
    if len({one.mark for one in readable}) < 2:
        words = "one image, again and again" if len(readable) > 1 else f"{len(readable)} image{'s' * (not readable)}"
        why = next((f" ({collection.names(i)}: {one.reason})" for i, one in enumerate(glances) if one.reason), "")
        held = f"holds {words}, {len(glances) - len(readable)} unreadable{why}"
        raise ValueError(one_line(f"{said}: {held}; there is nothing to compare, and a GAN learns from hundreds"))
    coloured = any(one.coloured for one in readable)
    resolution = data.resolution or usual_size(collection)
    return Seen(said, collection, glances, small if coloured else small[:, :1].copy(), resolution)


def _opened(data: Data) -> tuple[Collection, str]:
    if isinstance(data, OwnData):
        return source_of(data).open(), f"data.folder={data.folder}"
    said, parts = f"data={data.name}", {split: read(data.name, Path(data.root), split=split) for split in SPLITS}
    images = {split: images.permute(0, 2, 3, 1).squeeze(3).numpy() for split, (images, _) in parts.items()}
    return of_tensors(images, {split: labels for split, (_, labels) in parts.items()}, said, []), said


def _glancing(collection: Collection, small: np.ndarray, data: Data) -> Callable[[int], Glance]:
    background = getattr(data, "background", "black")
    entries = {entry.name: entry for entry in collection.listing.entries} if collection.listing else {}

    def glance(i: int) -> Glance:
        endings: Sequence[str] = ()
        try:
            if collection.listing:
                content = content_of(collection.listing, entries[collection.names(i)])
                endings = endings_of(content)
                pixels = decode(content, background=background)
            else:
                pixels = collection.pixels(i)
        except ValueError as error:
            return Glance(str(error), endings)
        pixels = grey(pixels) if data.channels == 1 else pixels
        square = squared(pixels, resolution=small.shape[-1])
        small[i] = square if square.ndim == 2 else square.transpose(2, 0, 1)
        spread = int(np.ptp(pixels, axis=(0, 1)).max())
        height, width = pixels.shape[:2]
        return Glance(
            "", endings, collection.header(i).pictures, height, width, pixels.ndim == 3, spread, mark_of(pixels)
        )

    return glance


def content_of(listing: Listing, entry: Entry) -> bytes:
    """The bytes of a file.

    Raises:
        ValueError: the reason why there are none, in words that follow its name.
    """
    if entry.fault:
        raise ValueError(entry.fault)
    try:
        return listing.content(entry.name)
    except Exception as error:  # a damaged archive makes zipfile stumble in many ways
        raise ValueError(one_line(getattr(error, "strerror", None) or str(error))) from error


def endings_of(content: bytes) -> Sequence[str]:
    """The endings that a file of such content may have; none: it is of no format that is read."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return WEBP
    return next((endings for start, endings in ENDINGS.items() if content.startswith(start)), ())


def luminance(seen: Seen) -> np.ndarray:
    """The small squares in grey, uint8 (N, S, S)."""
    if seen.small.shape[1] == 1:
        return seen.small[:, 0]
    return np.stack([grey(np.ascontiguousarray(one.transpose(1, 2, 0))) for one in seen.small])
