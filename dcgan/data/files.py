"""Images from other tools: a folder of pictures, an ``.npy`` or an ``.npz``. Nothing is ever unpickled."""

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
TO_UINT8 = "((x + 1) * 127.5).round().clip(0, 255).astype('uint8') turns [-1, 1] into it"


UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_samples(path: Path, *, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor | None]:
    """Read uint8 images of the shape (C, H, W), and their labels where an ``.npz`` has an array ``labels``.

    Raises:
        ValueError, OSError: one line on what is wrong with them.
    """
    if not path.exists():
        raise FileNotFoundError(f"samples={path}: no such file or folder")
    if path.is_dir():
        array, labels = _from_folder(path, channels=shape[0]), None
    elif path.suffix in (".npy", ".npz"):
        array, labels = _from_numpy(path)
    else:
        raise ValueError(f"samples={path}: neither a folder of images nor .npz nor .npy")
    images = torch.from_numpy(_checked(array, shape, path))
    if labels is None:
        return images, None
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or (len(labels) and labels.min() < 0):
        raise ValueError(f"samples={path}: labels must be {len(images)} whole numbers, 0 or more")
    return images, torch.from_numpy(labels.astype(np.int64))


def _checked(array: np.ndarray, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """The array as (N, C, H, W), if it is what it should be."""
    channels, height, width = shape
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"samples={path}: holds NaN or infinite values; must be uint8, 0 to 255")
    if array.dtype != np.uint8:
        raise ValueError(f"samples={path}: is {array.dtype}; must be uint8, 0 to 255: {TO_UINT8}")
    forms: dict[tuple[int, ...], np.ndarray] = {(channels, height, width): array}
    if channels == 1:
        forms[height, width] = array[:, None] if array.ndim == 3 else array
    if array.ndim == 4:
        forms[height, width, channels] = array.transpose(0, 3, 1, 2)
    if array.ndim < 3 or array.shape[1:] not in forms:
        grey = f"N x {height} x {width} or N x 1 x {height} x {width} (Stacked-MNIST: data.name=stacked_mnist)"
        wanted = grey if channels == 1 else f"N x {' x '.join(map(str, shape))}"
        raise ValueError(f"samples={path}: has the shape {' x '.join(map(str, array.shape))}; must be {wanted}")
    if len(array) == 0:
        raise ValueError(f"samples={path}: holds no images")
    if array.max() <= 1:
        raise ValueError(f"samples={path}: its largest value is {array.max()}; must go from 0 to 255: {TO_UINT8}")
    return np.ascontiguousarray(forms[array.shape[1:]])


def _from_numpy(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        with path.open("rb") as file:  # which NumPy does not close where it fails
            if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise ValueError("not a NumPy file")
            file.seek(0)
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content, None
            names = set(content.files) - {"labels"}
            name = "images" if "images" in names else names.pop() if len(names) == 1 else None
            if name is None:
                raise ValueError(f"it holds {', '.join(sorted(content.files)) or 'nothing'}; name the array images")
            array, labels = content[name], content["labels"] if "labels" in content.files else None
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{name} in it is no array")
            return array, labels
    except UNREADABLE as error:
        reason = "it holds pickled objects, which could execute code" if "pickle" in str(error) else error
        raise ValueError(f"samples={path}: cannot be read: {reason}") from error


def _from_folder(folder: Path, *, channels: int) -> np.ndarray:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not paths:
        raise ValueError(f"samples={folder}: holds no images ({', '.join(sorted(SUFFIXES))})")
    first = _read_image(paths[0], channels)
    array = np.empty((len(paths), *first.shape), dtype=np.uint8)
    for index, path in enumerate(paths):
        image = _read_image(path, channels)
        if image.shape != first.shape:
            sizes = " and ".join(
                f"{one.shape[1]}x{one.shape[0]} ({name.name})" for one, name in ((first, paths[0]), (image, path))
            )
            raise ValueError(f"samples={folder}: images of different sizes: {sizes}")
        array[index] = image
    return array


def _read_image(path: Path, channels: int) -> np.ndarray:
    """(H, W) for one channel, (H, W, 3) for three."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("error")
            if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA"):
                raise ValueError(f"its mode is {image.mode}; save it with 8 bits")
            if "A" in image.mode and np.asarray(image.getchannel("A")).min() < 255:
                raise ValueError("it is transparent in part; save it on a plain background")
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise ValueError(f"samples={path}: cannot be read as an image ({' '.join(str(error).split())})") from error
    if channels == 3:
        return pixels
    if (pixels != pixels[:, :, :1]).any():
        raise ValueError(f"samples={path}: is a colour image; the data set is grey")
    return pixels[:, :, 0]
