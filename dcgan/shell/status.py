"""``status.json``: what state a run is in, for people, sweeps and reports; and whose its folder is. No torch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dcgan.shell.processes import lives
from dcgan.shell.writing import is_full, replacing, to_json

FILE = "status.json"
LOCK = ".lock"  # beside it; the kernel lets go of it when its holder dies, however that happens


def write_status(folder: Path, **status: Any) -> None:
    """Write ``status.json``: ``state`` (running, finished, interrupted or failed) and what is known beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / FILE, to_json(status, indent=2) + "\n"
    try:
        with replacing(path) as temporary:
            temporary.write_text(text)
    except OSError as error:
        if not (is_full(error) and path.exists()):
            raise
        with path.open("r+") as file:  # no room for a second file: into the first, whose room is taken already
            file.write(text)
            file.truncate()


def read_status(folder: Path) -> dict[str, Any]:
    """What ``status.json`` says, and ``died`` of a run that says ``running`` though its process is gone.

    Nothing, where there is none that can be read.
    """
    try:
        status = json.loads((folder / FILE).read_text())
        last_sign = (folder / FILE).stat().st_mtime
    except (OSError, ValueError):
        return {}
    if not isinstance(status, dict):
        return {}
    if status.get("state") == "running" and not lives(status.get("process") or {}, last_sign=last_sign):
        return {**status, "state": "died"}
    return status


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is made if need be, against every other process.

    Raises:
        ValueError: another one holds it; the message says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(_taken(folder)) from error
    try:
        from dcgan.shell.status import read_status

        if read_status(folder).get("state") == "running":  # elsewhere, where the lock does not reach
            raise ValueError(_taken(folder))
        yield
    finally:
        lock.release()


def _taken(folder: Path) -> str:
    from dcgan.shell.status import read_status

    status = read_status(folder)
    holder = status.get("process") or {}
    who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
    return f"{folder}: {who} is training in it; wait for it, stop it, or choose another folder"
