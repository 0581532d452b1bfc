"""What a file is in truth, where a reader wanted something else under its name: the words for it. Imports no torch."""

import codecs
import zipfile
from pathlib import Path

from dcgan.config.rules import one_line

LOOKED_AT = 512  # bytes
LARGEST = 2**31  # bytes that one file's content may take in memory: 2.7 million grey images of 28 x 28
ARRAYS = "an .npz of arrays"
PYTORCH = "a file of PyTorch's"
SAFETENSORS = "a safetensors file"
BEGINNINGS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; 'git lfs pull' fetches that"),
    (b"\x1f\x8b", "packed with gzip; unpack it with gunzip"),
    (b"BZh", "packed with bzip2; unpack it"),
    (b"\xfd7zXZ", "packed with xz; unpack it"),
    (b"7z\xbc\xaf", "a 7-zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB", "a MATLAB file"),
    (b"PAR1", "a Parquet table"),
    (b"%PDF", "a PDF document"),
    (b"\x00\x00\x08", "an IDX file"),
    *((b"\x80" + bytes([version]), "a pickle, which could execute code") for version in range(2, 6)),
    *((mark, "text in UTF-16") for mark in (b"\xff\xfe", b"\xfe\xff")),
)


def what_is(path: Path) -> str | None:
    """Words that follow "it is": ``empty``, ``a web page``, ``a git-lfs pointer ...``. None: nothing that we know."""
    if not path.is_file():
        return _kind_of_no_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(LOOKED_AT)
    except OSError:
        return None
    return _kind_of_zip(path) if start.startswith(b"PK") else kind_of(start)


def kind_of(start: bytes) -> str | None:
    """As ``what_is``, of a file that begins so."""
    if start[8:10] == b'{"':
        return SAFETENSORS
    if start[4:8] == b"ftyp":  # ISO/IEC 14496-12
        return "a HEIC or AVIF picture, or a video; save pictures as PNG"
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it"
    known = (words for beginning, words in BEGINNINGS if start.startswith(beginning))
    return next(known, None) or _kind_of_text(start)


def _kind_of_no_file(path: Path) -> str | None:
    if path.is_dir():
        return "a folder"
    if path.is_symlink() and not path.exists():
        return one_line(f"a link that leads nowhere ({path.readlink()})")
    return "a pipe or a device, not a file" if path.exists() else None  # to open it might wait for ever


def _kind_of_zip(path: Path) -> str:
    """PyTorch, NumPy and many others pack with zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # what is damaged makes zipfile stumble in many ways
        return "a zip archive without its end: damaged"
    if not names:
        return "a zip archive of nothing"
    if any(name.endswith("data.pkl") for name in names):
        return PYTORCH
    if all(name.endswith(".npy") for name in names):
        return ARRAYS
    return one_line(f"a zip archive of {names[0] if len(names) == 1 else f'{len(names)} files'}; unpack it")


def _kind_of_text(start: bytes) -> str | None:
    if not start.strip(b"\x00"):
        return "all zeros: its space was reserved, but it was never written" if start else "empty"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, such as a download's error or login page"
    if text.startswith(b"<?xml"):
        return "an XML document, such as a download's error"
    return "text" if _is_text(start) else None


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r\f\ufeff" for letter in text)
