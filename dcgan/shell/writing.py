"""Files that are whole or not there, and JSON that every reader takes."""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from dcgan.shell.words import pasted

FULL = {errno.ENOSPC, errno.EDQUOT}


def is_full(error: BaseException) -> bool:
    """Whether it says that a disk, or one's share of it, is full."""
    return isinstance(error, OSError) and error.errno in FULL


@contextmanager
def naming(target: Path) -> Iterator[None]:
    """Have an OSError from inside name ``target``: temporary names were never typed, and a full disk names no file."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save's own, over the disk's
        if not isinstance(cause, OSError) or cause.errno is None:
            raise
        raise OSError(cause.errno, cause.strerror, str(target)) from error


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """As the only process that holds the file ``lock``; beside others where it is another person's, or cannot be."""
    held = FileLock(lock)
    with suppress(OSError):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def refuse_no_folder(out: Path) -> None:
    """Raise FileExistsError where ``out`` is no folder, and cannot become one, before minutes of work are lost."""
    folders = (out, *out.absolute().parents)
    there = next(folder for folder in folders if os.path.exists(folder))  # noqa: PTH110  # Path's own may raise
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise FileExistsError(f"{pasted('out', out)}: is no folder that can be written to; choose another")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A name beside ``target`` to write to; synced, and renamed to ``target``, at the end.

    A reader or a power cut finds the old file or the new one, whole. Permissions are by the umask, as of any file.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with naming(target):
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON, which has no NaN and no infinity: they become null."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def refuse_link(path: Path) -> None:
    """Raise ValueError where ``path`` is a link, which would be written through."""
    if path.is_symlink():
        raise ValueError(f"{path}: is a link; a run folder chooses no path here: put there what it leads to")


def append_json(path: Path, value: Any) -> None:
    """Append one line, on a line of its own though what wrote before was stopped in the middle of one."""
    refuse_link(path)
    with naming(path), path.open("a+b") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        start = b"" if file.read() in (b"", b"\n") else b"\n"
        file.write(start + to_json(value).encode() + b"\n")
