"""The grids that runs left, small enough for a page."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan.config.rules import one_line
from dcgan.shell.contents import what_is

GAP = 2  # pixels between the images of a grid; that of data/images.py, which loads torch
LARGEST = 2**23  # pixels of a picture that is opened
HEAVY = 100_000  # bytes from which a picture is packed as JPEG
WIDEST = 640  # pixels


def grids(folder: Path) -> dict[int, Path]:
    """The grids of a run by their steps."""
    found = {path.stem.removeprefix("step_"): path for path in sorted(folder.glob("samples/step_*.png"))}
    return {int(step): path for step, path in found.items() if step.isdigit()}


def evenly(steps: Sequence[int], most: int) -> list[int]:
    """The first, the last, and others between them at equal distances."""
    if len(steps) <= most:
        return list(steps)
    return [steps[i] for i in np.linspace(0, len(steps) - 1, most).round().astype(int)]


def whole(path: Path) -> tuple[bytes, str] | None:
    """A grid as the content of a picture file with its type; None: it cannot be read."""
    picture = _opened(path)
    return None if picture is None else _packed(picture)


def corner(path: Path, *, resolution: int, columns: int) -> tuple[bytes, str] | None:
    """The first ``columns`` images of as many rows of a grid."""
    picture = _opened(path)
    if picture is None:
        return None
    side = columns * (resolution + GAP) + GAP
    return _packed(picture.crop((0, 0, min(side, picture.width), min(side, picture.height))))


def opened(path: Path) -> Image.Image:
    """A grid, in colour.

    Raises:
        ValueError: it cannot be read; the message says why, to stand behind its name.
    """
    if not path.is_file():
        raise ValueError(f"cannot be read: it is {what_is(path)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is held against LARGEST
            with Image.open(path, formats=["PNG"]) as picture:
                if picture.width * picture.height > LARGEST:
                    raise ValueError(f"it has {picture.width} x {picture.height} pixels, {LARGEST} at most are shown")
                return picture.convert("RGB")
    except Exception as error:  # what is damaged makes Pillow stumble in many ways
        raise ValueError(f"cannot be read: {one_line(str(error))}") from error


def _opened(path: Path) -> Image.Image | None:
    try:
        return opened(path)
    except ValueError:
        return None


def _packed(picture: Image.Image) -> tuple[bytes, str]:
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.BOX)
    channels = np.asarray(picture)
    if (channels == channels[..., :1]).all():
        picture = picture.convert("L")
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 85})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        if buffer.tell() <= HEAVY:
            break
    return buffer.getvalue(), kind
