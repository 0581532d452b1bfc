"""``status.json``: what state a run is in, for people, sweeps and reports; and whose its folder is. No torch."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dcgan.config.rules import one_line
from dcgan.shell.processes import SIGN_EVERY, lives
from dcgan.shell.reading import from_json, plain_numbers, small_text
from dcgan.shell.writing import is_full, replacing, to_json

FILE = "status.json"
UNFINISHED = {
    "running": "is still training",
    "interrupted": "was stopped before its end",
    "failed": "failed before its end",
    "pruned": "was pruned by its search before its end",
    "died": "died before its end: its process is gone",
}
LOCK = ".lock"  # beside it; the kernel lets go of it when its holder dies, however that happens


def write_status(folder: Path, **status: Any) -> None:
    """Write ``status.json``: ``state``, and what is known beside it.

    States: running, finished, interrupted, failed, and pruned, by a search that did not think it worth its steps.
    """
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
        status = from_json(small_text(folder / FILE))
        last_sign = (folder / FILE).stat().st_mtime
    except (OSError, ValueError):
        return {}
    if not isinstance(status, dict) or not isinstance(status.get("state"), str):
        return {}
    for key in ("process", "results"):
        if not isinstance(status.get(key, {}), dict):
            del status[key]
    status |= {key: one_line(str(status[key])) for key in ("state", "error") if key in status}
    status |= {key: plain_numbers(status[key]) for key in ("results",) if key in status}
    if status["state"] == "running" and not lives(status.get("process", {}), last_sign=last_sign):
        return {**status, "state": "died"}
    return status


def shown_results(status: Mapping[str, Any]) -> str:
    """The numbers of a run in a line; one that was not finite is there as null."""
    numbers = status.get("results", {}).items()
    return "  ".join(f"{key} {'nan' if value is None else format(value, '.6g')}" for key, value in numbers)


def shown_health(status: Mapping[str, Any]) -> str:
    """What goes wrong in a run, and since when: ``class collapse since step 350``; and the rates that it was taken back
    to, which are not those of its configuration. Empty: nothing that is known.
    """
    health, rollbacks, words = status.get("health"), status.get("rollbacks"), []
    if isinstance(health, dict) and health.get("state", "healthy") != "healthy":
        words.append(f"{str(health['state']).replace('_', ' ')} since step {health.get('since')}")
    slower = [one.get("slower") for one in rollbacks if isinstance(one, dict)] if isinstance(rollbacks, list) else []
    for network in sorted({str(network) for network in slower}):
        words.append(f"optimizer.{network}.lr halved {slower.count(network)}x by health=act")
    return one_line("; ".join(words))


class TakenError(ValueError):
    """Another process holds a run folder."""


@contextmanager
def owned(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a run folder, which is made if need be, against every other process; meanwhile give signs of life.

    Args:
        wait: for the silence after which a process on another machine counts as dead, instead of refusing at once.

    Raises:
        TakenError: another one holds it; the message says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise TakenError(_taken(folder)) from error
    ended = threading.Event()
    try:
        _refuse_the_living(folder, wait=wait)
        threading.Thread(target=_give_signs, args=(folder / FILE, ended), daemon=True).start()
        yield
    finally:
        ended.set()
        lock.release()


def _refuse_the_living(folder: Path, *, wait: bool) -> None:
    """Where the lock does not reach: on another machine."""

    def last_sign() -> float:
        return (folder / FILE).stat().st_mtime

    if read_status(folder).get("state") != "running":
        return
    if wait:
        before = last_sign()
        print(f"note: {_taken(folder)}; waiting for a sign of life of it", file=sys.stderr)
        while last_sign() == before and read_status(folder).get("state") == "running":
            time.sleep(1)
    if read_status(folder).get("state") == "running":
        raise TakenError(_taken(folder))


def _give_signs(path: Path, ended: threading.Event) -> None:
    while not ended.wait(SIGN_EVERY):
        with suppress(OSError):  # no status yet, or a folder that is gone, which the run itself will see
            os.utime(path)


def _taken(folder: Path) -> str:
    holder = read_status(folder).get("process", {})
    known = {"pid", "host"} <= holder.keys()
    who = one_line(f"process {holder['pid']} on {holder['host']}") if known else "another process"
    return f"{folder}: {who} is training in it; wait for it, stop it, or choose another folder"
