"""Runs as jobs of a real SLURM: ``make test-cluster``."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from local_slurm import CONFIGURATION, LONG, TINIEST, Slurm, free_ports, line, starts, status, train, until, weights

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Its daemons, in a folder of its own, on loopback, ended afterwards."""
    if os.geteuid() or not all(map(shutil.which, ("munged", "slurmctld", "slurmd"))):
        pytest.skip("needs root, and Debian's slurmctld, slurmd, slurm-client and munge")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, ports=free_ports(3)))
    configured = ["-D", "-f", str(folder / "slurm.conf")]
    munge = {name: folder / f"munge.{name}" for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")}
    munge["key-file"] = key
    daemons: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        with (folder / f"{name}{len(daemons)}.log").open("wb") as log:
            daemons.append(subprocess.Popen([shutil.which(name) or name, *words], stdout=log, stderr=log))

    try:
        start("munged", "--foreground", "--force", *(f"--{option}={path}" for option, path in munge.items()))
        until(munge["socket"].exists, seconds=20)
        start("slurmctld", *configured)
        for node in ("n1", "n2"):
            start("slurmd", *configured, "-N", node)
        slurm = Slurm(folder)
        sinfo = ["sinfo", "--noheader", "--format=%T %D", "--partition=low"]

        def idle() -> bool:
            done = subprocess.run(sinfo, env=slurm.environment, capture_output=True, text=True, timeout=30, check=False)
            return done.stdout.strip() == "idle 2"

        until(idle, seconds=60, say=lambda: [path.read_text() for path in folder.glob("*.log")])
        yield slurm
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


@pytest.fixture
def slurm(cluster: Slurm, workdir: Path) -> Iterator[Slurm]:
    """The cluster, with nobody else on it, from an empty folder."""
    yield cluster
    cluster("scancel", "--user=root")
    until(lambda: not cluster("squeue", "--noheader"), seconds=60)


def script(name: str, *words: str) -> str:
    """The idempotent line: it starts the run, goes on with it, or finds it finished.

    Where nodes have names of their own, Lightning finds the first one by itself.
    """
    return f"export MASTER_ADDR=127.0.0.1\nsrun --kill-on-bad-exit {line(f'name={name}', 'resume=auto', *words)}"


def unbroken(*words: str) -> str:
    """The weights of a run that nobody disturbs."""
    process = train("hydra.run.dir=unbroken", *words)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return weights(Path("unbroken"))


def trains(run: Path) -> None:
    """Wait until it is at its first step, or its script has printed a mistake."""

    def there() -> bool:
        printed = [path.read_text() for path in Path.cwd().glob("job-*.out")]
        assert not any("error: " in text for text in printed), printed
        return (run / "samples" / "step_000000.png").exists()

    until(there)


ONE = ["trainer.gpus=0"]
STEPS = 400


def test_a_job(slurm: Slurm) -> None:
    job = slurm.submit(script=script("plain", *ONE, "trainer.max_steps=20"))
    assert slurm.until(job, "COMPLETED", "FAILED")["ExitCode"] == "0:0"
    assert status(Path("outputs/plain"))["state"] == "finished"
    again = slurm.submit(script=script("plain", *ONE, "trainer.max_steps=20"))  # which a scheduler may do
    assert slurm.until(again, "COMPLETED", "FAILED")["ExitCode"] == "0:0"
    assert starts(Path("outputs/plain")) == 1


def test_a_mistake_is_a_failed_job_that_stays_so(slurm: Slurm) -> None:
    job = slurm.submit(script=script("wrong", *ONE, "seed=-1"))
    assert slurm.until(job, "COMPLETED", "FAILED")["ExitCode"] == "1:0"


def test_a_preempted_job_ends_as_if_nothing_had_happened(slurm: Slurm) -> None:
    words = [*ONE, *LONG, f"trainer.max_steps={STEPS}"]
    run = Path("outputs/preempted")
    job = slurm.submit("--nodelist=n1", script=script("preempted", *words))
    trains(run)
    time.sleep(2)
    urgent = slurm.submit("--partition=urgent", "--nodelist=n1", script="sleep 1")
    slurm.until(urgent, "COMPLETED")
    assert status(run)["state"] == "interrupted"
    slurm.at_once(job)
    assert slurm.until(job, "COMPLETED", "FAILED")["JobState"] == "COMPLETED"
    assert status(run)["state"] == "finished"
    assert starts(run) == 2
    assert "Traceback" not in Path(f"job-{job}.out").read_text()
    assert weights(run) == unbroken(*words)


def listens(word: str) -> bool:
    """Whether a process with ``word`` in its command hears SIGUSR1: it has begun, and not yet loaded torch."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            caught = re.search(r"SigCgt:\s*(\w+)", (folder / "status").read_text())
            if b"srun" not in command and b"dcgan.train" in command and word.encode() in command and caught:
                return bool(int(caught[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False


def test_a_job_preempted_before_it_trains_is_queued_again(slurm: Slurm) -> None:
    job = slurm.submit("--nodelist=n1", script=script("early", *ONE, "trainer.max_steps=5"))
    until(lambda: listens("name=early"))
    urgent = slurm.submit("--partition=urgent", "--nodelist=n1", script="sleep 1")
    slurm.until(urgent, "COMPLETED")
    slurm.at_once(job)
    assert slurm.until(job, "COMPLETED", "FAILED")["JobState"] == "COMPLETED"
    assert starts(Path("outputs/early")) == 1
    assert status(Path("outputs/early"))["state"] == "finished"


def test_a_time_limit_is_only_an_interruption(slurm: Slurm) -> None:
    """SLURM looks every 30 seconds, and warns up to a minute early."""
    Path("steps").write_text("1000000")
    run = Path("outputs/limited")
    words = [*ONE, *LONG, "trainer.max_steps=$(cat steps)"]
    job = slurm.submit("--time=2", "--signal=USR1@30", script=script("limited", *words))
    trains(run)
    slurm.until(job, "PENDING", Restarts="1")
    assert status(run)["state"] == "interrupted"
    assert "SIGUSR1: finishing the step and saving" in Path(f"job-{job}.out").read_text()
    step = status(run)["results"]["steps"]
    assert step > 0
    Path("steps").write_text(str(step + 20))
    slurm.at_once(job)
    assert slurm.until(job, "COMPLETED", "FAILED")["JobState"] == "COMPLETED"
    assert (status(run)["state"], status(run)["results"]["steps"], starts(run)) == ("finished", step + 20, 2)


def test_a_cancelled_job_stays_cancelled_and_is_saved(slurm: Slurm) -> None:
    run = Path("outputs/cancelled")
    job = slurm.submit(script=script("cancelled", *ONE, *LONG, "trainer.max_steps=1000000"))
    trains(run)
    time.sleep(1)
    slurm("scancel", job)
    slurm.until(job, "CANCELLED")
    until(lambda: status(run)["state"] != "running", seconds=30)
    assert status(run)["state"] == "interrupted"
    assert weights(run)
    time.sleep(5)
    assert slurm.job(job)["JobState"] == "CANCELLED"
    assert slurm.job(job)["Restarts"] == "0"


TWO = ["trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2"]


def test_two_nodes_make_one_run_and_are_preempted_together(slurm: Slurm) -> None:
    words = [*TWO, *LONG, "trainer.max_steps=400"]
    run = Path("outputs/wide")
    job = slurm.submit("--nodes=2", "--ntasks-per-node=1", script=script("wide", *words))
    trains(run)
    urgent = slurm.submit("--partition=urgent", "--nodelist=n2", script="sleep 1")
    slurm.until(urgent, "COMPLETED")
    slurm.at_once(job)
    assert slurm.until(job, "COMPLETED", "FAILED")["JobState"] == "COMPLETED"
    assert status(run)["state"] == "finished"
    assert "Traceback" not in Path(f"job-{job}.out").read_text()
    assert [path.name for path in Path("outputs").iterdir()] == ["wide"]
    assert starts(run) == 2
    again = slurm.submit("--nodes=2", "--ntasks-per-node=1", script=script("calm", *words))
    slurm.until(again, "COMPLETED", "FAILED")
    assert weights(run) == weights(Path("outputs/calm"))


def sweep(slurm: Slurm, *words: str) -> subprocess.CompletedProcess[str]:
    """A sweep whose jobs are SLURM's, from outside of it; there are no accounts."""
    launcher = ["hydra/launcher=slurm", "hydra.launcher.mem_gb=null", "hydra.launcher.cpus_per_task=1"]
    line = [sys.executable, "-m", "dcgan.train", "-m", *TINIEST, *ONE, *launcher, "name=swept", *words]
    return subprocess.run(line, env=slurm.environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_sweep_of_jobs_and_one_that_is_killed_and_run_again(slurm: Slurm) -> None:
    """The parent does not wait for ever for a job that left no result, and the same line takes up what is left."""
    words = ["seed=0,1", "trainer.max_steps=20000", *LONG]
    with ThreadPoolExecutor() as pool:
        parent = pool.submit(sweep, slurm, *words)
        runs = [Path(f"outputs/sweeps/swept/swept_seed-{seed}") for seed in (0, 1)]
        until(lambda: parent.done() or all((run / "samples" / "step_000000.png").exists() for run in runs))
        assert not parent.done(), parent.result()
        for run in runs:
            os.kill(status(run)["process"]["pid"], signal.SIGKILL)
        died = parent.result(timeout=240)
    assert died.returncode == 1
    assert died.stdout.count("  died ") == 2, died.stdout
    again = sweep(slurm, "seed=0,1", "trainer.max_steps=20")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("  finished ") == 2, again.stdout


def test_a_job_of_a_sweep_that_is_preempted_goes_on_and_the_sweep_waits_for_it(slurm: Slurm) -> None:
    run = Path("outputs/sweeps/swept/swept_seed-0")
    with ThreadPoolExecutor() as pool:
        parent = pool.submit(sweep, slurm, "seed=0,1", f"trainer.max_steps={STEPS}", *LONG)
        until(lambda: parent.done() or (run / "samples" / "step_000000.png").exists())
        assert not parent.done(), parent.result()
        time.sleep(2)
        (job,) = slurm("squeue", "--noheader", "--array", "--states=running", "--format=%A %F_%K").splitlines()[:1]
        node = slurm.job(job.split()[0])["NodeList"]
        urgent = slurm.submit("--partition=urgent", f"--nodelist={node}", script="sleep 1")
        slurm.until(urgent, "COMPLETED")
        slurm.at_once(job.split()[0])
        ended = parent.result(timeout=280)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    assert ended.stdout.count("  finished ") == 2, ended.stdout
    runs = [run, run.with_name("swept_seed-1")]
    assert sorted(starts(run) for run in runs) == [1, 2]
