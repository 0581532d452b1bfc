"""What other tools write: ranges, layouts, labels and folders of pictures, each read for what it is or refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.data.files import read_samples
from dcgan.data.images import to_float

RANDOM = np.random.default_rng(0)
DIGITS = np.zeros((12, 28, 28), dtype=np.uint8)
DIGITS[:, 6:22, 8:20] = RANDOM.integers(0, 256, (12, 16, 12), dtype=np.uint8)
DIGITS[0, 14, 14] = 255


def read(array: Any, folder: Path, *, channels: int = 1, **others: Any) -> Any:
    np.savez(folder / "theirs.npz", images=array, **others)
    return read_samples(folder / "theirs.npz", channels=channels)


# --- ranges


def of_unit(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) / 255


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (of_unit(DIGITS), "0 to 1"),
        (of_unit(DIGITS).astype(np.float64), "0 to 1"),
        (of_unit(DIGITS).astype(np.float16), "0 to 1"),
        (of_unit(DIGITS) * 1.01 - 0.005, "-0.005 to 1.005"),  # what a resize leaves
        (to_float(torch.from_numpy(DIGITS)).numpy(), "-1 to 1"),
        (of_unit(DIGITS) - 0.5, "-0.5 to 0.5"),
        ((of_unit(DIGITS) - 0.1307) / 0.3081, "-0.4242 to 2.821"),
        (DIGITS.astype(np.float32), "0 to 255"),
        (DIGITS.astype(np.int64), "0 to 255"),
        (DIGITS.astype(">i2"), "0 to 255"),
        (DIGITS.astype(np.uint16), "0 to 255"),
        (DIGITS.astype(np.uint16) * 257, "0 to 6.554e+04"),
    ],
)
def test_who_follows_the_advice_gets_the_pixels(given: np.ndarray, seen: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be uint8, 0 to 255") as error:
        read(given, tmp_path)
    assert str(error.value).endswith(f" (its values go from {seen})")
    found = re.search(r": ([x(][^:]*) turns", str(error.value))
    assert found, error.value
    followed = eval(found[1], {"x": given})
    assert followed.dtype == np.uint8
    assert np.abs(followed.astype(int) - DIGITS).max() <= 2  # the resize's
    assert not read(followed, tmp_path).notes


@pytest.mark.parametrize("given", [DIGITS > 128, (DIGITS > 128).astype(np.uint8), (DIGITS > 128).astype(np.int64)])
def test_two_values_become_black_and_white(given: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="turns") as error:
        read(given, tmp_path)
    found = re.search(r": ([x(][^:]*) turns", str(error.value))
    assert found, error.value
    assert np.array_equal(eval(found[1], {"x": given}), (DIGITS > 128) * 255)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (of_unit(DIGITS) * 16, "0 to 16"),  # scikit-learn's
        ((of_unit(DIGITS) - 0.5) * 9, "-4.5 to 4.5"),
        (of_unit(DIGITS) / 255, "0 to 0.003922"),
        (DIGITS.astype(np.int64) - 128, "-128 to 127"),
        (DIGITS.astype(np.int64) * 0, "0 to 0"),
        (of_unit(DIGITS) * 1e9, "0 to 1e+09"),
    ],
)
def test_a_range_that_fits_nothing_is_named(given: np.ndarray, seen: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be uint8") as error:
        read(given, tmp_path)
    assert f"its values go from {seen}, no range that we know" in str(error.value)
    assert "turns" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (DIGITS, None),
        (RANDOM.integers(0, 256, DIGITS.shape, dtype=np.uint8), None),  # the commonest of whose levels means nothing
        (255 - DIGITS, "looks inverted"),
        (
            ((DIGITS / 255 * 2 - 1) * 127.5).astype(np.int64).astype(np.uint8),
            "most pixels are 129 of 255, where the data",
        ),
        ((DIGITS.astype(int) + 128).astype(np.uint8), "most pixels are 128 of 255, where the data"),
        (np.pad(255 - DIGITS, ((0, 0), (2, 2), (2, 2))), "looks inverted"),
        (
            DIGITS // 2 + 127,
            "holds no black: the darkest pixel of most images is 127 of 255",
        ),  # who followed the old advice
        (DIGITS // 16, "holds no white: its largest value is 15 of 255"),
        (DIGITS.clip(4), None),  # of a lossy file
        (16 + DIGITS // 255 * 219, "holds no black: the darkest pixel of most images is 16 of 255, where"),
        (DIGITS.clip(33), "holds no black: the darkest pixel of most images is 33 of 255; were"),
        ((DIGITS > 128).astype(np.uint8) * 255, None),
        (of_unit(DIGITS).astype(np.uint8) * 255, "holds 0 and 255 alone, and only 0."),  # who followed the old advice
        (
            (of_unit(DIGITS) * 2 - 1).astype(np.int64).astype(np.uint8),
            "holds 0, 1 and 255 alone: were values in [-1, 1]",
        ),
    ],
)
def test_what_looks_wrong_is_said_and_goes_on(given: np.ndarray, note: str | None, tmp_path: Path) -> None:
    notes = read(given, tmp_path).notes
    assert len(notes) == (note is not None)
    assert note is None or notes[0].startswith(note)


@pytest.mark.parametrize(("beside", "note"), [({}, None), ({"y": 1, "val_images": DIGITS}, "not used: val_images, y")])
def test_arrays_that_are_not_used_are_named(beside: dict[str, Any], note: str | None, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=DIGITS, labels=np.zeros(len(DIGITS), dtype=np.int64), **beside)
    assert read_samples(tmp_path / "x.npz", channels=1).notes == ([note] if note else [])


# --- layouts


def test_layouts_of_colour_and_grey_arrays(tmp_path: Path) -> None:
    colour = RANDOM.integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    for array in (colour, colour.transpose(0, 2, 3, 1)):
        for channels in (1, 3):  # as runs with data.channels=3 draw grey data
            assert torch.equal(read(array, tmp_path, channels=channels).images, torch.from_numpy(colour))
    for array in (colour[:, 0], colour[:, :1], colour[:, 0, :, :, None]):
        assert torch.equal(read(array, tmp_path).images, torch.from_numpy(colour[:, :1]))
        with pytest.raises(ValueError, match="has the shape .*; must be N x 3 x 28 x 28"):
            read(array, tmp_path, channels=3)


@pytest.mark.parametrize("loss", [0, 1, 2])
@pytest.mark.parametrize("axis", [1, 3])
def test_grey_in_three_channels_is_grey(axis: int, loss: int, tmp_path: Path) -> None:
    thrice = np.stack([DIGITS] * 3, axis)
    lossy = thrice.clip(2, 253) + RANDOM.integers(0, loss + 1, thrice.shape, dtype=np.uint8)
    found = read(lossy, tmp_path)
    assert found.images.shape == (12, 1, 28, 28)
    assert np.abs(found.images[:, 0].numpy().astype(int) - DIGITS).max() <= 4
    assert found.converted == ["grey in three channels to one"]
    assert read(thrice, tmp_path).images.squeeze(1).equal(torch.from_numpy(DIGITS))
    kept = read(thrice, tmp_path, channels=3)
    assert (kept.images.shape, kept.converted) == ((12, 3, 28, 28), [])


@pytest.mark.parametrize(
    "shape", [(28, 28), (12, 784), (12, 27, 28), (12, 30, 30), (12, 2, 28, 28), (12, 28, 28, 4), (12, 0, 0), (1,)]
)
def test_shapes_that_are_no_images(shape: tuple[int, ...], tmp_path: Path) -> None:
    words = " x ".join(map(str, shape))
    with pytest.raises(ValueError, match=f"theirs.npz: has the shape {words}; must be N x 28 x 28 or N x 1 x 28 x 28"):
        read(np.full(shape, 200, dtype=np.uint8), tmp_path)


# --- labels

LABELS = np.arange(12) % 10


@pytest.mark.parametrize(
    "given",
    [
        LABELS,
        LABELS.astype(np.uint8),
        LABELS.astype(np.float32),
        LABELS[:, None],
        LABELS[None],
        LABELS[:, None].astype(np.float64),
        np.eye(10)[LABELS],
        np.eye(10, dtype=np.int64)[LABELS],
        np.eye(10, dtype=bool)[LABELS],
    ],
)
def test_labels_that_say_whole_numbers_are_taken(given: np.ndarray, tmp_path: Path) -> None:
    found = read(DIGITS, tmp_path, labels=given)
    assert found.labels.dtype == torch.int64
    assert found.labels.tolist() == LABELS.tolist()
    assert not found.notes


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (LABELS.astype(str), "they are text, not whole numbers"),
        (LABELS.astype(bytes), "they are text, not whole numbers"),
        (LABELS.astype(object), "it holds pickled objects, which could execute code"),
        (LABELS + 0.5, "they are not whole numbers"),
        (LABELS * np.nan, "they are not whole numbers"),
        (LABELS - 1, "one is -1; they must be 0 or more"),
        (LABELS.astype(float) * 1e12, "one is 9000000000000, no class"),
        (LABELS.astype(complex), "they are complex128, not whole numbers"),
        (np.full((12, 10), 0.1), "they are 12 x 10 float64, neither whole numbers nor one-hot"),
        (np.zeros((12, 10)), "they are 12 x 10 float64, neither whole numbers nor one-hot"),
        (LABELS > 4, "they are 12 bool, neither whole numbers nor one-hot"),
        *(
            (given, f"they must be 12 whole numbers, 0 or more, one for each image; there are {there}")
            for given, there in (
                (LABELS[:11], 11),
                (np.array(3), 1),
                (np.zeros((13, 10)), 13),
                (np.zeros(0), 0),
                (np.zeros((2, 12)), 2),
            )
        ),
    ],
)
def test_labels_that_cannot_be_used_are_left_with_a_word(given: np.ndarray, why: str, tmp_path: Path) -> None:
    found = read(DIGITS, tmp_path, labels=given)
    assert found.labels is None
    assert found.why_unlabelled == why
    assert found.notes == [f"its labels are not used: {why}"]
    assert found.images.shape == (12, 1, 28, 28)


@pytest.mark.parametrize("name", ["a.NPZ", "a.Npy", "without_an_ending", "a.data"])
def test_a_name_does_not_matter(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        (np.save if name.endswith("Npy") else np.savez)(file, DIGITS)
    assert torch.equal(read_samples(tmp_path / name, channels=1).images.squeeze(1), torch.from_numpy(DIGITS))


# --- folders


def save(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


DIGIT = Image.fromarray(DIGITS[0])


def one(folder: Path) -> np.ndarray:
    """The one picture in a folder."""
    images = read_samples(folder, channels=1).images
    assert images.shape == (1, 1, 28, 28)
    return images[0, 0].numpy()


def test_hidden_is_hidden_and_what_is_skipped_is_said(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "deeper/c.bmp"):
        save(tmp_path, DIGIT, name)
    assert read_samples(tmp_path, channels=1).notes == []
    for name in (".ipynb_checkpoints/b-checkpoint.png", "deeper/.hidden.png", "__MACOSX/b.png", ".git/objects/c.png"):
        save(tmp_path, Image.fromarray(DIGITS[1]), name)
    for name in ("notes.txt", "Thumbs.db", "d.heic", "deeper/e"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "deeper")
    found = read_samples(tmp_path, channels=1)
    assert torch.equal(found.images, torch.from_numpy(DIGITS[:1]).expand(3, 1, 28, 28))
    assert found.notes == [
        "took 3 images, skipped 4 files of other kinds (.db, .heic, .txt, without an ending) and 4 files hidden"
        " and 1 link to folders"
    ]


def test_ones_own_images_may_be_black_on_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", 255 - DIGITS)
    assert len(read_samples(tmp_path / "a.npy", channels=1).notes) == 1
    assert read_samples(tmp_path / "a.npy", channels=1, on_black=False).notes == []


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    save(tmp_path, DIGIT, ".ipynb_checkpoints/a.png")
    with pytest.raises(
        ValueError, match=r"holds no images \(.*\); it holds 1 file of other kinds \(.npz\) and 1 file hidden"
    ):
        read_samples(tmp_path, channels=1)


def test_a_run_folder_is_no_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").touch()
    save(tmp_path, DIGIT, "samples/step_000000.png")
    with pytest.raises(ValueError, match=f"samples={tmp_path}: is a run folder; say run={tmp_path}"):
        read_samples(tmp_path, channels=1)


PALETTE = DIGIT.convert("P")


@pytest.mark.parametrize(
    ("image", "name", "transparent"),
    [
        (DIGIT, "a.png", 0),
        (DIGIT.convert("1"), "a.png", 0),
        (DIGIT.convert("RGB"), "a.png", (0, 0, 0)),
        (PALETTE, "a.png", 0),
        (PALETTE, "a.png", bytes([0, *[255] * 255])),
        (PALETTE, "a.png", bytes([*[255] * 255, 254])),
        (PALETTE, "a.gif", 0),
    ],
)
def test_a_transparent_colour_is_refused_where_it_occurs(
    image: Image.Image, name: str, transparent: Any, tmp_path: Path
) -> None:
    save(tmp_path, image, name, transparency=transparent)
    with pytest.raises(
        ValueError, match=rf"{name}: cannot be read as an image \(it is transparent in part; save it on"
    ):
        one(tmp_path)


def test_a_transparent_colour_that_does_not_occur_is_harmless(tmp_path: Path) -> None:
    unused = int(np.setdiff1d(np.arange(256), DIGITS[0])[0])
    for i, (image, transparent) in enumerate(
        [(DIGIT, unused), (PALETTE, unused), (PALETTE, bytes([255] * 256)), (DIGIT.convert("RGB"), (0, 0, 9))]
    ):
        save(tmp_path / str(i), image, "a.png", transparency=transparent)
        assert np.array_equal(one(tmp_path / str(i)), DIGITS[0])
    for mode in ("LA", "RGBA"):
        save(tmp_path / mode, DIGIT.convert(mode), "a.png")
        assert np.array_equal(one(tmp_path / mode), DIGITS[0])


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_pictures_are_turned_as_their_exif_says(ending: str, tmp_path: Path) -> None:
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        6: lambda x: np.rot90(x, 3),
        8: np.rot90,
    }
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x112] = orientation
        options = {"lossless": True} if ending == "webp" else {}
        save(tmp_path / str(orientation), DIGIT.convert("RGB"), f"a.{ending}", exif=exif, **options)
        assert np.array_equal(one(tmp_path / str(orientation)), turn(DIGITS[0])), orientation


def test_grey_jpegs_are_grey_whatever_their_mode(tmp_path: Path) -> None:
    smooth = Image.fromarray(np.linspace(0, 255, 784).reshape(28, 28).astype(np.uint8))
    save(tmp_path, smooth, "a.jpg", quality=95)
    save(tmp_path, smooth.convert("RGB"), "b.jpg", quality=70)
    found = read_samples(tmp_path, channels=1)
    assert found.images.shape == (2, 1, 28, 28)
    assert np.abs(found.images[:, 0].numpy().astype(int) - np.asarray(smooth)).max() < 8


@pytest.mark.parametrize(
    ("image", "name", "words"),
    [
        (DIGIT.convert("CMYK"), "a.jpg", "its colours are CMYK; convert it to grey or RGB"),
        (DIGIT.convert("YCbCr"), "a.tif", "its colours are YCbCr; convert it to grey or RGB"),
        (DIGIT.convert("RGB").convert("LAB"), "a.tif", "its colours are LAB; convert it to grey or RGB"),
        (Image.fromarray(DIGITS[0].astype(np.uint16) * 257), "a.png", "its mode is I;16; save it with 8 bits"),
        (Image.fromarray(DIGITS[0].astype(np.float32)), "a.tif", "its mode is F; save it with 8 bits"),
    ],
)
def test_colours_that_are_no_bytes_of_grey_or_rgb(image: Image.Image, name: str, words: str, tmp_path: Path) -> None:
    save(tmp_path, image, name)
    with pytest.raises(ValueError, match="cannot be read as an image") as error:
        one(tmp_path)
    assert f"{name}: cannot be read as an image ({words})" in str(error.value)


@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp"])
def test_several_pictures_in_one_file_are_not_one(ending: str, tmp_path: Path) -> None:
    save(tmp_path, DIGIT, f"a.{ending}", save_all=True, append_images=[Image.fromarray(DIGITS[1]), DIGIT])
    with pytest.raises(ValueError, match="it holds 3 pictures; save each as a file"):
        read_samples(tmp_path, channels=1)
