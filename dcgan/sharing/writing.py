"""Pictures and animations as files, with words beside what they show."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dcgan.data.images import encode_png, with_channels
from dcgan.shell.writing import replacing

FONT_SIZE = 12  # pixels
MARGIN = 6  # pixels around words
LETTER = 6  # pixels, of the usual one
PAPER, INK = 255, 0


def enlarged(picture: Tensor, *, to: int) -> Tensor:
    """uint8 images (..., H, W), pixels repeated a whole number of times, so that they are about ``to`` high or more."""
    factor = max(1, -(-to // picture.shape[-2]))
    return picture.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def labelled(picture: Tensor, *, rows: Sequence[str] = (), columns: Sequence[str] = (), below: str = "") -> Tensor:
    """A uint8 picture (3, H, W) on white, with a name to the left of each row, above each column, and words below.

    Rows and columns are of one size.
    """
    font = ImageFont.load_default(FONT_SIZE)
    left = MARGIN + max((_width(name, font) + MARGIN for name in rows), default=0)
    above = FONT_SIZE + 2 * MARGIN if columns else MARGIN
    height, width = picture.shape[1:]
    wide = width + left + MARGIN
    lines = textwrap.wrap(below, max(20, wide // LETTER))
    line_height = FONT_SIZE + 4
    high = above + height + MARGIN + (len(lines) * line_height + MARGIN if lines else 0)
    sheet = Image.new("RGB", (wide, high), (PAPER,) * 3)
    sheet.paste(_image(picture), (left, above))
    pen = ImageDraw.Draw(sheet)
    ink = (INK,) * 3
    for i, name in enumerate(rows):
        middle = above + height * (2 * i + 1) // (2 * len(rows))
        pen.text((left - MARGIN, middle), name, fill=ink, font=font, anchor="rm")
    for i, name in enumerate(columns):
        middle = left + width * (2 * i + 1) // (2 * len(columns))
        pen.text((middle, above - MARGIN), name, fill=ink, font=font, anchor="ms")
    for i, line in enumerate(lines):
        pen.text((MARGIN, above + height + MARGIN + i * line_height), line, fill=ink, font=font, anchor="la")
    return torch.from_numpy(np.asarray(sheet).copy()).permute(2, 0, 1)


def side_by_side(*pictures: Tensor) -> Tensor:
    """uint8 pictures (3, H, W) from left to right, white below the lower ones."""
    height = max(picture.shape[1] for picture in pictures)
    return torch.cat([_on_paper(picture, height=height) for picture in pictures], 2)


def write_png(picture: Tensor, out: Path) -> None:
    """One uint8 picture (C, H, W), whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(encode_png(picture))


def write_animation(frames: Sequence[Tensor], out: Path, *, form: str, milliseconds: Sequence[int]) -> None:
    """Uint8 pictures (3, H, W) of one size, one after the other, over and over, whole or not at all.

    Args:
        form: ``gif``, of 256 colours, exact for what is grey; ``webp``, exact.
        milliseconds: how long each is seen.
    """
    images = [_image(frame) for frame in frames]
    if form == "gif" and all(bool((frame == frame[:1]).all()) for frame in frames):
        images = [image.convert("L") for image in images]
    exact = {"lossless": True} if form == "webp" else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        images[0].save(
            temporary,
            format=form,
            save_all=True,
            append_images=images[1:],
            duration=list(milliseconds),
            loop=0,
            **exact,
        )


def _image(picture: Tensor) -> Image.Image:
    return Image.fromarray(with_channels(picture[None], channels=3)[0].permute(1, 2, 0).contiguous().numpy())


def _width(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return int(font.getlength(text)) + 1


def _on_paper(picture: Tensor, *, height: int) -> Tensor:
    sheet = picture.new_full((3, height, picture.shape[2]), PAPER)
    sheet[:, : picture.shape[1]] = picture
    return sheet
