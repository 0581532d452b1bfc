"""A disk that fills under the run, really: one line, nothing torn; with more room the same line ends as it should."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_kill import SEED, assert_equal_runs, line, unbroken  # noqa: F401

from dcgan.runs.checkpoints import load_checkpoint
from dcgan.shell.status import read_status

ROOM = 64 * 2**20  # bytes; a run takes a third


@pytest.fixture
def disk(workdir: Path) -> Iterator[Path]:
    """``outputs``, on a disk of its own."""
    folder = workdir / "outputs"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def taken(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*"))


@pytest.mark.fault("a disk that fills at a random byte")
@pytest.mark.trials
@pytest.mark.parametrize("trial", range(4))
def test_a_disk_that_fills(trial: int, unbroken: Path, disk: Path) -> None:  # noqa: F811
    chosen = random.Random(f"full {SEED} {trial}")
    last = taken(unbroken) - 2**20  # of which the last checkpoint is 6
    free = chosen.randint(80_000, last) if trial % 2 else chosen.randint(0, 80_000)  # among checkpoints; small files
    print(f"DCGAN_FAULTS_SEED={SEED}, trial {trial}: {free} bytes are free")
    ballast, run = disk / "ballast", disk / "N"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - free))
    failed = line()
    assert failed.returncode == 1, failed.stdout
    assert failed.stderr.startswith("error: disk full: outputs/N"), failed.stderr
    assert failed.stderr.count("\n") == 1, failed.stderr
    assert read_status(run).get("state", "failed") == "failed"
    for path in run.glob("checkpoints/*.ckpt"):
        load_checkpoint(path)
    ballast.unlink()
    again = line()
    assert again.returncode == 0, again.stderr
    assert_equal_runs(run, unbroken)
