"""Runs in processes of their own, and a SLURM of two nodes on this machine, for ``make test-cluster``."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dcgan.runs.checkpoints import load_checkpoint

TINIEST = ["model.width=4", "data.batch_size=16", "metrics=none", "logger=none", "samples.n=4", "fast=false"]
TINIEST += ["trainer.precision=32-true", "trainer.enable_progress_bar=false"]
TINIEST += ["optimizer.schedule=constant", "optimizer.warmup=0"]  # may be resumed for longer
LONG = ["samples.every=1000000", "checkpoints.every=1000000"]

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=15
MinJobAge=3600
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=1000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=1000
PartitionName=low Nodes=n[1-2] Default=YES PriorityTier=1 GraceTime=60 State=UP
PartitionName=urgent Nodes=n[1-2] PriorityTier=10 PreemptMode=OFF State=UP
"""


def free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(asked: Callable[[], Any], *, seconds: float = 120, say: Callable[[], Any] = lambda: "") -> Any:
    """What ``asked`` returns, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (answer := asked()):
        assert time.monotonic() < deadline, say()
        time.sleep(0.2)
    return answer


class Slurm:
    """Its commands, and the jobs submitted to it."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd()
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def submit(self, *options: str, script: str) -> str:
        Path("job.sh").write_text(f"#!/bin/bash\n{script}\n")
        return self("sbatch", "--parsable", "--open-mode=append", "--output=job-%j.out", *options, "job.sh")

    def job(self, number: str) -> dict[str, str]:
        words = self("scontrol", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def until(self, number: str, *states: str, seconds: float = 240, **values: str) -> dict[str, str]:
        """The job, as soon as it is in one of ``states`` and has ``values``."""

        def there() -> dict[str, str] | None:
            job = self.job(number)
            return job if job["JobState"] in states and values.items() <= job.items() else None

        def say() -> tuple[Any, ...]:
            outputs = [path.read_text() for path in Path.cwd().glob("job-*.out")]
            return (self.job(number), *outputs)

        return until(there, seconds=seconds, say=say)

    def at_once(self, number: str) -> None:
        """SLURM lets a requeued job wait for two minutes: not here."""
        self.until(number, "PENDING", Restarts="1", seconds=90)
        self("scontrol", "update", f"JobId={number}", "StartTime=now")


def line(*words: str) -> str:
    """A command line that trains as ``words`` say, in the environment's Python."""
    return " ".join([sys.executable, "-m", "dcgan.train", *TINIEST, *words])


def step(run: Path) -> int:
    """Where a run stands."""
    return int(load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"])


def weights(run: Path) -> str:
    """A hash of all that a run has learnt."""
    found = hashlib.sha256()
    for name, value in sorted(load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"].items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def status(run: Path) -> dict[str, Any]:
    """The run's ``status.json``."""
    found: dict[str, Any] = json.loads((run / "status.json").read_text())
    return found


def starts(run: Path) -> int:
    """How often the run was started or gone on with."""
    return len((run / "provenance.jsonl").read_text().splitlines())


def train(*words: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    return started([sys.executable, "-m", "dcgan.train", *TINIEST, *words], environment)


def started(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A process, in a group of its own."""
    return subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
