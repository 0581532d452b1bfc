"""Two processes, and two nodes as torchrun starts them; more of it, and SLURM, in ``make test-cluster``."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import TINY

from dcgan.shell.status import read_status

TWO = ["trainer.accelerator=cpu", "trainer.gpus=auto", "trainer.devices=1", "trainer.num_nodes=2"]


def children(process: subprocess.Popen[str]) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []


def underway(process: subprocess.Popen[str]) -> None:
    """Wait until a run has taken steps."""
    deadline = time.monotonic() + 120
    while not list(Path("outputs").glob("*/checkpoints/last.ckpt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def nodes(workdir: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """The second of them comes first."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1"]
    run = ["-m", "dcgan.train", *TINY, *TWO, "metrics=none", "logger=none", "checkpoints.every=5"]
    found = []
    for node in (1, 0):
        command = [sys.executable, *launcher, f"--master-port={port}", f"--node-rank={node}", *run]
        found.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        time.sleep(1)
    yield found
    for process in found:
        for number in (*children(process), process.pid):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.communicate(timeout=20)


@pytest.mark.fault("a node of two is killed")
@pytest.mark.trials
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_two_nodes_make_one_run_and_die_together(nodes: list[subprocess.Popen[str]]) -> None:
    second, first = nodes
    underway(first)
    (run,) = Path("outputs").iterdir()  # though each node would name it by its own time
    for number in (second.pid, *children(second)):
        os.kill(number, signal.SIGKILL)
    out, _ = first.communicate(timeout=30)
    assert first.returncode > 0, out
    assert read_status(run)["state"] == "failed", out


@pytest.mark.trials
@pytest.mark.fault("one of two processes is killed")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_the_death_of_a_process_ends_the_other(workdir: Path) -> None:
    words = [*TINY, *TWO[:2], "trainer.devices=2", "metrics=none", "logger=none", "checkpoints.every=5"]
    command = [sys.executable, "-m", "dcgan.train", *words, "name=N", "resume=auto"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            underway(process)
            (other,) = children(process)
            os.kill(other, signal.SIGKILL)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode > 0, out
    assert read_status(Path("outputs/N"))["state"] == "failed", out
