"""Whether a process still lives, here or on another machine. Imports no torch."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIGN_EVERY = 60.0  # seconds between signs of life
SILENCE = 5 * SIGN_EVERY  # after which a process on another machine counts as dead


def this_process() -> dict[str, Any]:
    """What tells this process from every other, on this machine and others, also after its number is used again."""
    here = {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot(), "started": _started(os.getpid())}
    return {**here, "job": _job()}


def lives(process: Mapping[str, Any], *, last_sign: float) -> bool:
    """Whether a process, as ``this_process`` describes it, is still there.

    Args:
        last_sign: Unix time, of use where it is another machine's.
    """
    host = process.get("host")
    if host is None:
        return False
    if host != socket.gethostname():
        again = process.get("job") is not None and process["job"] == _job()  # SLURM does so when the first has ended
        return time.time() - last_sign < SILENCE and not again
    pid = process.get("pid")
    return isinstance(pid, int) and process.get("boot") == _boot() and _started(pid) == process.get("started")


def _job() -> str | None:
    """SLURM's number of the job that this process is in, which a requeued one keeps, wherever it goes."""
    return os.environ.get("SLURM_JOB_ID")


def _boot() -> str | None:
    """Of Linux: another one after each start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the machine did (proc(5), field 22); without /proc 0; None: it is gone."""
    if pid <= 0:
        return None
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in ("Z", "X") else int(fields[19])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0
