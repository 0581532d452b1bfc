"""Eight jobs, two at a time, all killed at once; the same line again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import DEVNULL

import pytest
from test_kill import LINE, SEED, assert_equal_runs, scalars, step_of

from dcgan.shell.status import read_status

WORDS = [*LINE, "trainer.max_steps=20", "seed=0,1,2,3,4,5,6,7", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


def states(sweep: Path) -> dict[str, str]:
    return {path.name: str(read_status(path).get("state")) for path in sorted(sweep.glob("*_seed-*"))}


@pytest.mark.fault("SIGKILL of a sweep of eight jobs, two side by side, twice")
@pytest.mark.trials
def test_eight_jobs_side_by_side_are_killed_and_go_on(workdir: Path) -> None:
    chosen = random.Random(f"sweep {SEED}")
    command = [sys.executable, "-m", "dcgan.train", "-m", *WORDS, "name=N"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    for folder in ("once", "killed"):
        (workdir / folder).mkdir()
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600, cwd="once")
    sweep = workdir / "killed" / "outputs" / "sweeps" / "N"
    for number in (2, 5):  # in the middle, when so many have begun
        process = subprocess.Popen(command, env=environment, cwd="killed", stderr=DEVNULL, start_new_session=True)
        while len(states(sweep)) < number + 1 or "running" not in states(sweep).values():
            assert process.poll() is None, "it was over before"
            time.sleep(0.05)
        time.sleep(seconds := chosen.uniform(0, 6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)  # its workers' deaths
        print(f"DCGAN_FAULTS_SEED={SEED}: {seconds:.2f} s after job {number} began: {states(sweep)}")
        assert "running" not in states(sweep).values()
        before = {name: (state, step_of(sweep / name)) for name, state in states(sweep).items()}
    assert "died" in states(sweep).values()
    done = subprocess.run(command, env=environment, cwd="killed", check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(states(sweep).values()) == ["finished"] * 8
    for run in sorted(sweep.glob("N_*")):
        state, step = before.get(run.name, ("", 0))
        newest = max(run.glob("events.*"), key=lambda file: file.stat().st_mtime)
        if state == "died" and step:  # nothing before the checkpoint was computed again
            assert min(at for points in scalars(newest).values() for at, _ in points) > step
        assert_equal_runs(run, workdir / "once" / "outputs" / "sweeps" / "N" / run.name)
