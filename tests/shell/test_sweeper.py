"""A sweep is checked whole, runs what is missing, and says how it ended."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import TINY, Result, options
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from submitit.slurm.slurm import SlurmJob

from dcgan.config.schema import CONF
from dcgan.shell.processes import this_process
from dcgan.shell.status import TakenError, owned, read_status, write_status
from dcgan.shell.submitted import watch_without_accounts
from dcgan.shell.sweep import told_at_once
from dcgan.shell.sweeper import Planned, _jobs, plan
from dcgan.shell.words import for_hydra
from dcgan.training.gan import GAN

Command = Callable[..., Result]
QUICK = [*TINY, "metrics=none", "logger=none", "trainer.max_steps=2", "samples.every=100"]
PATTERN = re.compile(r"^  (\w+) +(\S+)", re.MULTILINE)


def planned(*words: str, sweep: Path = Path("nowhere")) -> list[Planned]:
    """The jobs that a command line stands for, without running any."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        read = [word for word in for_hydra(words, "train") if not word.startswith("hydra.")]
        master = loader.load_configuration("train", read, run_mode=RunMode.MULTIRUN)
        params = [f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()]
        return plan(_jobs([*params, *read], loader, master), sweep)


def table(out: str) -> dict[str, str]:
    """The state of each job as the table at the end shows it."""
    found = {name: state for state, name in PATTERN.findall(out[out.index("\nsweep ") :])}
    assert found.pop("python") == "report"
    return found


def starts(run: Path) -> int:
    return len((run / "provenance.jsonl").read_text().splitlines())


def test_a_sweep_makes_one_complete_run_folder_per_job(command: Command, workdir: Path) -> None:
    result = command("train", "-m", *QUICK, "model=dcgan,mlp", "optimizer.lr=1e-4,2e-4")
    assert result.code == 0, result.err
    (sweep,) = (workdir / "outputs" / "sweeps").iterdir()
    runs = {path.name: path for path in sweep.iterdir() if path.is_dir()}
    assert set(runs) == {f"{model}_optimizer.lr-{lr}" for model in ("dcgan", "mlp") for lr in ("0.0001", "0.0002")}
    assert table(result.out) == dict.fromkeys(runs, "finished")
    for name, run in runs.items():
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert name == f"{config['model']['name']}_optimizer.lr-{config['optimizer']['lr']}"
        drawn = command("generate", f"run={run.relative_to(workdir)}", "n=4")
        assert drawn.code == 0, drawn.err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (
            ["penalty=none,r1", "penalty.gamma=1,2", "model.discriminator.norm=layer"],
            ["dcgan_penalty-none", "dcgan_penalty-r1_penalty.gamma-1", "dcgan_penalty-r1_penalty.gamma-2"],
        ),
        (  # one network's optimiser
            ["optimizer.generator.name=adam,sgd", "optimizer.generator.momentum=0.1,0.5"],
            [
                "dcgan_optimizer.generator.name-adam",
                *(f"dcgan_optimizer.generator.name-sgd_optimizer.generator.momentum-0.{n}" for n in (1, 5)),
            ],
        ),
        (  # what is typed once holds where it can
            ["model=dcgan,mlp", "model.base_convs=1"],
            ["dcgan", "mlp"],
        ),
        (["seed=1,1", "optimizer.lr=1e-3,0.001"], ["dcgan_seed-1_optimizer.lr-0.001"]),  # the same, said twice
        (["experiment=lsgan,r3gan", "name=x"], ["x_experiment-lsgan", "x_experiment-r3gan"]),
        (["name=a,b"], ["a", "b"]),
        (["data.root=a/b,a-b"], ["dcgan_data.root-a-b", "dcgan_data.root-a-b-2"]),  # two that read alike
    ],
)
def test_combinations_that_mean_the_same_run_run_once(words: list[str], names: list[str]) -> None:
    assert sorted(job.folder for job in planned(*words)) == sorted(names)


@pytest.mark.parametrize(("sweep", "number"), [("seeds", 3), ("losses", 18), ("architectures", 9), ("optimizers", 15)])
def test_named_sweeps(sweep: str, number: int) -> None:
    assert len(planned(f"sweep={sweep}")) == number
    assert len(planned(f"sweep={sweep}", "seed=7")) == number // 3  # what is typed comes last
    assert {"seeds", "losses", "architectures", "optimizers", "lr_grid"} == set(options("sweep"))


def test_a_named_sweep_needs_no_flag_which_may_stand_anywhere(command: Command, workdir: Path) -> None:
    result = command(
        "train", *QUICK[:3], "-m", *QUICK[3:], "sweep=lr_grid", "seed=0", "optimizer.lr=1e-3,2e-3", "name=mine"
    )
    assert result.code == 0, result.err
    assert table(result.out) == {f"mine_optimizer.lr-0.00{n}": "finished" for n in (1, 2)}
    assert (workdir / "outputs" / "sweeps" / "mine" / "mine_optimizer.lr-0.001" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["optimizer.lr=1e-3,-1,2e-3", "seed=0,x"],
            [
                "optimizer.lr=0.001 seed=x: seed=x: must be a whole number",
                "optimizer.lr=-1 seed=0: optimizer.lr=-1.0: must be a finite number above 0",
                "4 of 6 jobs cannot run (above); none was started",
            ],
        ),
        (["name=../x,a"], ["name=../x: must be letters, digits", "1 of 2 jobs cannot run (above); none"]),
        (["seed=0,1", "model.width=0"], ["model.width=0: must be at least 1"]),  # once, if it is wrong in all
        (["seed=0,1", "model.widht=8"], ["model.widht: no such key; did you mean model.width?"]),
        (["sed=0,1"], ["sed: no such key; did you mean seed?"]),
        (["loss=hinge,minimax", "loss.weight_clip=1"], ["loss.weight_clip: no job of this sweep has a use for it"]),
        (["penalty=none,r1"], ["penalty=r1: needs each image's own gradient", "1 of 2 jobs cannot"]),
        (["loss=hinge,hingee"], ["loss=hingee: no such option; there are hinge,", "1 of 2 jobs cannot run (above)"]),
        (
            ["loss=hinge,hingee,mimax", "seed=0,1", "optimizer.lr=1"],
            [
                *(f"loss=hingee seed={seed}: loss=hingee: no such option; there are hinge," for seed in (0, 1)),
                "loss=mimax seed=1: loss=mimax: no such option",
                "4 of 6 jobs cannot run (above); none was started",
            ],
        ),
        (["loss=hingee", "seed=0,1"], ["loss=hingee: no such option; there are hinge,"]),
        (["optimizer.lr=interval(1e-4,1e-2)"], ["optimizer.lr=interval(1e-4,1e-2): a sweep takes values, a,b,c;"]),
        (["resume=outputs/x", "seed=0,1"], ["resume=outputs/x: is of one run; a sweep goes on by its name="]),
        (["seed=0,1", "stop_on_failure=maybe"], ["stop_on_failure=maybe: must be true or false"]),
        (["+seed=3,4"], ["+seed=3: there is a seed already; leave out the +"]),
        (["hydra/launcher=slrum"], ["hydra/launcher=slrum: no such option; there are basic, joblib"]),
    ],
)
def test_a_sweep_is_checked_whole_before_it_starts(
    words: list[str], lines: list[str], command: Command, workdir: Path
) -> None:
    result = command("train", "-m", *QUICK, *words)
    assert result.code == 1
    for line in lines:
        assert f"error: {line}" in result.err
    assert result.out == ""
    assert not list(workdir.iterdir())


def test_what_is_no_run_in_a_jobs_place_is_named_before_anything_starts(command: Command, workdir: Path) -> None:
    sweep = workdir / "outputs" / "sweeps" / "mine"
    (sweep / "mine_seed-0").mkdir(parents=True)
    (sweep / "mine_seed-0" / "notes.txt").write_text("somebody's own")
    (sweep / "mine_seed-1").touch()
    result = command("train", "-m", *QUICK, "seed=0,1,2", "name=mine")
    assert result.code == 1
    assert "mine_seed-0: is not empty, and holds no run; take another name=" in result.err
    assert "mine_seed-1: a file is where the job's folder would be; take another name=" in result.err
    assert sorted(path.name for path in sweep.rglob("*")) == ["mine_seed-0", "mine_seed-1", "notes.txt"]


def test_the_same_line_runs_only_what_is_missing(command: Command, workdir: Path) -> None:
    line = ["-m", *QUICK, "seed=0,1,2,3", "name=mine", "checkpoints.every=1"]
    assert command("train", *line).code == 0
    sweep = workdir / "outputs" / "sweeps" / "mine"
    runs = [sweep / f"mine_seed-{seed}" for seed in range(4)]
    weights = digest(runs[1])
    shutil.rmtree(runs[1])
    for run, state in ((runs[2], "failed"), (runs[3], "interrupted")):
        (run / "checkpoints" / "last.ckpt").unlink()  # the one before it is there
        write_status(run, state=state)
    again = command("train", *line)
    assert again.code == 0, again.err
    assert again.out.startswith(f"sweep {Path('outputs/sweeps/mine')}: 4 jobs (1 finished already, 1 failed, 1 interr")
    assert set(table(again.out).values()) == {"finished"}
    assert [starts(run) for run in runs] == [1, 1, 2, 2]
    assert digest(runs[1]) == weights
    more = command("train", "-m", *QUICK, "seed=0,1,2,3,4", "name=mine", "checkpoints.every=1")
    assert more.out.startswith("sweep outputs/sweeps/mine: 5 jobs (4 finished already)\n")
    changed = command("train", *line, "model.width=8")
    assert changed.err.splitlines()[0].endswith("seed-0 has 4; leave it, or start a new run")
    assert changed.code == 1
    less = command("train", *[word for word in line if word != "model.width=4"])
    assert "seed-0 has 4, and this line does not say so; type model.width=4, or take" in less.err.splitlines()[0]
    assert less.code == 1
    told = command("train", "-m", *QUICK, "seed=0", "checkpoints.every=1", f"hydra.sweep.dir={sweep}", "name=mine,x")
    assert told.out.startswith(f"sweep {sweep}: 2 jobs")  # wherever it is


def test_nothing_of_a_job_is_left_in_memory_after_it(command: Command, workdir: Path) -> None:
    gc.disable()
    try:
        assert command("train", "-m", *QUICK, "seed=0,1").code == 0
        assert not [one for one in gc.get_objects() if type(one) is GAN]
    finally:
        gc.enable()


def test_a_job_that_another_process_trains_is_left_alone(command: Command, workdir: Path) -> None:
    other = workdir / "outputs" / "sweeps" / "mine" / "mine_seed-1"
    with owned(other):
        write_status(other, state="running", process=this_process())
        result = command("train", "-m", *QUICK, "seed=0,1", "name=mine")
        assert result.out.startswith("sweep outputs/sweeps/mine: 2 jobs (1 running)\n")
        assert table(result.out) == {"mine_seed-0": "finished", "mine_seed-1": "running"}
        assert result.code == 0
    assert [path.name for path in other.iterdir() if path.suffix] == ["status.json"]


def test_a_job_that_another_process_took_meanwhile_is_no_failure(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one line is typed twice at once: what the other finished stays finished."""

    def train(_: Any, folder: Path, **__: Any) -> None:
        write_status(folder, state="finished", results={"steps": 2})
        raise TakenError(f"{folder}: another process began with it meanwhile; type the same line again")

    monkeypatch.setattr("dcgan.train.train", train)
    result = command("train", "-m", *QUICK, "seed=0,1", "name=mine")
    assert table(result.out) == {"mine_seed-0": "finished", "mine_seed-1": "finished"}
    assert result.err.count("note: outputs/sweeps/mine/mine_seed-") == 2
    assert result.code == 0


def fail(*_: Any, **__: Any) -> None:
    raise RuntimeError("the machine is on fire")


def test_a_job_that_fails_is_told_at_once_and_does_not_stop_the_sweep(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GAN, "_update", fail)
    line = ["-m", *QUICK, "seed=0,1,2", "name=mine"]
    result = command("train", *line)
    assert result.code == 1
    rows = table(result.out)
    assert rows == {f"mine_seed-{seed}": "failed" for seed in range(3)}
    assert result.out.count("RuntimeError: the machine is on fire") == 3
    assert result.err.count("Traceback") == 3
    stopped = command("train", *line, "stop_on_failure=1")
    assert stopped.code == 1
    assert stopped.out.count("not started, for a job has failed (stop_on_failure)") == 2
    assert stopped.err.count("Traceback") == 1
    other = command("train", *line, "name=fresh", "stop_on_failure=true")
    assert table(other.out) == {"fresh_seed-0": "failed"}
    assert command("train", *QUICK, "stop_on_failure=1").err.startswith("error: stop_on_failure: is of a sweep; add -m")


def test_jobs_side_by_side_share_the_cores_and_a_failure_is_still_told(command: Command, workdir: Path) -> None:
    """One falls over at its second step; the same line again starts that one alone, by whatever launcher."""
    words = ["-m", *QUICK, "optimizer.lr=1e30,1e-3,2e-3", "name=mine"]
    side_by_side = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    line = [sys.executable, "-m", "dcgan.train", *words, *side_by_side]
    first = subprocess.run(line, check=False, capture_output=True, text=True, env=environment, timeout=120)
    again = command("train", *words)
    assert "(2 finished already, 1 failed)" in again.out
    for code, out, err in ((first.returncode, first.stdout, first.stderr), again):
        assert code == 1
        assert sorted(table(out).values()) == ["failed", "finished", "finished"]
        assert err.count("error: step") == 1
    for path in workdir.glob("outputs/sweeps/*/*/provenance.jsonl"):
        threads = json.loads(path.read_text().splitlines()[0])["machine"]["threads"]
        assert threads == max(1, len(os.sched_getaffinity(0)) // 2)


def test_a_launcher_that_falls_over_still_leaves_a_table(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As joblib's does when the system kills one of its workers."""

    class Launcher:
        def launch(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("a worker was killed")

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: Launcher())
    result = command("train", "-m", *QUICK, "seed=0,1")
    assert result.code == 1
    assert result.err == "error: RuntimeError: a worker was killed\n"
    assert "\nsweep " in result.out


def test_two_sweeps_in_one_second_do_not_share_a_folder(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan.shell.sweeper.plan", lambda *_: [])
    results = [command("train", "-m", *QUICK, "seed=0,1") for _ in range(8)]
    folders = len(list((workdir / "outputs" / "sweeps").iterdir()))
    refused = [result for result in results if result.code]
    assert len(refused) == 8 - folders > 0
    assert all("another sweep was started in this second; give this one a name=" in one.err for one in refused)


def test_jobs_by_submitit_and_one_that_fails_is_told_before_the_end(workdir: Path) -> None:
    """On this machine by its local executor; on SLURM: tests/cluster."""
    words = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5", "optimizer.lr=1e30,1e-3", "name=mine"]
    command = [sys.executable, "-m", "dcgan.train", "-m", *QUICK, *words]
    result = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180
    )
    assert result.returncode == 1, result.stdout
    assert sorted(table(result.stdout).values()) == ["failed", "finished"]
    told = result.stdout.index("error: outputs/sweeps/mine/mine_optimizer.lr-1e30: ")
    assert told < result.stdout.index("\nsweep outputs")


def test_a_job_that_runs_elsewhere_is_told_of_when_it_fails_and_once(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workdir / "multirun.yaml").touch()
    os.utime(workdir / "multirun.yaml", (1, 1))
    write_status(workdir / "before", state="failed", error="of another day")
    os.utime(workdir / "before" / "status.json", (0, 0))
    with told_at_once(workdir, seconds=0.01):
        write_status(workdir / "good", state="finished")
        write_status(workdir / "bad", state="failed", error="step 3: nan")
        err = ""
        while "\n" not in err:
            err += capsys.readouterr().err
        time.sleep(0.05)
    assert err + capsys.readouterr().err == f"error: {workdir / 'bad'}: step 3: nan\n"


def test_slurm_without_submitit_is_named(command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra knows no launcher of that name then."""
    Plugins.instance()
    repository = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(repository, "submitit_slurm.yaml")
    refused = command("train", "-m", *QUICK, "hydra/launcher=slurm", "seed=0,1")
    assert refused.err.endswith("submitit_slurm: submitit is not installed; pip install 'dcgan[slurm]'\n")
    assert not list(workdir.iterdir())


def test_slurm_is_asked_where_it_keeps_no_accounts(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its queue, which forgets a job some minutes after its end."""
    programs = workdir / "bin"
    programs.mkdir()
    for name, lines in (("squeue", "echo '8|7_0|RUNNING'; echo '7|7_1|FAILED'"), ("sacct", "exit 1")):
        (programs / name).write_text(f"#!/bin/sh\n{lines}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(SlurmJob, "watcher", SlurmJob.watcher)
    before = SlurmJob.watcher
    watch_without_accounts()
    assert SlurmJob.watcher is not before
    for job, state, done in (("7_0", "RUNNING", False), ("7_1", "FAILED", True), ("9", "FORGOTTEN", True)):
        assert (SlurmJob.watcher.get_state(job, mode="force"), SlurmJob.watcher.is_done(job)) == (state, done)
    (programs / "sacct").write_text("#!/bin/sh\n")
    monkeypatch.setattr(SlurmJob, "watcher", before)
    watch_without_accounts()
    assert SlurmJob.watcher is before


@pytest.mark.fault("a sweep is killed")
@pytest.mark.trials
def test_a_sweep_that_was_killed_goes_on(command: Command, workdir: Path) -> None:
    """Its second job in the fifth step; the others are not touched, or start."""
    killed = Path(__file__).parents[1] / "faults" / "killed.py"
    words = ["-m", *QUICK, "trainer.max_steps=6", "checkpoints.every=2", "seed=0,1,2"]
    assert command("train", *words, "name=once").code == 0
    died = subprocess.run([sys.executable, str(killed), "step", "11", *words, "name=mine"], check=False, timeout=120)
    assert died.returncode == -9
    sweep = workdir / "outputs" / "sweeps" / "mine"
    assert {path.name: read_status(path)["state"] for path in sweep.glob("mine_*")} == {
        "mine_seed-0": "finished",
        "mine_seed-1": "died",
    }
    again = command("train", *words, "name=mine")
    assert again.code == 0, again.err
    assert again.out.startswith("sweep outputs/sweeps/mine: 3 jobs (1 finished already, 1 died)\n")
    assert [starts(sweep / f"mine_seed-{seed}") for seed in range(3)] == [1, 2, 1]
    for seed in range(3):
        one, other = (workdir / "outputs" / "sweeps" / name / f"{name}_seed-{seed}" for name in ("mine", "once"))
        assert digest(one) == digest(other)


def digest(run: Path) -> str:
    """Of the weights that the run ended with; the name of a run is no part of it."""
    from dcgan.runs.checkpoints import load_checkpoint

    state = load_checkpoint(run / "checkpoints" / "last.ckpt")
    return repr([(name, tensor.double().sum().item()) for name, tensor in state["state_dict"].items()])
