"""What a run asks of SLURM inside one of its jobs: to be queued again once it is saved. Imports no torch."""

import os
import re
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import NoReturn

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)  # of the time limit: #SBATCH --signal=USR1@60


def warnings_heard() -> list[signal.Signals]:
    """Those of SIGUSR1 and SIGUSR2 that are for a run: in a job of SLURM, unless another program has taken them."""
    if "SLURM_JOB_ID" not in os.environ:
        return []
    return [number for number in WARNINGS if signal.getsignal(number) in (signal.SIG_DFL, _leave)]


def listen() -> None:
    """In a job: when told to stop before training listens itself, queue the job again and end."""
    if "SLURM_JOB_ID" not in os.environ or threading.current_thread() is not threading.main_thread():
        return
    for number in (*warnings_heard(), signal.SIGTERM):
        signal.signal(number, _leave)


def deaf() -> None:
    """In a job: hear no more of its end, which SLURM repeats to a process that is ending already."""
    if "SLURM_JOB_ID" in os.environ and threading.current_thread() is threading.main_thread():
        for number in (*warnings_heard(), signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    deaf()
    queue_again(signal.Signals(number))
    raise SystemExit(128 + number)


def queue_again(told: signal.Signals) -> None:
    """Ask SLURM to run this job again if ``told`` is a warning or a preemption.

    SLURM requeues a preempted job only when it has to end it itself: one that ends inside its GraceTime counts as
    FAILED, or as whatever its script returns.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or not wanted(told, _scontrol("show", "job", job)):
        return
    error = _scontrol("requeue", job)
    print(f"SLURM: job {job} {f'is not queued again: {error}' if error else 'is queued again'}", file=sys.stderr)


def wanted(told: signal.Signals, job: str) -> bool:
    """Whether a job that was told ``told`` is to be queued again, by what ``scontrol show job`` says of it.

    A job that somebody cancelled, or whose time is over, is COMPLETING before its processes get SIGTERM; so is one
    that SLURM itself has requeued. A preempted one is RUNNING throughout its GraceTime.
    """
    preempted = re.search(r"\bPreemptTime=\d", job) is not None
    return "JobState=RUNNING" in job and (told in WARNINGS or (told == signal.SIGTERM and preempted))


def _scontrol(*words: str) -> str:
    """What it says; nothing where it is not there."""
    try:
        done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"scontrol: {error}"
    return (done.stdout + done.stderr).strip()
