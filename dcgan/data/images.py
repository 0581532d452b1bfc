"""The one place where pixels change their scale or size."""

import io
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dcgan.shell.writing import naming


def to_float(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]: ``x / 255 * 2 - 1``."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 in 0..255, rounded to nearest (truncating would darken every pixel by half a level).

    Raises:
        ValueError: there is NaN or infinity among them, which would become an ordinary pixel.
    """
    if (
        images.numel() and not torch.stack(images.aminmax()).isfinite().all()
    ):  # of all of them it takes 20 times as long
        raise ValueError("images hold NaN or infinite values")
    return (images.float() + 1).mul_(127.5).round_().clamp_(0, 255).byte()


PADDED = 4  # pixels, the largest difference that is not resized


def fit(images: Tensor, *, resolution: int) -> Tensor:
    """Bring uint8 images (N, C, H, W) to a square of ``resolution`` pixels.

    Up to ``PADDED`` pixels of difference are padded with black or cropped, evenly on all sides, which leaves
    every pixel of a digit as it was (28 <-> 32). Anything more is resized, bilinear and antialiased.
    """
    height, width = images.shape[-2:]
    rows, columns = resolution - height, resolution - width
    if rows == columns == 0:
        return images
    if max(abs(rows), abs(columns)) <= PADDED:
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


PAD, GAP = 64, 2  # the grey between images, and how many pixels of it


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
    return tile(images, columns=columns)


def tile(images: Tensor, *, columns: int) -> Tensor:
    """uint8 images (N, C, H, W), ``columns`` in a row, in one picture (3, H', W').

    torchvision's ``make_grid``, whose import takes longer than drawing.
    """
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[2] + GAP, images.shape[3] + GAP
    picture = images.new_full((3, rows * height + GAP, columns * width + GAP), PAD)
    for i, image in enumerate(with_channels(images, channels=3)):
        top, left = (i // columns) * height + GAP, (i % columns) * width + GAP
        picture[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return picture


def encode_png(picture: Tensor) -> bytes:
    """One uint8 picture (C, H, W) as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(with_channels(picture[None], channels=3)[0].permute(1, 2, 0).numpy()).save(buffer, "png")
    return buffer.getvalue()


def save_png(picture: Tensor, path: Path) -> None:
    """Write one uint8 picture (C, H, W), making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        path.write_bytes(encode_png(picture))
