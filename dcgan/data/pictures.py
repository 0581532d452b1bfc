"""A folder of pictures: which of its files are meant, and what each holds."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dcgan.config.rules import one_line
from dcgan.shell.contents import LARGEST, what_is

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
JUNK = (".", "__")  # what names begin with that nobody put there to be looked at: .ipynb_checkpoints, __MACOSX
CACHE = ".dcgan"  # where data=folder keeps what it has read
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # of Pillow's others, one starts a program (EPS)
MOST_PIXELS = 2**24  # of one picture: 4096 x 4096
TOO_MANY = f"it has more than {MOST_PIXELS} pixels; scale it down"


def read_folder(folder: Path) -> tuple[np.ndarray, list[str]]:
    """All pictures in a folder, at any depth, in the order of their names; and what was skipped, in words.

    Returns:
        uint8 (N, H, W), or (N, H, W, 3) where one is in colour.

    Raises:
        ValueError, OSError: one line on what is wrong with them.
    """
    if (folder / "config.yaml").is_file() and (folder / "checkpoints").is_dir():
        raise ValueError(f"samples={folder}: is a run folder; say run={folder}")
    paths, skipped = _chosen(folder)
    if not paths:
        others = f"; it holds {skipped}" if skipped else ""
        raise ValueError(f"samples={folder}: holds no images ({', '.join(sorted(SUFFIXES))}){others}")
    first = _read_picture(paths[0])
    if len(paths) * first.size > LARGEST:
        raise ValueError(
            f"samples={folder}: {len(paths)} images like {paths[0].name} take {len(paths) * first.size} bytes, "
            f"{LARGEST} at most are read; take fewer, or smaller ones"
        )
    array = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for index, path in enumerate(paths):
        image = _read_picture(path)
        if image.shape != first.shape:
            sizes = " and ".join(
                f"{one.shape[1]}x{one.shape[0]} ({name.name})" for one, name in ((first, paths[0]), (image, path))
            )
            raise ValueError(f"samples={folder}: images of different sizes: {sizes}")
        array[index] = image
    if (array == array[..., :1]).all():
        array = array[..., 0]
    return array, [f"took {len(paths)} images, skipped {skipped}"] if skipped else []


def _chosen(folder: Path) -> tuple[list[Path], str]:
    """The files to read, and in words those that are there beside them."""
    paths, others, hidden, links, inside = [], Counter[str](), 0, 0, Path(os.path.realpath(folder))
    for path in _entries(folder):
        if CACHE in path.relative_to(folder).parts:
            continue
        if any(part.startswith(JUNK) for part in path.relative_to(folder).parts):
            hidden += 1
        elif path.is_dir():
            links += 1
        elif path.suffix.lower() in SUFFIXES:
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                raise ValueError(f"samples={path}: is a link out of the folder; put the picture itself there")
            paths.append(path)
        else:
            others[path.suffix.lower() or "without an ending"] += 1
    counts = {f"of other kinds ({', '.join(sorted(others))})": others.total(), "hidden": hidden}
    words = [f"{number} {'file' if number == 1 else 'files'} {kind}" for kind, number in counts.items() if number]
    words += [f"{links} {'link' if links == 1 else 'links'} to folders"] if links else []
    return sorted(paths), " and ".join(words)


def _entries(folder: Path) -> Iterator[Path]:
    """Every file in it, at any depth, and every link to a folder, which is not followed: it might lead back."""

    def refuse(error: OSError) -> None:
        raise error

    for name, folders, files in os.walk(folder, onerror=refuse):
        inner = Path(name)
        yield from (inner / file for file in files)
        yield from (inner / one for one in folders if (inner / one).is_symlink())


def _read_picture(path: Path) -> np.ndarray:
    """(H, W, 3), upright."""
    if not path.is_file():
        raise ValueError(f"samples={path}: cannot be read as an image (it is {what_is(path)})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
            return _pixels(path)
    except Exception as error:  # a damaged file makes the decoders stumble in many ways
        raise ValueError(f"samples={path}: cannot be read as an image ({_reason(error, path)})") from error


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path, formats=FORMATS) as image:
        _refuse_what_bytes_cannot_say(image)
        image.load()
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
    if pixels[..., 3].min() < 255:
        raise ValueError("it is transparent in part; save it on a plain background")
    return pixels[..., :3]


def _reason(error: Exception, path: Path) -> str:
    kind = what_is(path)
    if kind and "picture" not in kind:
        return f"it is {kind}"
    if isinstance(error, UnidentifiedImageError):
        return f"it is {kind}, damaged" if kind else "it is damaged, or no image"
    if isinstance(error, Image.DecompressionBombError):
        return TOO_MANY
    return one_line(str(error) or type(error).__name__)


def _refuse_what_bytes_cannot_say(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(TOO_MANY)
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"its mode is {image.mode}; save it with 8 bits")
    if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA", "PA"):
        raise ValueError(f"its colours are {image.mode}; convert it to grey or RGB")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"it holds {frames} pictures; save each as a file")
