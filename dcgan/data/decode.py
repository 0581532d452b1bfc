"""One picture of one's own, of any mode and size: decoded to bytes of grey or colour, or the reason why it cannot be.

Samples that are scored are held to more (``pictures.py``): there, what a conversion would lose moves the score.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dcgan.config.rules import one_line
from dcgan.data.files import LEVELS_OF_LOSS
from dcgan.data.pictures import FORMATS
from dcgan.shell.contents import LOOKED_AT, kind_of

LEAST_SIDE = 4  # pixels, the least that data.resolution may be
MOST_PIXELS = 89_478_485  # of one picture, Pillow's own bound: 9459 x 9459
MOST_BYTES = 2**28  # of its file
TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


def decode(content: bytes, *, background: str) -> np.ndarray:
    """The first picture in a file's content, upright.

    Grey that was saved in colour is grey. Of 16 bits the upper ones stay, CMYK becomes RGB, and what is transparent is
    seen on ``background``, ``black`` or ``white``.

    Returns:
        uint8 (H, W) of grey, (H, W, 3) of colour.

    Raises:
        ValueError: the reason why it cannot be read, in words that follow its name.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _refuse_sizes(*image.size)
            image.load()
            return _without_false_colour(_plain(ImageOps.exif_transpose(image), background))
    except Exception as error:  # a damaged file makes the decoders stumble in many ways
        raise ValueError(_reason(error, content)) from error


def shorter_side(content: bytes) -> int:
    """How many pixels the shorter side of a picture has, by its header alone; 0: it cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return min(image.size)
    except Exception:
        return 0


class Header(NamedTuple):
    """What a file says before its pixels are read."""

    pictures: int = 1
    deep: bool = False  # of more than 8 bits


def header_of(content: bytes) -> Header:
    """Of a file's content; as of any file where it cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return Header(getattr(image, "n_frames", 1), image.mode.startswith("I"))
    except Exception:
        return Header()


def squared(pixels: np.ndarray, *, resolution: int) -> np.ndarray:
    """The largest square in the middle of uint8 (H, W) or (H, W, 3), resized to ``resolution`` by Pillow's LANCZOS."""
    if pixels.shape[:2] == (resolution, resolution):
        return pixels
    image = ImageOps.fit(Image.fromarray(pixels), (resolution, resolution), Image.Resampling.LANCZOS)
    return np.asarray(image)


def grey(pixels: np.ndarray) -> np.ndarray:
    """The luminance (ITU-R 601) of uint8 (H, W, 3); what is grey passes through."""
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))


def _refuse_sizes(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, {MOST_PIXELS} at most are read; scale it down")
    if min(width, height) < LEAST_SIDE:
        raise ValueError(f"it has {width} x {height} pixels, {LEAST_SIDE} x {LEAST_SIDE} at least")


def _plain(image: Image.Image, background: str) -> np.ndarray:
    if image.mode.startswith("I"):
        return _upper_bits(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 bits")
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        seen = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
        if _is_drawn(image.getchannel("A")) and not any(_is_drawn(channel) for channel in seen.split()):
            other = "white" if background == "black" else "black"
            raise ValueError(f"nothing of it is to be seen on data.background={background}; take {other}")
        image = seen
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _is_drawn(channel: Image.Image) -> bool:
    least, largest = channel.getextrema()
    return least != largest


def _upper_bits(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65_535:
        raise ValueError("its pixels are numbers of 32 bits; save it with 8")
    if 0 < values.max() < 2**8:  # which would vanish
        raise ValueError(f"its pixels have more than 8 bits, but are {values.max()} at most; save it with 8 bits")
    return ((values + 128) // 257).astype(np.uint8)


def _without_false_colour(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    red, green, blue = (pixels[..., i].astype(np.int16) for i in range(3))
    near = max(np.abs(red - green).max(), np.abs(green - blue).max(), np.abs(red - blue).max()) <= LEVELS_OF_LOSS
    return grey(pixels) if near else pixels


def _reason(error: Exception, content: bytes) -> str:
    kind = kind_of(content[:LOOKED_AT])
    if kind and not kind.endswith(" picture"):
        return f"it is {kind}"
    if isinstance(error, UnidentifiedImageError):
        return f"it is {kind}, damaged" if kind else "it is damaged, or no image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {MOST_PIXELS} pixels; scale it down"
    return one_line(str(error) or type(error).__name__)
