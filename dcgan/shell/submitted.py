"""Jobs of a sweep that submitit hands to SLURM, watched where SLURM keeps no accounts."""

import subprocess
from typing import Any

QUEUE = ["squeue", "--noheader", "--array", "--states=all", "--format=%A|%F_%K|%T"]
GONE = "FORGOTTEN"  # by SLURM, some minutes after its end


def watch_without_accounts() -> None:
    """Have submitit ask ``squeue`` where ``sacct`` has no answer: it would wait for ever for a job that failed."""
    from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

    class QueueWatcher(SlurmInfoWatcher):
        def _make_command(self) -> list[str] | None:
            return QUEUE if self._registered - self._finished else None

        def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
            listed = states(string.decode() if isinstance(string, bytes) else string)
            return {job: {"JobID": job, "State": listed.get(job, GONE)} for job in self._registered}

    if not _answers("sacct", "--noheader"):
        SlurmJob.watcher = QueueWatcher(delay_s=20)


def states(listed: str) -> dict[str, str]:
    """The state of each job that ``squeue`` lists, by its own number and by that in its array: ``8``, ``7_0``."""
    found: dict[str, str] = {}
    for line in listed.splitlines():
        number, in_array, state = line.split("|")
        found |= {number: state, in_array: state}
    return found


def _answers(*words: str) -> bool:
    try:
        done: Any = subprocess.run(words, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(done.returncode == 0)
