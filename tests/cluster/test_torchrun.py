"""Runs of several processes, by torchrun as on two nodes and by Lightning, and the death of one of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from local_slurm import TINIEST, free_ports, started, starts, status, step, train, until, weights

from dcgan.shell.status import read_status

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("workdir")]

TWO = ["trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2"]
ENDS_WITHIN = 30  # seconds


@pytest.fixture
def begun() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended, with all of their group, whatever happens."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        for number in workers(process):  # torchrun gives each a group of its own
            os.kill(number, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)


def torchrun(*options: str, module: Sequence[str] = ("-m", "dcgan.train"), words: Sequence[str]) -> list[str]:
    """A command that has torchrun start a run."""
    return [sys.executable, "-m", "torch.distributed.run", *options, *module, *TINIEST, *words]


def nodes(begun: list[subprocess.Popen[str]], *words: str, **arguments: Any) -> list[subprocess.Popen[str]]:
    """What would be typed on two nodes; the second one comes first."""
    (port,) = free_ports(1)
    place = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
    pair = [started(torchrun(*place, f"--node-rank={node}", words=[*TWO, *words], **arguments)) for node in (1, 0)]
    begun += pair
    return pair


def ended(pair: Sequence[subprocess.Popen[str]], *, seconds: float = 240) -> list[str]:
    """What processes printed that end well."""
    outputs = [process.communicate(timeout=seconds)[0] for process in pair]
    assert [process.returncode for process in pair] == [0] * len(pair), outputs
    return outputs


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The numbers of a launcher's children that train."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except OSError:
        return []
    return [int(one) for one in children if b"dcgan.train" in Path(f"/proc/{one}/cmdline").read_bytes()]


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def underway(run: Path) -> None:
    """Wait until a run has taken steps."""
    until((run / "checkpoints" / "last.ckpt").exists)


# As dcgan.train, and each rank tells what it was given.
EACH = """
import json, os
from pathlib import Path
from dcgan import train
from dcgan.shell.cli import cli
def task(config, launch):
    Path(f"rank{os.environ['RANK']}.json").write_text(json.dumps(train.main(config, launch)))
cli("train", task)
"""


def test_two_nodes_make_one_run_and_go_on_with_it(begun: list[subprocess.Popen[str]]) -> None:
    """Also in a folder that has the time in its name, which each node would call otherwise."""
    outputs = ended(nodes(begun, "trainer.max_steps=10"))
    (run,) = Path("outputs").iterdir()
    assert status(run)["state"] == "finished"
    assert ["finished step" in out for out in outputs] == [False, True]
    ended(nodes(begun, f"resume={run}", "trainer.max_steps=20"))
    assert [path.name for path in Path("outputs").iterdir()] == [run.name]
    assert (starts(run), status(run)["results"]["steps"]) == (2, 20)

    Path("each.py").write_text(EACH)
    straight = ["name=straight", "resume=auto", "trainer.max_steps=20", "metrics=digits", "metrics.num_samples=20"]
    ended(nodes(begun, *straight, module=["each.py"]))
    assert weights(run) == weights(Path("outputs/straight"))
    first, second = ({**json.loads(Path(f"rank{rank}.json").read_text()), "seconds": 0} for rank in (0, 1))
    del first["images_per_second"], second["images_per_second"]
    assert first == second
    assert any(name.startswith("best/") for name in first)
    assert all("finished already" in out for out in ended(nodes(begun, *straight)))


@pytest.mark.fault("a node of two is killed")
def test_the_death_of_a_node_ends_the_other(begun: list[subprocess.Popen[str]]) -> None:
    second, first = nodes(begun, "name=N", "resume=auto", "trainer.max_steps=1000000", "checkpoints.every=5")
    underway(Path("outputs/N"))
    (left,) = workers(first)
    for number in (second.pid, *workers(second)):
        os.kill(number, signal.SIGKILL)
    out, _ = first.communicate(timeout=ENDS_WITHIN)
    assert first.returncode > 0, out
    assert not lives(left)
    assert read_status(Path("outputs/N"))["state"] in ("failed", "died")
    ended(nodes(begun, "name=N", "resume=auto", "trainer.max_steps=" + str(step(Path("outputs/N")) + 5)))


@pytest.mark.fault("one of two processes is killed")
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_the_death_of_a_process_ends_the_others(first: bool, begun: list[subprocess.Popen[str]]) -> None:
    """Of two that Lightning started."""
    process = train("name=N", "resume=auto", "trainer.accelerator=cpu", "trainer.devices=2", "checkpoints.every=5")
    begun.append(process)
    underway(Path("outputs/N"))
    (child,) = workers(process)
    os.kill(process.pid if first else child, signal.SIGKILL)
    out, _ = process.communicate(timeout=ENDS_WITHIN)  # of both: they print to the same pipe
    assert process.returncode != 0, out
    assert "Traceback" in out
    assert not lives(child)
    assert read_status(Path("outputs/N"))["state"] == ("died" if first else "failed")


def test_torchrun_starts_it_again_and_nothing_is_lost(begun: list[subprocess.Popen[str]]) -> None:
    words = ["name=N", "resume=auto", "trainer.max_steps=60", "checkpoints.every=5", "trainer.accelerator=cpu"]
    words += ["trainer.devices=2"]
    place = ["--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    # Else the second attempt may read the addresses of the first, from a store that torchrun keeps.
    process = started(torchrun(*place, words=words), {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"})
    begun.append(process)
    underway(Path("outputs/N"))
    os.kill(workers(process)[1], signal.SIGKILL)
    ended([process])
    run = Path("outputs/N")
    assert (starts(run), status(run)["state"]) == (2, "finished")
    calm = train(*words, "name=calm")
    begun.append(calm)
    ended([calm])
    assert weights(run) == weights(Path("outputs/calm"))
