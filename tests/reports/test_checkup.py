"""Each kind of trouble, planted by itself into a clean set: it is found, in that file, and nothing else is."""

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clean_images import CLASSES, ONE, SIDE, clean, diagnosed, read, save, shape
from PIL import Image

from dcgan.reports.checkup.finding import KINDS

Plant = Callable[[Path], Sequence[str]]
PLANTS: dict[str, tuple[str, Plant]] = {}


def plants(kind: str) -> Callable[[Callable[[Path], Sequence[str] | None]], None]:
    def keep(plant: Callable[[Path], Sequence[str] | None]) -> None:
        PLANTS[plant.__name__] = kind, lambda folder: plant(folder) or [ONE]

    return keep


@plants("unreadable")
def a_web_page(folder: Path) -> None:
    (folder / ONE).write_text("<html>please log in</html>")


@plants("unreadable")
def an_empty_file(folder: Path) -> None:
    (folder / ONE).write_bytes(b"")


@plants("unreadable")
def a_pixel(folder: Path) -> None:
    Image.new("L", (1, 1)).save(folder / ONE)


@plants("unreadable")
def a_picture_of_400_million_pixels(folder: Path) -> None:
    content = bytearray((folder / ONE).read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / ONE).write_bytes(bytes(content))


@plants("unreadable")
def a_link_out_of_the_folder(folder: Path) -> None:
    outside = save(read(folder / ONE), folder.parent / "outside.png")
    (folder / ONE).unlink()
    (folder / ONE).symlink_to(outside)


@plants("unreadable")
def floats(folder: Path) -> Sequence[str]:
    Image.fromarray(np.random.default_rng(1).random((28, 28), dtype=np.float32)).save(folder / "train/disc/x.tif")
    return ["train/disc/x.tif"]


@plants("truncated")
def a_png_that_ends_early(folder: Path) -> None:
    (folder / ONE).write_bytes((folder / ONE).read_bytes()[:-600])


@plants("truncated")
def a_jpeg_that_ends_early(folder: Path) -> Sequence[str]:
    path = folder / "train/disc/x.jpg"
    Image.fromarray(read(folder / ONE)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    (folder / ONE).unlink()
    return ["train/disc/x.jpg"]


@plants("wrong ending")
def a_png_named_jpg(folder: Path) -> Sequence[str]:
    (folder / ONE).rename(folder / "train/disc/004.JPG")
    return ["train/disc/004.JPG"]


@plants("not seen")
def a_png_without_an_ending(folder: Path) -> Sequence[str]:
    (folder / ONE).rename(folder / "train/disc/picture")
    (folder / "train/disc/readme.txt").write_text("BMW and others")
    return ["train/disc/picture"]


@plants("several in one")
def a_moving_picture(folder: Path) -> Sequence[str]:
    frames = [Image.fromarray(shape(1, np.random.default_rng(i))) for i in (8, 9)]
    frames[0].save(folder / "train/disc/x.tif", save_all=True, append_images=frames[1:])
    return ["train/disc/x.tif"]


@plants("left out")
def a_picture_beside_the_splits(folder: Path) -> Sequence[str]:
    (folder / ONE).rename(folder / "004.png")
    return ["004.png"]


@plants("empty class")
def a_folder_with_nothing_in_it(folder: Path) -> Sequence[str]:
    (folder / "train" / "star").mkdir()
    return ["train/star"]


@plants("empty class")
def a_class_that_is_not_tested(folder: Path) -> Sequence[str]:
    for path in (folder / "test/disc").iterdir():
        path.unlink()
    (folder / "test/disc").rmdir()
    return ["disc"]


@plants("tiny class")
def a_class_of_three(folder: Path) -> Sequence[str]:
    for i in range(3, 30):
        (folder / f"train/disc/{i:03}.png").unlink()
    for i in range(30, 60):
        save(shape(0, np.random.default_rng(i)), folder / f"train/bar/{i:03}.png")
    return ["disc"]


@plants("imbalance")
def ten_times_as_many_bars(folder: Path) -> Sequence[str]:
    for i in range(30, 300):
        save(shape(0, np.random.default_rng(i)), folder / f"train/bar/{i:03}.png")
    return ["disc", "pole", "ring"]


@plants("too few")
def twenty_images(folder: Path) -> Sequence[str]:
    for path in sorted((folder / "train").rglob("*.png")):
        if int(path.stem) >= 12:
            path.unlink()
    return ["48 to train on"]


@plants("small")
def a_thumbnail(folder: Path) -> None:
    Image.fromarray(read(folder / ONE)).resize((14, 14)).save(folder / ONE)


@plants("mixed sizes")
def a_poster(folder: Path) -> None:
    Image.fromarray(read(folder / ONE)).resize((112, 112)).save(folder / ONE)


@plants("cropping")
def a_panorama(folder: Path) -> None:
    save(np.pad(read(folder / ONE), ((0, 0), (14, 14), (0, 0)), mode="edge"), folder / ONE)


@plants("grey and colour")
def one_in_grey(folder: Path) -> None:
    Image.fromarray(read(folder / ONE)).convert("L").save(folder / ONE)


@plants("constant")
def nothing_but_black(folder: Path) -> None:
    save(np.zeros((SIDE, SIDE, 3), dtype=np.uint8), folder / ONE)


@plants("inverted")
def a_negative(folder: Path) -> None:
    save(255 - read(folder / ONE), folder / ONE)


@plants("washed out")
def fog(folder: Path) -> None:
    save((read(folder / ONE) // 6 + 90).astype(np.uint8), folder / ONE)


@plants("duplicate")
def the_same_pixels_in_another_format(folder: Path) -> Sequence[str]:
    Image.fromarray(read(folder / ONE)).save(folder / "train/disc/x.bmp")
    return ["train/disc/x.bmp"]


@plants("near duplicate")
def saved_as_jpeg(folder: Path) -> Sequence[str]:
    Image.fromarray(read(folder / ONE)).save(folder / "train/disc/x.jpg", quality=95, subsampling=0)
    return ["train/disc/x.jpg"]


@plants("leakage")
def trained_on_and_tested_with(folder: Path) -> None:
    save(read(folder / ONE), folder / "test/disc/x.png")


@plants("leakage")
def nearly_trained_on_and_tested_with(folder: Path) -> None:
    Image.fromarray(read(folder / ONE)).save(folder / "test/disc/x.jpg", quality=95, subsampling=0)


@plants("contradiction")
def two_labels(folder: Path) -> Sequence[str]:
    save(read(folder / ONE), folder / "train/bar/x.png")
    return [ONE, "train/bar/x.png"]


@plants("wrong label")
def in_the_wrong_folder(folder: Path) -> Sequence[str]:
    (folder / ONE).rename(folder / "train/bar/x.png")
    return ["train/bar/x.png"]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_kind_is_named_with_its_file_and_no_other_kind(plant: str, tmp_path: Path) -> None:
    kind, make = PLANTS[plant]
    expected = make(clean(tmp_path / "mine"))
    found = diagnosed(tmp_path / "mine")
    assert {one.kind: [name for name, _ in one.files] for one in found.findings} == {kind: list(expected)}
    (one,) = found.findings
    assert one.alarm
    assert one.consequence
    assert one.remedy


def test_every_kind_is_planted() -> None:
    assert {kind for kind, _ in PLANTS.values()} == {*KINDS}


COLOURED: list[tuple[str, str, dict[str, Any]]] = [
    ("RGB", "png", {}),
    ("P", "png", {}),
    ("RGBA", "png", {}),
    ("RGB", "jpg", {"quality": 95, "exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"}),
    ("CMYK", "jpeg", {"quality": 95}),
    ("CMYK", "tif", {}),
    ("RGB", "webp", {"lossless": True}),
    ("RGB", "bmp", {}),
    ("RGB", "ppm", {}),
    ("P", "gif", {}),
]
GREY: list[tuple[str, str, dict[str, Any]]] = [
    ("L", "png", {}),
    ("LA", "png", {}),
    ("I;16", "png", {}),
    ("L", "PGM", {}),
    ("L", "jfif", {"quality": 95, "format": "jpeg"}),
    ("L", "tiff", {"compression": "tiff_lzw"}),
    ("RGB", "png", {}),  # grey all the same
]


@pytest.mark.parametrize("forms", [COLOURED, GREY], ids=["colour", "grey"])
def test_every_mode_and_format_that_people_have_is_as_good(
    forms: list[tuple[str, str, dict[str, Any]]], tmp_path: Path
) -> None:
    folder = clean(tmp_path / "mine")
    for i, path in enumerate(sorted(folder.rglob("*.png"))):
        mode, ending, how = forms[i % len(forms)]
        image = Image.open(path).convert("L" if forms is GREY else "RGB")
        wide = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        path.unlink()
        wide.save(path.with_suffix(f".{ending}"), **how)
    found = diagnosed(folder)
    assert found.findings == []
    assert "unreadable" in found.clean


def test_images_of_photographs_keep_their_plain_skies(tmp_path: Path) -> None:
    """Flat images of the set's own kind are not washed out, and a bright one is no dark one's negative."""
    rng = np.random.default_rng(0)
    for i in range(160):
        detail = np.kron(rng.normal(0, rng.uniform(5, 45), (8, 8, 3)), np.ones((4, 4, 1)))
        image = rng.uniform(30, 225) + detail + rng.normal(0, 2, (32, 32, 3))
        save(np.clip(image, 0, 255).astype(np.uint8), tmp_path / "mine" / f"{i:03}.png")
    assert diagnosed(tmp_path / "mine").findings == []


def test_what_was_planted_often_is_found_as_often(tmp_path: Path) -> None:
    folder = clean(tmp_path / "mine")
    negatives = [folder / f"train/{name}/{i:03}.png" for name in CLASSES for i in range(5)]
    for path in negatives:
        save(255 - read(path), path)
    (one,) = diagnosed(folder).findings
    assert (one.kind, len(one.files), len(one.images)) == ("inverted", 20, 20)


@pytest.mark.parametrize("side", [4, 28])
@pytest.mark.parametrize("number", [2, 3, 5, 17])
def test_a_handful_of_images_of_any_size_is_looked_at(number: int, side: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(number):
        save(rng.integers(0, 256, (side, side), dtype=np.uint8), tmp_path / "mine" / f"{i}.png")
        save(np.full((side, side), i, dtype=np.uint8), tmp_path / "plain" / f"{i}.png")
    assert [one.kind for one in diagnosed(tmp_path / "mine").findings] == ["too few"]
    assert [one.kind for one in diagnosed(tmp_path / "plain").findings] == ["too few", "constant"]
