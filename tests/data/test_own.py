"""Images of one's own: what their folders say, how they are read, once, and what is refused."""

import gzip
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.config.options import FolderData, OwnData
from dcgan.data import own
from dcgan.data.listing import arrange, list_pictures
from dcgan.data.prepared import found, in_words, read_own, with_facts


def data(folder: Path, **more: Any) -> FolderData:
    values = {"name": "folder", "root": str(folder.parent / "root"), "batch_size": 4, "folder": str(folder)}
    return FolderData(**{**values, "memory": 4.0, "background": "black", "unreadable": "stop", **more})


def noise(number: int, size: int = 8, *, channels: int = 1) -> np.ndarray:
    shape = (number, size, size, channels)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8).squeeze(-1 if channels == 1 else ())


def save(folder: Path, images: np.ndarray, *, name: str = "{:03}.png", start: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(start + i))
    return folder


def both(config: OwnData) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    facts = found(config)
    return {split: read_own(config, facts, split=split) for split in ("train", "test")}


def same(one: OwnData, other: OwnData) -> bool:
    pairs = zip(both(one).values(), both(other).values(), strict=True)
    return all(torch.equal(left, right) for pair in pairs for left, right in zip(*pair, strict=True))


# --- what folders say


@pytest.mark.parametrize(
    ("names", "splits", "labels", "classes"),
    [
        (["a.png", "b.png"], ["", ""], [0, 0], []),
        (["mine/a.png", "mine/b.png"], ["", ""], [0, 0], []),
        (["cat/a.png", "dog/b.png", "cat/c/d.png"], ["", "", ""], [0, 1, 0], ["cat", "dog"]),
        (["m/train/a.png", "m/test/b.png"], ["train", "test"], [0, 0], []),
        (["Train/a.png", "val/b.png"], ["train", "test"], [0, 0], []),
        (["train/x/a", "train/y/b", "test/y/c"], ["train", "train", "test"], [0, 1, 1], ["x", "y"]),
        (["train/a.png", "plane/b.png"], ["", ""], [1, 0], ["plane", "train"]),  # a class of trains
        (["cat/a.png", "dog/b.png", "c.png"], [""] * 3, [0] * 3, []),
        (["cafe\u0301/a", "z/b"], ["", ""], [0, 1], ["caf\u00e9", "z"]),
    ],
)
def test_folders_say_splits_and_classes(
    names: Sequence[str], splits: list[str], labels: list[int], classes: list[str]
) -> None:
    assert arrange(names)[:4] == ([*range(len(names))], splits, labels, classes)


def test_what_lies_beside_the_splits_is_left_out_and_classes_of_the_test_alone_are_refused() -> None:
    found = arrange(["train/a", "test/b", "c", "old/d"])
    assert (found.kept, found.notes) == ([0, 1], ["2 images lie beside train and test, and are left out"])
    with pytest.raises(ValueError, match="has the class z to test, but not to train on"):
        arrange(["train/x/a", "train/y/b", "test/z/c"])


def test_names_of_classes_go_into_a_configuration() -> None:
    with pytest.raises(ValueError, match="has a class named .*; rename its folder"):
        arrange(["${oc.env:HOME}/a", "b/c"])
    many = arrange([f"{i % 1001}/{i}.png" for i in range(300_000)])  # at once, too
    assert (many.classes, many.notes) == ([], ["1,001 folders are no classes (1,000 at most), so there are no labels"])


def test_what_people_have_beside_their_pictures(tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(3), name="Bild {} \u00fc.PNG")
    Image.fromarray(noise(1)[0]).save(mine / "x.jfif", "JPEG")
    for junk in ("Thumbs.db", "__MACOSX/._x.png", ".DS_Store", ".old/b/y.png", ".old/z.png", "notes.txt"):
        (mine / junk).parent.mkdir(exist_ok=True, parents=True)
        (mine / junk).write_bytes(b"x")
    (mine / "again.png").symlink_to(mine / "x.jfif")
    (mine / "loop").symlink_to(mine)
    (mine / "circle.txt").symlink_to("circle.txt")
    listing = list_pictures(mine)
    assert [entry.name for entry in listing.entries] == sorted(entry.name for entry in listing.entries)
    assert len(listing.entries) == 5
    assert listing.skipped == "3 files of other kinds (.db, .txt) and 4 files hidden and 1 link to folders"
    both(data(mine))
    assert list_pictures(mine) is not listing
    assert list_pictures(mine).skipped == listing.skipped  # though the cache lies there now


# --- read once


def test_order_and_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(150, channels=3)
    one, other = tmp_path / "one", tmp_path / "other"
    save(one, images)
    for i in reversed(range(len(images))):
        save(other, images[i : i + 1], start=i)
    expected = both(data(one))
    monkeypatch.setattr(own, "_cores", lambda: 7)
    monkeypatch.setattr(own, "AT_ONCE", 3)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: _reversed(scandir(path)))
    assert same(data(one), data(other))
    assert found(data(one)).content == found(data(other)).content
    assert expected["train"][0].shape[1:] == (3, 8, 8)


class _reversed:  # noqa: N801
    def __init__(self, entries: Any) -> None:
        self.entries = entries

    def __enter__(self) -> Any:
        return iter([*self.entries][::-1])

    def __exit__(self, *_: object) -> None:
        self.entries.close()


def test_numbered_files_keep_their_order_over_the_folders_of_their_classes(tmp_path: Path) -> None:
    images = noise(20)
    for i, image in enumerate(images):
        save(tmp_path / "mine" / "train" / "ba"[i % 2], image[None], start=i)
        save(tmp_path / "mine" / "test" / "ba"[i % 2], image[None], start=i)
    train, labels = both(data(tmp_path / "mine"))["train"]
    assert np.array_equal(train[:, 0].numpy(), images)
    assert labels.tolist() == [1, 0] * 10


@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_holds_the_same_images(channels: int, tmp_path: Path) -> None:
    images, labels = noise(40, channels=channels), np.arange(40) % 2 + 4
    folder = tmp_path / "folder"
    for i, image in enumerate(images):
        save(folder / str(labels[i]), image[None], start=i)
    with zipfile.ZipFile(tmp_path / "folder.zip", "w") as archive:
        for file in sorted(folder.rglob("*.png"), reverse=True):
            archive.write(file, f"folder/{file.relative_to(folder)}")
        archive.writestr("__MACOSX/folder/._000.png", b"x")
    np.savez(tmp_path / "images.npz", images=images, labels=labels)
    first = images.transpose(0, 3, 1, 2) if channels == 3 else images[:, None]
    np.savez(tmp_path / "first.npz", x=first, labels=labels[:, None])
    for name in ("folder.zip", "images.npz", "first.npz"):
        assert same(data(folder), data(tmp_path / name)), name
    facts = found(data(folder))
    assert (facts.classes, facts.channels, facts.resolution, facts.held_out) == (["4", "5"], channels, 8, True)
    assert found(data(tmp_path / "folder.zip")).content == facts.content
    np.save(tmp_path / "plain.npy", images)
    assert found(data(tmp_path / "plain.npy")).classes == []


def test_arrays_of_two_splits_as_keras_writes_them(tmp_path: Path) -> None:
    images = noise(9)
    np.savez(tmp_path / "m.npz", x_train=images[:6], y_train=[3, 5, 3, 5, 3, 5], x_test=images[6:], y_test=[5, 5, 3])
    splits = both(data(tmp_path / "m.npz"))
    assert np.array_equal(splits["test"][0][:, 0].numpy(), images[6:])
    assert splits["test"][1].tolist() == [1, 1, 0]


def test_arrays_that_are_not_used_are_named(tmp_path: Path) -> None:
    images = noise(9)
    np.savez(
        tmp_path / "m.npz", train_images=images[:6], test_images=images[6:], val_images=images, train_labels=[0] * 6
    )
    assert found(data(tmp_path / "m.npz")).notes == [
        "not used: val_images",
        "its labels are not used: those of one split alone",
    ]


def test_it_is_read_once_and_anew_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, read = save(tmp_path / "mine", noise(12)), []
    decode = own.decode
    monkeypatch.setattr(own, "decode", lambda *args, **more: read.append(1) or decode(*args, **more))
    before = both(data(mine))
    assert len(read) == 12
    both(data(mine))
    for file in mine.glob("*.png"):
        os.utime(file, (1, 1))  # as a copy may have them: the content is the same
    both(data(mine))
    assert len(read) == 12
    both(data(mine, resolution=4))
    assert len(read) == 24
    assert found(data(mine)).resolution == 8  # what was typed once is not what they say
    save(mine, noise(13)[:1], start=3)
    after = both(data(mine))
    assert len([path for path in (mine / ".dcgan").iterdir() if path.is_dir()]) == 1  # nothing of what was there
    assert not torch.equal(
        torch.cat([before["train"][0], before["test"][0]]), torch.cat([after["train"][0], after["test"][0]])
    )
    for name in ("train", "test_labels"):
        for content in (b"damaged", b""):
            next(mine.glob(f".dcgan/*/{name}.npy")).write_bytes(content)
            again = both(data(mine))
            assert all(torch.equal(*pair) for split in after for pair in zip(after[split], again[split], strict=True))


def test_a_folder_that_may_not_be_written_to_is_kept_under_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = save(tmp_path / "mine", noise(12))
    mkdir = Path.mkdir

    def refuse(path: Path, *args: Any, **more: Any) -> None:
        if path.name == ".dcgan":
            raise PermissionError
        mkdir(path, *args, **more)

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert str(tmp_path / "root") in found(data(mine)).folder
    assert not (mine / ".dcgan").exists()


def test_what_is_larger_than_memory_stays_a_file(tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(30))
    small = both(data(mine, memory=1e-6))
    assert same(data(mine), data(mine, memory=1e-6))
    facts = found(data(mine))
    mapped = np.load(Path(facts.folder) / "train.npy", mmap_mode="c")
    images = small["train"][0]
    images[0] = 7  # is nobody else's
    assert not (mapped[0] == 7).all()
    assert "train.npy" in Path("/proc/self/maps").read_text()


# --- held out


def test_one_in_seven_is_held_out_and_duplicates_together(tmp_path: Path) -> None:
    images = noise(300)
    mine = save(tmp_path / "mine", images)
    save(mine, images, name="copy {}.bmp")
    splits = {split: {image.numpy().tobytes() for image in found[0]} for split, found in both(data(mine)).items()}
    assert not splits["train"] & splits["test"]
    assert 300 / 7 * 0.6 < len(splits["test"]) < 300 / 7 * 1.4
    coarse = {split: len(found[0]) for split, found in both(data(mine, resolution=4)).items()}
    assert coarse == {split: 2 * len(there) for split, there in splits.items()}  # whatever they are brought to


def test_of_two_images_one_is_held_out(tmp_path: Path) -> None:
    assert [len(images) for images, _ in both(data(save(tmp_path / "mine", noise(2)))).values()] == [1, 1]


@pytest.mark.parametrize(("bits", "brightest"), [(12, 16), (13, 32), (14, 64), (15, 127)])
def test_fewer_bits_in_sixteen_are_told(bits: int, brightest: int, tmp_path: Path) -> None:
    """Whatever stands beside them in 8."""
    mine = save(tmp_path / "mine", noise(12), name="eight {}.png")
    for i, image in enumerate(noise(12)):
        Image.fromarray(image.astype(np.uint16) << bits - 8).save(mine / f"{i}.png")
    (note,) = found(data(mine)).notes
    assert note == (
        f"no pixel of 12 files of 16 bits is above {brightest} of 255: do they use fewer bits? save them with 8 bits"
    )
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "mine" / "day.png")
    assert found(data(tmp_path / "mine")).notes == []


@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp", "jpg"])
def test_files_of_several_pictures_are_told(ending: str, tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(12))
    first, *others = map(Image.fromarray, noise(3, 16))
    kinds = {"webp": {"lossless": True}, "jpg": {"format": "MPO"}}  # the latter as phones write
    options: dict[str, Any] = kinds.get(ending, {})
    first.save(mine / f"a.{ending}", save_all=True, append_images=others, **options)
    facts = found(data(mine))
    words = "of which the first is taken; save each as a file if all are meant"
    assert facts.notes == [f"a.{ending} holds several pictures, {words}"]
    assert facts.num_train + facts.num_test == 13
    first.save(mine / f"b.{ending}", save_all=True, append_images=others, **options)
    assert found(data(mine)).notes == [f"2 files (a.{ending}, ...) hold several pictures, {words}"]


# --- unreadable


def test_unreadable_files_are_listed_with_the_reason(tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(12))
    (mine / "cut.png").write_bytes((mine / "001.png").read_bytes()[:60])
    (mine / "page.jpg").write_text("<html>")
    (mine / "gone.png").symlink_to(mine / "nowhere")
    (tmp_path / "secret.png").write_bytes((mine / "001.png").read_bytes())
    (mine / "out.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(mine / "pipe.png")
    with pytest.raises(ValueError, match=r"5 files cannot be read: cut.png: .*; mend or remove them") as refused:
        found(data(mine))
    for words in (
        "gone.png: it is a link that leads nowhere",
        "out.png: it is a link out of the folder",
        "page.jpg: it is a web page",
        "pipe.png: it is a pipe",
    ):
        assert words in str(refused.value)
    skipping = data(mine, unreadable="skip")
    assert sum(len(images) for images, _ in both(skipping).values()) == 12
    assert any(line.startswith("skipped, for 5 files cannot be read") for line in in_words(found(skipping), skipping))


def test_what_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mode, or a network that came back, changes neither size nor time of a file."""
    mine, read = save(tmp_path / "mine", noise(12)), Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "005.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"1 file cannot be read: 005.png: Permission denied; mend"):
            found(data(mine))
    monkeypatch.setattr(Path, "read_bytes", read)
    facts = found(data(mine))
    assert (facts.num_train + facts.num_test, facts.unreadable) == (12, [])


def test_what_is_skipped_is_said_as_it_is_now(tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(12))
    assert found(data(mine)).notes == []
    (mine / "x.heic").write_bytes(b"x")
    assert found(data(mine)).notes == ["skipped 1 file of other kinds (.heic)"]
    (mine / "x.heic").unlink()
    assert found(data(mine)).notes == []


# --- refused


def zipped(path: Path, **names: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def bomb(folder: Path) -> Path:
    return zipped(folder / "bomb.zip", **{f"{i}.bmp": b"\0" * 2**20 for i in range(20)})


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda path: path / "nowhere", "no such file or folder"),
    "empty": (lambda path: save(path / "x", noise(0)), "holds no images"),
    "others": (lambda path: zipped(path / "x.zip", **{"a.txt": b""}), r"holds no images; it holds 1 file .* \(.txt\)"),
    "one": (lambda path: save(path / "x", noise(1)), "holds one image|holds 1 image"),
    "the same": (lambda path: save(path / "x", np.zeros((3, 8, 8), np.uint8)), "holds one image, again and again"),
    "a picture": (lambda path: save(path / "x", noise(1)) / "000.png", "must be a folder of images.*it is a PNG"),
    "outside": (lambda path: zipped(path / "x.zip", **{"../a.png": b""}), r"holds \.\./a\.png, which leads out of it"),
    "absolute": (lambda path: zipped(path / "x.zip", **{"/a.png": b""}), "holds /a.png, which leads out of it"),
    "floats": (lambda path: _saved(path / "x.npy", noise(3) / 255), "must be uint8"),
    "shape": (lambda path: _saved(path / "x.npy", noise(3)[0]), "has the shape 8 x 8; must be N x H x W"),
    "turned": (
        lambda path: _saved(path / "x.npy", noise(60).transpose(1, 2, 0)),
        r"has the shape 8 x 8 x 60, as of H x W x N: take x.transpose\(2, 0, 1\); if it is N x H x W, take x",
    ),
    "one in colour": (
        lambda path: _saved(path / "x.npy", noise(8)[..., :3]),
        r"has the shape 8 x 8 x 3, as of one image; if it is N x H x W, take x\[..., None\]",
    ),
    "damaged": (
        lambda path: damaged(path / "x.npz"),
        r"cannot be read: it is damaged \(Bad CRC-32 for file 'images.npy'",
    ),
    "nothing": (lambda path: zipped(path / "x.zip"), "x.zip: holds no images$"),
    "HEIC": (
        lambda path: zipped(path / "x.zip", **{"a.png": b"\0\0\0\x1cftypheic"}),
        "a.png: it is a HEIC or AVIF picture, or a video; save pictures as PNG; mend",
    ),
    "tar": (
        lambda path: zipped(path / "x.zip", **{"a.png": b"name" + bytes(253) + b"ustar"}),
        "a.png: it is a tar archive; unpack it",
    ),
    "pickled": (lambda path: _saved(path / "x.npy", np.array([{}])), "pickled"),
    "bomb": (bomb, "unpacks to 20971520 bytes"),
}


def damaged(path: Path) -> Path:
    np.savez(path, images=noise(60))
    content = bytearray(path.read_bytes())
    content[2000:2050] = bytes(50)
    path.write_bytes(content)
    return path


def _saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_in_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan.data.listing.MOST_UNPACKED", 2**20)
    make, words = BAD[kind]
    path = make(tmp_path)
    with pytest.raises((ValueError, OSError), match=words) as refused:
        found(data(path))
    line = str(refused.value)
    assert line.startswith(f"data.folder={path}: ")
    assert "\n" not in line


def test_an_encrypted_or_linked_entry_is_unreadable(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip")
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert list_pictures(path).entries[0].fault == "it is a link; put the picture itself there"


def test_other_images_than_a_run_was_trained_on_are_refused(tmp_path: Path) -> None:
    mine = save(tmp_path / "mine", noise(12))
    filled, _ = with_facts(data(mine))
    assert (filled.resolution, filled.channels, filled.classes) == (8, 1, [])
    shutil.copytree(mine, tmp_path / "copy")
    with_facts(data(tmp_path / "copy", content=filled.content, classes=[], resolution=8, channels=1))
    (mine / "000.png").unlink()
    with pytest.raises(ValueError, match="holds other images than the run was trained on"):
        with_facts(filled)


# --- IDX


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_four_idx_files_of_any_size_and_classes(ending: str, tmp_path: Path) -> None:
    images, config = np.random.default_rng(0).integers(0, 256, (30, 12, 16)), OwnData
    for split, start in (("train", 0), ("t10k", 20)):
        write_idx(tmp_path / f"emnist-{split}-images-idx3-ubyte{ending}", images[start : start + 20 - start // 2])
        write_idx(tmp_path / f"emnist-{split}-labels-idx1-ubyte{ending}", 1 + np.arange(20 - start // 2) % 3)
    own_data = config(name="idx", root=str(tmp_path), batch_size=4, folder=str(tmp_path), memory=4.0)
    facts, splits = found(own_data), both(own_data)
    assert (facts.resolution, facts.classes, facts.held_out) == (12, ["1", "2", "3"], False)
    assert np.array_equal(splits["train"][0][:, 0].numpy(), images[:20, :, 2:14])  # the middle
    assert splits["test"][1].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    (tmp_path / f"emnist-t10k-labels-idx1-ubyte{ending}").unlink()
    with pytest.raises(ValueError, match=r"has no t10k-labels-idx1-ubyte \(or .gz\)"):
        found(own_data)


def test_idx_files_of_several_data_sets_are_not_mixed(tmp_path: Path) -> None:
    def write(before: str, what: str, number: int) -> None:
        images = np.random.default_rng(number).integers(0, 256, (number, 8, 8))
        for split in ("train", "t10k"):
            array = images if what == "images" else np.arange(number) % 2
            write_idx(tmp_path / f"{before}{split}-{what}-idx{array.ndim}-ubyte", array)

    own_data = OwnData(name="idx", root=str(tmp_path), batch_size=4, folder=str(tmp_path), memory=4.0)
    write("a-", "images", 12)
    write("b-", "labels", 12)
    with pytest.raises(ValueError, match=r"files of 2 data sets \(a-\*, b-\*\); keep one's"):
        found(own_data)
    write("a-", "labels", 12)
    with pytest.raises(ValueError, match="files of 2 data sets"):
        found(own_data)
    for file in tmp_path.glob("b-*"):
        file.unlink()
    assert found(own_data).num_train == 12
    write("a-", "labels", 11)
    with pytest.raises(ValueError, match="a-train-labels-idx1-ubyte: its labels cannot be used: they must be 12 whole"):
        found(own_data)
