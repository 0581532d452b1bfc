"""The one place where pixels change their scale or size."""

import io
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import make_grid, save_image


def to_float(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]: ``x / 255 * 2 - 1``."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 in 0..255, rounded to nearest (truncating would darken every pixel by half a level)."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


def fit(images: Tensor, *, resolution: int) -> Tensor:
    """Bring uint8 images (N, C, H, W) to a square of ``resolution`` pixels.

    Up to 4 pixels of difference are padded with black or cropped, evenly on all sides, which leaves
    every pixel of a digit as it was (28 <-> 32). Anything more is resized, bilinear and antialiased.
    """
    height, width = images.shape[-2:]
    rows, columns = resolution - height, resolution - width
    if rows == columns == 0:
        return images
    if max(abs(rows), abs(columns)) <= 4:
        return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
    size = (resolution, resolution)
    return F.interpolate(images.float(), size=size, mode="bilinear", antialias=True).round().clamp(0, 255).byte()


def with_channels(images: Tensor, *, channels: int) -> Tensor:
    """Repeat grey (N, 1, H, W) to ``channels``, or average colour to grey; equal counts pass through."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    if channels == 1:
        return images.float().mean(1, keepdim=True).round().byte()
    raise ValueError(f"images have {images.shape[1]} channels and cannot become {channels}")


PAD = 64  # the grey between images


def grid(images: Tensor, *, num_classes: int = 0) -> Tensor:
    """Tile uint8 images (N, C, H, W) into one uint8 picture (3, H', W'), near-square.

    Args:
        num_classes: image i being of class i % num_classes, one row per class, if there is an image of each.
    """
    columns = math.ceil(len(images) ** 0.5)
    if 0 < num_classes <= len(images):
        columns = math.ceil(len(images) / num_classes)
        missing = images.new_full((-len(images) % num_classes, *images.shape[1:]), PAD)
        images = torch.cat([images, missing]).unflatten(0, (columns, num_classes)).transpose(0, 1).flatten(0, 1)
    picture: Tensor = make_grid(images, nrow=columns, pad_value=PAD)
    return picture


def encode_png(picture: Tensor) -> bytes:
    """One uint8 picture (C, H, W) as a PNG file's content."""
    buffer = io.BytesIO()
    save_image(picture.float() / 255, buffer, format="png")
    return buffer.getvalue()


def save_png(picture: Tensor, path: Path) -> None:
    """Write one uint8 picture (C, H, W), making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))
