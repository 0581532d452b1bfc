"""What a check-up says, leaves and mends, and that it says the same wherever it is made."""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clean_images import ONE, SIDE, clean, data, diagnosed, read, save, shape
from PIL import Image
from test_checkup import PLANTS

from dcgan.config.options import Data
from dcgan.data import listing, own
from dcgan.doctor import main
from dcgan.reports.checkup.examine import examine
from dcgan.reports.checkup.fix import mend
from dcgan.reports.checkup.neighbours import find_neighbours
from dcgan.reports.checkup.seen import look
from dcgan.shell.cli import cli

# --- numbers that are told


def test_consequences_are_computed(tmp_path: Path) -> None:
    folder = clean(tmp_path / "mine")
    for i in range(12):
        save(read(folder / f"train/disc/{i:03}.png"), folder / f"train/disc/again{i}.png")
    save(np.pad(read(folder / ONE.replace("004", "020")), ((0, 0), (14, 14), (0, 0))), folder / "train/disc/020.png")
    said = {one.kind: one.consequence for one in diagnosed(folder, scored=2000).findings}
    assert said.keys() == {"duplicate", "cropping", "too few"}
    assert said["duplicate"].startswith("12 copies among 168 images (7.1 % of what is learned) move the Fr")
    moved = float(said["duplicate"].split("by ")[1].split(";")[0])
    floor = float(said["duplicate"].split("are ")[1].split()[0].replace(",", ""))
    assert 0 < moved < floor  # a tenth of the images twice move less than having only half of them
    assert "of 1 image (0.6 %) 50 % of the pixels are lost, at most 50 %" in said["cropping"]
    assert "277.8 times as large with 36 as with 10,000" in said["too few"]
    halves, quarters = (
        float(said["too few"].split(f"lots of {n} are ")[1].split()[0].replace(",", "")) for n in (66, 33)
    )
    assert halves < quarters


def test_enough_images_depends_on_what_they_are_scored_with(tmp_path: Path) -> None:
    folder = clean(tmp_path / "mine")
    assert diagnosed(folder).not_asked["a FID of N"].endswith("a FID of 120 while training, and of 36 to report")
    (one,) = diagnosed(folder, scored=100).findings
    assert (one.kind, [name for name, _ in one.files]) == ("too few", ["36 to test with"])


# --- the same wherever it is looked at


def test_order_and_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = clean(tmp_path / "mine")
    for make in (faint, nearly_again, in_the_wrong_folder_too):
        make(folder)
    before = diagnosed(folder)
    assert len(before.alarms) == 3
    monkeypatch.setattr(own, "_cores", lambda: 5)
    monkeypatch.setattr(own, "AT_ONCE", 3)
    torch.set_num_threads(3)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: _Reversed(scandir(path)))
    try:
        assert diagnosed(folder).findings == before.findings
    finally:
        torch.set_num_threads(1)


class _Reversed:
    def __init__(self, entries: Any) -> None:
        self.entries = entries

    def __enter__(self) -> Any:
        return iter([*self.entries][::-1])

    def __exit__(self, *_: object) -> None:
        self.entries.close()


def faint(folder: Path) -> None:
    path = folder / "train/pole/009.png"
    save((read(path) // 6 + 90).astype(np.uint8), path)


def nearly_again(folder: Path) -> None:
    Image.fromarray(read(folder / ONE)).save(folder / "train/disc/x.jpg", quality=95, subsampling=0)


def in_the_wrong_folder_too(folder: Path) -> None:
    (folder / "train/disc/011.png").rename(folder / "train/bar/y.png")


def test_far_ones_may_be_missed_but_not_what_is_near() -> None:
    """In 300 groups of which 16 are looked into, as all with all would."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6000, 1, 8, 8), dtype=np.uint8)
    small[3000:] = np.clip(small[:3000] + rng.integers(-3, 4, (3000, 1, 8, 8)), 0, 255).astype(np.uint8)
    marks = rng.integers(0, 2**63, 6000).astype(np.uint64)
    found = find_neighbours(small, np.arange(6000), marks)
    assert (found.places[:3000, 0] == torch.arange(3000) + 3000).double().mean() > 0.99
    few = find_neighbours(small, np.arange(500), marks)
    exact = (small[:500].reshape(500, 1, -1).astype(int) - small[:500].reshape(1, 500, -1)) ** 2
    exact = exact.sum(2) + np.eye(500, dtype=int) * 10**9
    place = int(few.places[7, 0])
    assert few.squared[7, 0] == exact[7, place]
    assert (np.sort(few.squared.numpy(), axis=1) == few.squared.numpy()).all()


# --- a mended copy


def test_a_mended_copy_has_nothing_left_of_what_can_be_mended(tmp_path: Path) -> None:
    folder = clean(tmp_path / "mine")
    for name in ("a_web_page", "a_png_without_an_ending", "the_same_pixels_in_another_format"):
        (folder / ONE).parent.mkdir(exist_ok=True)
        before = (folder / ONE).read_bytes() if (folder / ONE).exists() else b""
        PLANTS[name][1](folder)
        if before:
            (folder / ONE).write_bytes(before)
    (folder / "train/bar/broken.png").write_bytes((folder / ONE).read_bytes()[:-600])
    (folder / "train/bar/odd.jpg").write_bytes((folder / "train/bar/001.png").read_bytes()[:-12] + b"")
    (folder / "train/ring/000.png").rename(folder / "train/ring/000.jpeg")
    save(np.full((SIDE, SIDE), 9, dtype=np.uint8), folder / "train/ring/black.png")
    save(read(folder / "train/pole/007.png"), folder / "test/pole/x.png")
    everything = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    seen = look(data(folder))
    found = examine(seen, scored=None)
    mendable = {one.kind for one in found.findings if one.mended}
    assert mendable >= {"wrong ending", "duplicate", "constant", "leakage", "truncated"}
    words = mend(seen, found, tmp_path / "copies" / "better")
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == everything
    again = diagnosed(tmp_path / "copies" / "better")
    assert not {one.kind for one in again.findings} & mendable
    assert (tmp_path / "copies/better/train/ring/000.png").read_bytes() == everything[folder / "train/ring/000.jpeg"]
    assert not (tmp_path / "copies/better/train/pole/007.png").exists()
    assert (tmp_path / "copies/better/test/pole/x.png").exists()
    assert "what only a person can decide is as it was" in words
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["better"]


# --- as a person types it


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def doctor(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dcgan.doctor", *words])
        code = 0
        try:
            cli("doctor", main)
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        return code, *capsys.readouterr()

    return run


def test_a_clean_set_raises_nothing(doctor: Callable[..., Any], here: Path) -> None:
    folder = clean(here / "mine")
    before = sorted(folder.rglob("*"))
    code, out, err = doctor("data=folder", "data.folder=mine")
    assert (code, err) == (0, "")
    assert out.startswith("data.folder=mine: nothing is wrong with these images\n")
    assert "22 of 22 kinds were looked for and not found" in out
    assert sorted(folder.rglob("*")) == before
    assert [path.name for path in sorted((here / "outputs/checkups/mine").iterdir())] == ["checkup.csv", "checkup.html"]


def test_a_folder_and_a_zip_of_it_are_told_the_same_and_leave_a_page(doctor: Callable[..., Any], here: Path) -> None:
    folder = clean(here / "mine")
    faint(folder)
    (folder / ONE).write_bytes((folder / ONE).read_bytes()[:-600])
    with zipfile.ZipFile(here / "mine.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(here))
    code, out, err = doctor("data=folder", "data.folder=mine", "out=there")
    assert (code, err) == (1, "")
    assert out.startswith("data.folder=mine: 2 kinds of trouble\n")
    assert f"truncated   1         {ONE}: " in out
    page = (here / "there/checkup.html").read_text()
    assert page.count("data:image/png;base64,") == 1  # what ends too early cannot be shown
    assert "train/pole/009.png: " in page
    assert f"truncated,True,{ONE}," in (here / "there/checkup.csv").read_text()
    code, zipped, _ = doctor("data=folder", "data.folder=mine.zip", "out=zipped", "fix=better")
    assert code == 1
    assert "truncated   1         mine/" + ONE in zipped
    assert "better: a copy of 155 images, without 1 (" in zipped
    code, out, _ = doctor("data=folder", "data.folder=better")
    assert (code, out.splitlines()[0]) == (1, "data.folder=better: 1 kind of trouble")


def test_arrays_are_looked_at_too(doctor: Callable[..., Any], here: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    images = np.stack([shape(int(label), rng, channels=1) for label in labels])
    images[9] = 7
    np.savez(here / "mine.npz", images=images, labels=labels)
    code, out, _ = doctor("data=folder", "data.folder=mine.npz")
    assert (code, out.splitlines()[0]) == (1, "data.folder=mine.npz: 1 kind of trouble")
    assert "not looked for: wrong ending, not seen, several in one, left out (the images are no files)" in out
    assert "constant  1         image 9: 7 of 255 everywhere" in out
    assert doctor("data=folder", "data.folder=mine.npz", "fix=x")[2].startswith("error: fix=x: copies a folder or .zip")
    assert not (here / "x").exists()


def bad(here: Path) -> dict[tuple[str, ...], str]:
    clean(here / "good", number=12)
    (here / "empty").mkdir()
    save(shape(0, np.random.default_rng(0)), here / "single" / "a.png")
    for i in range(3):
        save(shape(0, np.random.default_rng(0)), here / "same" / f"{i}.png")
    (here / "file.txt").write_text("hello")
    (here / "file").touch()
    (here / "html").mkdir()
    (here / "html" / "a.png").write_text("<html>")
    with zipfile.ZipFile(here / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"{i}.png", bytes(2**20))
    with zipfile.ZipFile(here / "out.zip", "w") as archive:
        archive.writestr("../a.png", b"x")
    return {
        (): "run=, data=: name one of them",
        ("run=a", "data=folder", "data.folder=good"): "run=, data=: name one of them",
        ("run=a", "fix=b"): "fix=b: is of images",
        ("data=folder", "data.folder=nowhere"): "data.folder=nowhere: no such file or folder",
        ("data=folder", "data.folder=empty"): "data.folder=empty: holds no images",
        ("data=folder", "data.folder=single"): "data.folder=single: holds 1 image, 0 unreadable; there is nothing to",
        ("data=folder", "data.folder=same"): "data.folder=same: holds one image, again and again",
        ("data=folder", "data.folder=html"): "data.folder=html: holds 0 images, 1 unreadable (a.png: it is a web page",
        ("data=folder", "data.folder=file.txt"): "data.folder=file.txt: must be a folder of images",
        ("data=folder", "data.folder=bomb.zip"): "data.folder=bomb.zip: unpacks to ",
        ("data=folder", "data.folder=out.zip"): "data.folder=out.zip: holds ../a.png, which leads out of it",
        ("data=folder", "data.folder=good", "fix=good/new"): "fix=good/new: lies in the folder that is looked at",
        ("data=folder", "data.folder=good", "fix=empty"): "fix=empty: is there already",
        ("data=folder", "data.folder=good", "out=good/page"): "out=good/page: lies in the folder that is looked at",
        ("data=folder", "data.folder=good", "out=file"): "out=file: is no folder that can be written to",
        (
            "data=folder",
            "data.folder=good",
            "out=page.html",
        ): "out=page.html: names a file, and a folder is written; leave",
        ("data=nothing",): "data=nothing: no such option; there are fashion_mnist, folder",
    }


def test_bad_input_is_answered_in_one_line_and_writes_nothing(
    doctor: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_UNPACKED", 2**22)
    cases = bad(here)
    before = sorted(here.rglob("*"))
    for words, line in cases.items():
        code, out, err = doctor(*words)
        assert (code, out, err.count("\n")) == (1, "", 1), (words, err)
        assert err.startswith(f"error: {line}"), words
    assert sorted(here.rglob("*")) == before


@pytest.mark.slow
def test_real_sets_raise_nothing(mnist_root: Path) -> None:
    """What they have is told as a note: the known wrong labels of MNIST, near duplicates in Fashion-MNIST."""
    notes = {"mnist": {"wrong label"}, "fashion_mnist": {"wrong label", "near duplicate"}}
    for name, expected in notes.items():
        seen = look(Data(name=name, root=str(mnist_root), batch_size=2, resolution=28, channels=1))
        found = examine(seen, scored=2000)
        assert not found.alarms, name
        assert {one.kind for one in found.findings} == expected
