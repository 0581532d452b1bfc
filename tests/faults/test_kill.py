"""Killed at any moment, and the same line again: the run that it would have been."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dcgan.runs.checkpoints import load_checkpoint
from dcgan.shell.status import read_status

STEPS = 30
# All that a checkpoint must bring back: momentum, statistics, labels, dropout, a lazy penalty's latest, drawn images.
LINE = [
    *(*TINY, f"trainer.max_steps={STEPS}", "trainer.log_every_n_steps=3", "optimizer.schedule=linear"),
    *("model.conditional=true", "model.discriminator.dropout=0.3", "model.discriminator.norm=layer"),
    *("penalty=r1", "penalty.every=4", "augment=diffaugment", "checkpoints.every=5", "samples.every=10"),
    *("metrics.every=6", "metrics.num_samples=20", "health.every=4", "health.patience=2"),
]
TIMINGS = re.compile(r"speed/.*")
EVERY = {"step": 1, "evaluation": 6, "writing": 5, "renaming": 5, "between": 5, "logging": 6, "status": STEPS}  # steps
MOMENTS = tuple(EVERY)
SEED = int(os.environ.get("DCGAN_FAULTS_SEED", "0"))  # printed with every trial


def line(*words: str, name: str = "N", killed: tuple[str, int] | None = None) -> subprocess.CompletedProcess[str]:
    """The same line, in a process of its own."""
    start = [str(Path(__file__).with_name("killed.py")), killed[0], str(killed[1])] if killed else ["-m", "dcgan.train"]
    command = [sys.executable, *start, *LINE, f"name={name}", "resume=auto", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list | tuple) else ()
    )
    inner = {name: value for key, one in items for name, value in flat(one, f"{prefix}/{key}").items()}
    return inner or {prefix: values}


def assert_equal_runs(one: Path, other: Path) -> None:
    """By every number that is kept but timings; and each logged step stands once."""
    for checkpoint in ("last", "best", "previous"):
        found, expected = (flat(load_checkpoint(run / "checkpoints" / f"{checkpoint}.ckpt")) for run in (one, other))
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(found[key], value), key
            elif not (key.startswith("/config/name") or key.endswith("cpu_seconds")):
                assert found[key] == value, key
    found, expected = (records(run) for run in (one, other))
    assert found == expected
    found, expected = (scalars(run) for run in (one, other))
    assert found.keys() == expected.keys()
    for tag, points in expected.items():
        assert not [step for step, times in Counter(step for step, _ in found[tag]).items() if times > 1], tag
        assert found[tag] == points or TIMINGS.fullmatch(tag), tag
    for path in other.glob("samples/*"):
        assert (one / "samples" / path.name).read_bytes() == path.read_bytes(), path
    for path in other.glob("checkpoints/*.safetensors"):  # whose digest is of all that is in it
        assert header(one / "checkpoints" / path.name) == header(path), path
    kept = [{path.name for path in run.glob("checkpoints/*")} - {"last.ckpt.damaged"} for run in (one, other)]
    assert kept[0] == kept[1]


def step_of(run: Path) -> int:
    """Of the latest checkpoint; 0: there is none."""
    last = run / "checkpoints" / "last.ckpt"
    return int(load_checkpoint(last)["global_step"]) if last.exists() else 0


def header(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


def records(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in one.items() if "seconds" not in key} for one in lines]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, mnist_root: Path) -> Path:
    """The run without any accident."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DCGAN_DATA", str(mnist_root))
        result = line()
        assert result.returncode == 0, result.stderr
    return folder / "outputs" / "N"


@pytest.mark.fault("SIGKILL at a chosen moment, twice")
@pytest.mark.parametrize("trial", [0, *(pytest.param(n, marks=pytest.mark.trials) for n in range(1, 20))])
def test_killed_and_started_again_it_is_the_run_that_it_would_have_been(
    trial: int, unbroken: Path, workdir: Path
) -> None:
    chosen = random.Random(1000 * SEED + trial)
    moments = [MOMENTS[trial % len(MOMENTS)], chosen.choice(MOMENTS[:-1])]  # twice
    print(f"DCGAN_FAULTS_SEED={SEED}, trial {trial}:", end="")
    for moment in sorted(moments, key="status".__eq__):  # after which there is nothing left
        nth = chosen.randint(1, max(1, (STEPS - step_of(workdir / "outputs" / "N")) // EVERY[moment]))
        print(f" {moment} {nth}", end="")
        result = line(killed=(moment, nth))
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert read_status(workdir / "outputs" / "N")["state"] == "died"
    again = line()
    assert again.returncode == 0, again.stderr
    assert read_status(workdir / "outputs" / "N")["state"] == "finished"
    assert_equal_runs(workdir / "outputs" / "N", unbroken)


@pytest.mark.fault("SIGKILL at a random time, twice")
@pytest.mark.trials
@pytest.mark.parametrize("trial", range(5))
def test_killed_from_outside_at_a_random_time(trial: int, unbroken: Path, workdir: Path) -> None:
    chosen = random.Random(f"outside {SEED} {trial}")
    command = [sys.executable, "-m", "dcgan.train", *LINE, "name=N", "resume=auto"]
    for _ in range(2):
        seconds = chosen.uniform(0, 8)
        print(f"DCGAN_FAULTS_SEED={SEED}, trial {trial}: {seconds:.2f} s after its configuration was there")
        before = (workdir / "outputs" / "N" / "provenance.jsonl").exists()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not before and not (workdir / "outputs" / "N" / "status.json").exists():
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.wait()
    again = line()
    assert again.returncode == 0, again.stderr
    assert_equal_runs(workdir / "outputs" / "N", unbroken)


@pytest.mark.fault("a flipped bit in a checkpoint")
@pytest.mark.trials
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_taken(unbroken: Path, workdir: Path) -> None:
    killed = line(killed=("step", 14))
    assert killed.returncode == -signal.SIGKILL
    last = workdir / "outputs" / "N" / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1  # one bit, which torch itself would not notice
    last.write_bytes(content)
    again = line()
    assert again.returncode == 0, again.stderr
    assert "last.ckpt is not a readable checkpoint (it is" in again.stderr
    assert "going on from outputs/N/checkpoints/previous.ckpt" in again.stderr
    assert_equal_runs(workdir / "outputs" / "N", unbroken)
