"""A search: it finds what was planted, loses nothing, and shares its trials among processes."""

import csv
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, config
from optuna.trial import TrialState

from dcgan import train
from dcgan.metrics.protocol import append_record, read_records
from dcgan.reports.search import best_of, describe, has_failed, write_figure, write_tables
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.evaluation import Judge
from dcgan.runs.search import WORKER, Plan, open_study, search, state_of
from dcgan.shell.processes import _started, this_process
from dcgan.shell.space import Point, read_space
from dcgan.shell.status import TakenError, read_status, write_status

SPACE = read_space({"lr": "tag(log, interval(1e-5, 1e-1))", "loss": "choice(a, b, c)"}, name="planted")


def planted(point: Point) -> float:
    """Lowest, 1, at lr = 1e-3 and loss = b."""
    return 1 + (math.log10(float(point["lr"])) + 3) ** 2 + (point["loss"] != "b")


def trains(score: Callable[[Point], float] = planted, *, cost: Callable[[Point], float] = lambda point: 1.0) -> Any:
    """What stands in for training: evaluates ten times, and asks the judge as a run does."""

    def trained(point: Point, folder: Path, judge: Judge | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for step in range(1, 11):
            value = score(point) * (20 - step) / 10
            record = {"split": "train", "step": step, "value": value, "cpu_seconds": cost(point) * step}
            append_record(folder / "metrics.jsonl", record)
            if judge is not None and step < 10 and not judge(step, value):
                return write_status(folder, state="pruned")
        return write_status(folder, state="finished")

    return trained


def plan(folder: Path, **other: Any) -> Plan:
    return Plan(folder=folder, **{"space": SPACE, "trials": 12, "asked": {"seed": 0}, **other})


def drawn(made: Plan) -> list[Point]:
    return [made.point_of(trial) for trial in open_study(made).get_trials()]


def states(made: Plan) -> list[str]:
    return [state_of(trial) for trial in open_study(made).get_trials()]


@pytest.mark.slow
def test_it_finds_a_planted_optimum_and_random_does_not_come_as_near(tmp_path: Path) -> None:
    best = {"tpe": 0.0, "random": 0.0}
    for sampler in best:
        for seed in range(3):
            made = plan(tmp_path / f"{sampler}{seed}", trials=30, sampler=sampler, seed=seed)
            (winner,) = best_of(search(made, trains()))
            assert winner.params["loss"] == "b" or sampler == "random"
            best[sampler] += (winner.values[0] - 1) / 3
    assert best["tpe"] < 0.005  # within a fifth of the rate
    assert best["random"] > 2 * best["tpe"]


def test_the_same_call_goes_on_to_the_trials_that_one_would_have_drawn(tmp_path: Path) -> None:
    search(plan(tmp_path / "whole", trials=14), trains())
    for trials in (5, 14):
        search(plan(tmp_path / "parts", trials=trials), trains())
    assert drawn(plan(tmp_path / "parts")) == drawn(plan(tmp_path / "whole"))
    before = list((tmp_path / "parts").rglob("*"))
    search(plan(tmp_path / "parts", trials=14), trains())
    assert list((tmp_path / "parts").rglob("*")) == before  # nothing is left


@pytest.mark.slow
def test_where_runs_diverge_it_learns_not_to_go(tmp_path: Path) -> None:
    def diverges(point: Point, folder: Path, judge: Judge | None) -> None:
        if float(point["lr"]) > 0.01:
            raise ValueError("step 3: the generator's weights are not finite")
        trains()(point, folder, judge)

    made = plan(tmp_path / "search", trials=40)
    search(made, diverges)
    assert 0 < states(made)[10:].count("failed") <= 6  # of 30, in a quarter of the space; as Optuna's FAIL, 28


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def some_fail(point: Point, folder: Path, judge: Judge | None) -> None:
        if point["loss"] == "a":
            raise ValueError("step 3: the generator's\nweights are not finite")
        trains()(point, folder, judge)

    made = plan(tmp_path / "some")
    study = search(made, some_fail)
    failed = [point["loss"] == "a" for point in drawn(made)]
    assert [state == "failed" for state in states(made)] == failed
    assert 0 < sum(failed) < 12
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == sum(failed)
    assert lines[0] == f"error: trial {failed.index(True)}: step 3: the generator's weights are not finite"
    assert not has_failed(study)
    assert best_of(study)[0].params["loss"] != "a"

    def all_fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    study = search(plan(tmp_path / "all", trials=2), all_fail)
    assert has_failed(study)
    assert "trial 1: out of memory" in describe(plan(tmp_path / "all", trials=2), study)


@pytest.mark.parametrize("accident", [OSError(28, "No space left on device"), SystemExit(143), KeyboardInterrupt()])
def test_what_is_not_a_trials_fault_ends_the_process_and_the_same_trial_is_gone_on_with(
    accident: BaseException, tmp_path: Path
) -> None:
    def third(point: Point, folder: Path, judge: Judge | None) -> None:
        if "0002" in folder.name:
            raise accident
        trains()(point, folder, judge)

    made = plan(tmp_path / "search", trials=5)
    with pytest.raises(type(accident)):
        search(made, third)
    assert states(made) == ["finished", "finished", "running"]
    point = drawn(made)[2]
    search(made, trains())
    assert states(made) == ["finished"] * 5
    assert drawn(made)[2] == point


def test_a_trial_of_a_living_process_is_left_to_it_and_of_a_dead_one_is_taken_over(tmp_path: Path) -> None:
    made = plan(tmp_path / "search", trials=1)

    def stopped(*_: Any) -> None:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        search(made, stopped)
    study = open_study(made)
    trial = study.get_trials()[0]

    def belongs_to(**worker: Any) -> None:
        study._storage.set_trial_user_attr(trial._trial_id, WORKER, {**this_process(), "since": 0.0, **worker})
        search(made, trains())

    with subprocess.Popen(["sleep", "60"]) as other:
        belongs_to(pid=other.pid, started=_started(other.pid))
        assert states(made) == ["running"]
        other.kill()
    belongs_to(host="elsewhere", since=time.time() - 100)
    assert states(made) == ["running"]
    write_status(made.folder_of(trial), state="running")  # a sign of life, as the run itself gives
    belongs_to(host="elsewhere")
    assert states(made) == ["running"]
    os.utime(made.folder_of(trial) / "status.json", (0, 0))
    belongs_to(host="elsewhere")
    assert states(made) == ["finished"]


def test_a_run_that_somebody_else_has_is_passed_by(tmp_path: Path) -> None:
    def taken(point: Point, folder: Path, judge: Judge | None) -> None:
        if "0001" in folder.name:
            raise TakenError("another process is training in it")
        trains()(point, folder, judge)

    made = plan(tmp_path / "search", trials=3)
    search(made, taken)
    assert states(made) == ["finished", "running", "finished"]


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_what_is_worse_than_the_median_at_the_same_step_is_pruned(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = plan(Path("search"), trials=16, pruning=True, sampler="random", storage=storage)
    study = search(made, trains())
    trials = study.get_trials()
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert not [trial for trial in trials[:5] if trial.state == TrialState.PRUNED]
    for trial in pruned:
        assert read_status(made.folder_of(trial))["state"] == "pruned"
        assert planted(trial.params) > best_of(study)[0].values[0]
    write_tables(made, study)
    write_figure(made, study)
    assert f"pruned,{pruned[0].value},{pruned[0].params['lr']}" in Path("search/trials.csv").read_text()


@pytest.mark.slow
def test_of_two_objectives_the_front_is_kept(tmp_path: Path) -> None:
    made = plan(tmp_path / "search", trials=20, objectives=("fid", "cpu_seconds"))
    study = search(made, trains(cost=lambda point: float(point["lr"])))
    front = [trial.values for trial in best_of(study)]
    everything = [trial.values for trial in study.get_trials()]
    beaten = [one for one in everything if any(a < one[0] and b < one[1] for a, b in everything)]
    assert front == sorted(one for one in everything if one not in beaten)
    assert 1 < len(front) < 20
    write_tables(made, study)
    write_figure(made, study)
    assert (tmp_path / "search" / "best.md").read_text().count("## Trial") == len(front)
    assert f"  front    fid {front[0][0]:.4g}, cpu_seconds {front[0][1]:.4g}, trial" in describe(made, study)


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"asked": {"seed": 1}}, "seed=1: the search {folder} has 0; leave it, or take another name="),
        ({"asked": {"seed": 0, "lr": "a"}}, "lr=a: the search {folder} has null; leave it, or take another name="),
        ({"storage": "sqlite"}, "storage=sqlite: the search {folder} is in study.journal; take storage=journal"),
    ],
)
def test_another_search_in_the_folder_is_refused(other: dict[str, Any], line: str, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    search(plan(folder, trials=1), trains())
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError) as error:  # noqa: PT011
        search(plan(folder, trials=9, **other), trains())
    assert str(error.value) == line.format(folder=folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# --- as a person types it


@pytest.fixture
def spoken(workdir: Path) -> list[str]:
    """The line of a small search in a space of one's own, without its length."""
    (workdir / "conf" / "search").mkdir(parents=True)
    (workdir / "conf" / "search" / "mine.yaml").write_text("optimizer.lr: tag(log, interval(1e-4, 1e-3))\n")
    words = [*TINY, "model.dense_units=null", "metrics.num_samples=20", "metrics.every=10", "checkpoints.every=5"]
    return [f"hydra.searchpath=[file://{workdir}/conf]", *words, "trainer.max_steps=20", "search=mine", "name=N"]


def test_the_line_ends_with_the_best_and_the_line_that_trains_it_again(
    spoken: list[str], command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Sequence[str]] = []

    def start_or_go_on(composed: Any, folder: Path, *, overrides: Sequence[str], **_: Any) -> None:
        if len(told) == 2:
            told.clear()
            raise SystemExit(143)
        told.append(overrides)
        assert composed.model.width == 4
        trains(lambda point: float(composed.optimizer.lr))({}, folder, None)

    monkeypatch.setattr(train, "start_or_go_on", start_or_go_on)
    line = [*spoken, "trials=3", "seed=7"]
    stopped = command("tune", *line)
    assert stopped.code == 143
    assert stopped.err == "search outputs/searches/N: stopped; the same line goes on with it\n"
    result = command("tune", *line)
    assert result.code == 0, result.err
    with Path("outputs/searches/N/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["finished"] * 3
    best = min(rows, key=lambda row: float(row["fid"]))
    assert float(best["fid"]) == pytest.approx(float(best["optimizer.lr"]))
    (again,) = [text.split(maxsplit=1)[1] for text in result.out.splitlines() if text.startswith("  again ")]
    words = shlex.split(again)
    assert words[:3] == ["python", "-m", "dcgan.train"]
    assert words[3:] == [*spoken[:-2], "seed=7", f"optimizer.lr={best['optimizer.lr']}"]
    page = Path("outputs/searches/N/best.md").read_text()
    assert again in page
    assert f"{best['run']}/checkpoints/best.ckpt" in page
    assert Path("outputs/searches/N/search.png").stat().st_size > 1000
    other = command("tune", *line[:-1], "seed=8")
    assert other.err == "error: seed=8: the search outputs/searches/N has 7; leave it, or take another name=\n"
    assert command("tune", *line, "trainer.gpus=auto", "samples.every=7", "trials=2").code == 0  # which are free


WORKER_THAT_DIES = """
import os, signal, time
from pathlib import Path
from dcgan.training.gan import GAN
from dcgan.shell.cli import cli
from dcgan.tune import main

step = GAN.training_step

def training_step(self, *batch):
    if self.global_step == 13:
        while not list(Path("outputs/searches/N").glob("trial_0001*/checkpoints")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *batch)

GAN.training_step = training_step
cli("tune", main)
"""


@pytest.mark.fault("SIGKILL of one of two processes of a search")
@pytest.mark.trials
def test_of_two_processes_one_is_killed_and_the_other_goes_on_with_its_trial(
    spoken: list[str], workdir: Path, command: Any
) -> None:
    line, environment = [*spoken, "trials=2"], {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", WORKER_THAT_DIES, *line], env=environment) as killed:
        while not list(workdir.glob("outputs/searches/N/trial_0000*/status.json")):
            assert killed.poll() is None
            time.sleep(0.05)
        living = [sys.executable, "-m", "dcgan.tune", *line]
        result = subprocess.run(living, capture_output=True, text=True, env=environment, timeout=300, check=False)
        assert killed.wait() == -signal.SIGKILL
    assert result.returncode == 0, result.stderr
    assert [text.split()[2] for text in result.stdout.splitlines() if text.startswith("--- trial")] == ["1", "0"]
    with (workdir / "outputs/searches/N/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["state"]) for row in rows] == [("0", "finished"), ("1", "finished")]
    survived = Path(rows[0]["run"])
    assert len((survived / "provenance.jsonl").read_text().splitlines()) == 2  # it went on from a checkpoint
    unbroken = command("train", *spoken[:-2], f"optimizer.lr={rows[0]['optimizer.lr']}", "hydra.run.dir=unbroken")
    assert unbroken.code == 0, unbroken.err
    assert_equal(survived, Path("unbroken"))


def assert_equal(one: Path, other: Path) -> None:
    found, expected = (load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (one, other))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    found, expected = (
        [(record["step"], record["value"]) for record in read_records(run / "metrics.jsonl")] for run in (one, other)
    )
    assert found == expected


def test_a_run_that_is_pruned_is_saved_where_it_stopped_and_says_so(workdir: Path, mnist_root: Path) -> None:
    asked: list[int] = []

    def judge(step: int, value: float) -> bool:
        asked.append(step)
        return step < 4

    words = ["trainer.max_steps=6", "metrics.every=2", "metrics.num_samples=20", "model.dense_units=null"]
    train.train(config(*words, root=mnist_root), Path("run"), judge=judge)
    assert asked == [2, 4]
    assert read_status(Path("run"))["state"] == "pruned"
    assert load_checkpoint(Path("run/checkpoints/last.ckpt"))["global_step"] == 4
    asked.clear()
    goes_on = config(*words, "resume=run", root=mnist_root)
    train.train(goes_on, Path("run"), judge=judge)
    assert asked == []  # after the last step there is nothing to prune
    assert read_status(Path("run"))["state"] == "finished"
