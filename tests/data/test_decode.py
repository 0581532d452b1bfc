"""Pictures in the modes and formats that people have, and those that are none."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgan.data.decode import MOST_PIXELS, decode, squared

RED, GREY = (200, 30, 60), 90


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (8, 6), colour)


def half_clear(mode: str) -> Image.Image:
    """The left half is transparent."""
    image = plain("RGBA", (*RED, 255) if mode == "RGBA" else (GREY, GREY, GREY, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 6))
    return image if mode == "RGBA" else image.convert(mode)


@pytest.mark.parametrize(
    ("content", "pixel"),
    [
        (saved(plain("L", GREY), "PNG"), GREY),
        (saved(plain("1", 1), "PNG"), 255),
        (saved(plain("RGB", RED), "PNG"), RED),
        (saved(plain("RGB", (GREY,) * 3), "BMP"), GREY),  # grey that was saved in colour
        (saved(plain("RGB", RED).quantize(4), "PNG"), RED),
        (saved(plain("RGB", RED), "GIF"), RED),
        (saved(plain("RGB", RED), "WEBP", lossless=True), RED),
        (saved(plain("RGB", RED), "TIFF", compression="tiff_lzw"), RED),
        (saved(Image.fromarray(np.full((6, 8), GREY * 257, np.uint16)), "PNG"), GREY),
        (saved(Image.fromarray(np.full((6, 8), GREY * 257, np.uint16)), "TIFF"), GREY),
        (saved(plain("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
        (saved(plain("L", GREY), "JPEG", progressive=True, quality=95), GREY),
        (saved(plain("RGB", (GREY,) * 3), "JPEG", quality=95), GREY),
        (saved(plain("RGB", RED), "GIF", save_all=True, append_images=[plain("RGB", (0, 9, 250))]), RED),
        (saved(plain("RGB", RED), "WEBP", lossless=True, save_all=True, append_images=[plain("RGB", 0)]), RED),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value)[:24],
)
def test_every_mode_becomes_bytes_of_grey_or_colour(content: bytes, pixel: Any) -> None:
    found = decode(content, background="black")
    assert found.shape == ((6, 8) if isinstance(pixel, int) else (6, 8, 3))
    assert np.abs(found[2, 3].astype(int) - pixel).max() <= 1


@pytest.mark.parametrize("ink", [0, 255])
def test_a_drawing_of_the_backgrounds_colour_is_refused(ink: int) -> None:
    """Black strokes on nothing would be a black square."""
    strokes = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    content = saved(Image.merge("LA", [Image.new("L", (12, 12), ink), Image.fromarray(strokes)]), "PNG")
    here, there = ("black", "white") if ink == 0 else ("white", "black")
    assert decode(content, background=there).std() > 20
    with pytest.raises(ValueError, match=f"nothing of it is to be seen on data.background={here}; take {there}"):
        decode(content, background=here)
    assert decode(saved(Image.new("LA", (12, 12), (ink, 0)), "PNG"), background=here).std() == 0  # empty, as it says


@pytest.mark.parametrize(("background", "behind"), [("black", 0), ("white", 255)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_shows_the_background(mode: str, background: str, behind: int) -> None:
    found = decode(saved(half_clear(mode), "PNG"), background=background)
    assert np.unique(found[:, 0]).tolist() == [behind]
    assert found[0, 7].tolist() == (list(RED) if mode == "RGBA" else GREY)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_transparent_colour_shows_the_background(mode: str) -> None:
    image = plain("L", 7) if mode == "L" else plain("RGB", RED).quantize(2)
    key = 7 if mode == "L" else int(np.asarray(image)[0, 0])
    assert decode(saved(image, "PNG", transparency=key), background="white").min() == 255


def test_pictures_are_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    found = decode(saved(Image.fromarray(pixels), "PNG", exif=exif), background="black")
    assert np.array_equal(found, np.rot90(pixels, -1))


def png_of(width: int, height: int) -> bytes:
    """The header of one, which is all that may be looked at."""
    content = bytearray(saved(plain("L", 0), "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(Image.effect_noise((64, 64), 90), "PNG")[:-900], "truncated"),
        (saved(Image.effect_noise((64, 64), 90), "JPEG")[:-900], "truncated"),
        (b"", "it is empty"),
        (b"\0" * 99, "never written"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
        (saved(plain("F", 0.5), "TIFF"), "floating-point"),
        (saved(Image.fromarray(np.full((6, 8), 90, np.uint16)), "PNG"), "have more than 8 bits, but are 90 at most"),
        (saved(Image.fromarray(np.full((6, 8), 90, np.int32)), "TIFF"), "have more than 8 bits, but are 90 at most"),
        (saved(Image.new("L", (1, 1)), "PNG"), "it has 1 x 1 pixels, 4 x 4 at least"),
        (png_of(20_000, 20_000), f"{MOST_PIXELS}"),
        (png_of(12_000, 12_000), f"it has more than {MOST_PIXELS} pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is text"),  # which Pillow would start a program for
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value)[:24],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(content, background="black")


def test_the_largest_square_in_the_middle_is_resized_and_what_fits_is_left_alone() -> None:
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, 4:12] = 255
    assert squared(pixels, resolution=4).min() > 240
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert squared(noise, resolution=8) is noise
