"""What state a run is in, whatever became of its process; and that its folder has one owner."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, printed_run

from dcgan.config.schema import TrainConfig
from dcgan.runs import run as runs
from dcgan.shell.processes import SILENCE, lives, this_process
from dcgan.shell.status import owned, read_status, write_status
from dcgan.train import train

QUICK = [*TINY, "metrics=none", "logger=none", "trainer.max_steps=4", "checkpoints.every=2", "samples.every=100"]


def ended() -> dict[str, Any]:
    """A process that was, and is no more."""
    code = "import json; from dcgan.shell.processes import this_process; print(json.dumps(this_process()))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_a_process_is_known_from_every_other() -> None:
    now, here = time.time(), this_process()
    assert lives(here, last_sign=0)
    assert not lives(ended(), last_sign=now)
    assert not lives({}, last_sign=0)
    assert not lives({**here, "started": here["started"] - 1}, last_sign=now)  # its number, used again
    assert not lives({**here, "boot": "another"}, last_sign=now)
    elsewhere = {**here, "host": f"not-{socket.gethostname()}"}
    assert lives(elsewhere, last_sign=now)
    assert not lives(elsewhere, last_sign=now - SILENCE - 1)


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ({"state": "finished"}, "finished"),
        ({"state": "running", "process": this_process()}, "running"),
        ({"state": "running", "process": {**this_process(), "started": 1}}, "died"),
        ({"state": "running"}, "died"),  # as earlier versions wrote it
    ],
)
def test_a_run_without_its_process_died(written: dict[str, Any], state: str, tmp_path: Path) -> None:
    write_status(tmp_path, **written)
    assert read_status(tmp_path)["state"] == state


@pytest.mark.parametrize("content", [None, "", "{", "[]", "\0"])
def test_no_status_is_no_mistake(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    assert read_status(tmp_path) == {}


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    write_status(tmp_path, state="running", process=this_process())
    (tmp_path / "status.json").rename(tmp_path / "later")
    with owned(tmp_path):
        (tmp_path / "later").rename(tmp_path / "status.json")
        with pytest.raises(ValueError, match=rf"process {os.getpid()} on {socket.gethostname()} is training in it"):
            owned(tmp_path).__enter__()
    write_status(tmp_path, state="finished")
    with owned(tmp_path):
        pass


@pytest.mark.fault("a lock whose holder was killed")
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from dcgan.shell.status import owned; owned(Path({str(tmp_path)!r})).__enter__()"
    code += "; import os, signal; print('held', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).stdout == b"held\n"
    with owned(tmp_path):
        pass


# --- one idempotent line


def test_the_same_line_starts_goes_on_and_is_finished(command: Callable[..., Any], workdir: Path) -> None:
    line = [*QUICK, "name=mine", "resume=auto"]
    first = command("train", *line)
    assert first.code == 0, first.err
    assert printed_run(first.out) == "outputs/mine"
    again = command("train", *line)
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("outputs/mine: finished already (steps 4  ")
    write_status(workdir / "outputs" / "mine", state="running", process=ended())  # before it could say so
    assert command("train", *line).out == "outputs/mine: finished already (steps 4)\n"
    assert read_status(workdir / "outputs" / "mine") == {"state": "finished", "results": {"steps": 4}}
    shorter = command("train", *line, "trainer.max_steps=3")
    assert shorter.out == "outputs/mine: finished already (steps 4)\n"
    longer = command("train", *line[:-1], "trainer.max_steps=6", "resume=auto")
    assert longer.code == 0, longer.err
    assert "finished step 6 " in longer.out
    refused = command("train", *line, "trainer.max_steps=6", "optimizer.lr=1e-5")
    assert refused.code == 1
    assert refused.err.startswith("error: optimizer.lr=1e-05: the run outputs/mine has 0.002; leave it, or")
    told = command("train", *line, "hydra.run.dir=there")
    assert printed_run(told.out) == "there"


@pytest.mark.fault("killed before the first checkpoint")
def test_an_attempt_without_a_checkpoint_starts_anew(command: Callable[..., Any], workdir: Path) -> None:
    line = [*QUICK, "name=mine", "resume=auto", "logger=csv", "trainer.log_every_n_steps=1"]
    run = workdir / "outputs" / "mine"
    assert command("train", *line).code == 0
    expected = sorted(path.relative_to(run) for path in run.rglob("*"))
    for path in (run / "checkpoints").glob("*.ckpt"):
        path.unlink()
    write_status(run, state="running", process=ended())
    (run / "metrics.jsonl").write_text('{"step": 2}\n')
    (run / "notes.txt").write_text("somebody's own")
    result = command("train", *line, "seed=1")
    assert result.code == 0, result.err
    assert (run / "notes.txt").exists()
    assert not (run / "metrics.jsonl").exists()
    assert sorted(path.relative_to(run) for path in run.rglob("*") if path.name != "notes.txt") == expected


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["name=mine"], "outputs/mine: is not empty; choose another folder"),
        (["name=other", "trainer.enable_checkpointing=false"], "resume=auto: goes on from checkpoints; leave"),
    ],
)
def test_what_auto_refuses(words: list[str], line: str, command: Callable[..., Any], workdir: Path) -> None:
    (workdir / "outputs" / "mine").mkdir(parents=True)
    (workdir / "outputs" / "mine" / "letter.txt").touch()
    result = command("train", *words, *QUICK, "resume=auto")
    assert result.code == 1
    assert f"error: {line}" in result.err
    assert [path.name for path in (workdir / "outputs" / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.fault("two processes on one folder")
def test_a_run_that_somebody_else_is_training_is_refused_by_name(command: Callable[..., Any], workdir: Path) -> None:
    line = [*QUICK, "name=mine", "resume=auto"]
    assert command("train", *line).code == 0
    before = (workdir / "outputs" / "mine" / "provenance.jsonl").read_text()
    with owned(workdir / "outputs" / "mine"):
        write_status(workdir / "outputs" / "mine", state="running", process=this_process())
        refused = command("train", *line, "trainer.max_steps=8")
    assert refused.code == 1
    assert refused.err.startswith(f"error: outputs/mine: process {os.getpid()} on ")
    assert (workdir / "outputs" / "mine" / "provenance.jsonl").read_text() == before


@pytest.mark.fault("the run folder is deleted")
def test_a_folder_that_is_deleted_under_the_run(
    command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcgan.training.gan import GAN

    step = GAN.training_step

    def training_step(self: GAN, *given: Any) -> Any:
        if self.global_step == 2:
            (workdir / "outputs" / "mine").rename(workdir / "gone")
        return step(self, *given)

    monkeypatch.setattr(GAN, "training_step", training_step)
    result = command("train", *QUICK, "name=mine", "resume=auto")
    assert result.code == 1
    assert result.err == "error: outputs/mine: was deleted while the run wrote into it\n"
    assert not (workdir / "outputs" / "mine").exists()


@pytest.mark.fault("a job of a sweep died")
def test_a_sweep_with_a_job_that_died_does_not_end_well(command: Callable[..., Any], workdir: Path) -> None:
    write_status(workdir / "swept" / "earlier", state="running", process=ended())
    result = command("train", "-m", *QUICK, "seed=1,2", "hydra.sweep.dir=swept")
    assert result.code == 1
    assert "died         earlier" in result.out


def test_an_evaluation_says_what_became_of_each_run(command: Callable[..., Any], workdir: Path) -> None:
    for name in ("one", "other"):
        assert command("train", *QUICK, f"name={name}", "resume=auto").code == 0
    write_status(workdir / "outputs" / "other", state="running", process=ended())
    result = command("evaluate", "run=outputs", "num_samples=20", "metrics=digits")
    assert result.code == 0, result.err
    assert "note: outputs/other: died before its end: its process is gone\n" in result.err
    assert "outputs/one" not in result.err.replace("note: this run", "")


@pytest.mark.fault("another process went on meanwhile")
@pytest.mark.parametrize("begun", [False, True])
def test_what_another_process_did_meanwhile_is_not_taken_back(
    begun: bool, command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the decision and the lock there are seconds, in which the other one saves, or ends."""
    line = [*QUICK, "name=mine", "resume=auto"]
    if begun:
        assert command("train", *line, "trainer.max_steps=2").code == 0
    build, built = runs.build_run, [0]

    def build_run(settings: TrainConfig, folder: Path, **named: Any) -> Any:
        run = build(settings, folder, **named)
        built[0] += 1
        if built[0] == 1:
            train(settings, folder, auto=True)
        return run

    monkeypatch.setattr(runs, "build_run", build_run)
    late = command("train", *line, "trainer.max_steps=6")
    assert late.code == 1
    assert "meanwhile; type the same line again" in late.err
    again = command("train", *line, "trainer.max_steps=6")
    assert again.out.startswith("outputs/mine: finished already (steps 6")


def test_a_shorter_line_does_not_make_a_longer_run_finished(command: Callable[..., Any], workdir: Path) -> None:
    line = [*QUICK, "name=mine", "resume=auto"]
    assert command("train", *line).code == 0
    write_status(workdir / "outputs" / "mine", state="interrupted")
    assert "finished already (steps 4)" in command("train", *line, "trainer.max_steps=3").out
    longer = command("train", *line, "trainer.max_steps=8")
    assert "finished step 8 " in longer.out, longer


@pytest.mark.fault("killed before it could say that it was finished")
@pytest.mark.parametrize(
    "length", [["trainer.max_epochs=1", "trainer.limit_train_batches=4", "trainer.max_steps=-1"], ["metrics.every=2"]]
)
def test_a_run_that_was_killed_at_its_end_is_finished(
    length: list[str], command: Callable[..., Any], workdir: Path
) -> None:
    scored = [*TINY, "logger=none", "checkpoints.every=3", "metrics=digits", "metrics.num_samples=20"]
    line = [*scored, "trainer.max_steps=4", *length, "name=mine", "resume=auto"]
    first = command("train", *line)
    assert first.code == 0, first.err
    run = workdir / "outputs" / "mine"
    before, results = (run / "metrics.jsonl").read_text(), read_status(run)["results"]
    write_status(run, state="running", process=ended())
    again = command("train", *line)
    assert again.code == 0, again.err
    assert read_status(run)["state"] == "finished"
    assert (run / "metrics.jsonl").read_text() == before
    if "metrics.every=2" in length:
        named = [key for key in results if "fid" in key]
        assert named
        assert {key: read_status(run)["results"][key] for key in named} == {key: results[key] for key in named}


@pytest.mark.fault("killed before the configuration was written")
def test_a_folder_with_nothing_but_a_temporary_file_in_it(command: Callable[..., Any], workdir: Path) -> None:
    run = workdir / "outputs" / "mine"
    write_status(run, state="running", process=ended())
    (run / ".config.yaml.4711").touch()
    assert command("train", *QUICK, "name=mine", "resume=auto").code == 0
    assert not (run / ".config.yaml.4711").exists()


def test_a_process_elsewhere_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(tmp_path, state="running", process={**this_process(), "host": "elsewhere", "job": None})
    with pytest.raises(ValueError, match="on elsewhere is training in it"):
        owned(tmp_path).__enter__()
    monkeypatch.setattr("dcgan.shell.processes.SILENCE", 1.5)
    with owned(tmp_path, wait=True):
        assert read_status(tmp_path)["state"] == "died"
    assert "waiting for a sign of life of it" in capsys.readouterr().err
    monkeypatch.undo()
    os.utime(tmp_path / "status.json")
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(tmp_path / "status.json"))  # it gives one
    with pytest.raises(ValueError, match="on elsewhere is training in it"):
        owned(tmp_path, wait=True).__enter__()


def test_an_owner_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan.shell.status.SIGN_EVERY", 0.01)
    write_status(tmp_path, state="finished")
    os.utime(tmp_path / "status.json", (0, 0))
    with owned(tmp_path):
        deadline = time.monotonic() + 10
        while (tmp_path / "status.json").stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (tmp_path / "status.json").stat().st_mtime > 0


STRANGE = [
    {"state": "running", "process": [1]},
    {"state": "running", "process": {"host": socket.gethostname(), "pid": "x"}},
    {"state": "running", "process": {"host": "elsewhere"}},
    {"state": "finished", "results": {"steps": 4, "fid": None}},
    {"state": "finished", "results": [4]},
    {"state": 4},
]


def test_whatever_a_status_holds_is_no_traceback(
    command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan.shell.processes.SILENCE", 0)
    line = [*QUICK, "name=mine", "resume=auto"]
    assert command("train", *line).code == 0
    for status in STRANGE:
        (workdir / "outputs" / "mine" / "status.json").write_text(json.dumps(status))
        again = command("train", *line)
        assert again.code == 0, again.err
        assert "finished already (steps 4" in again.out


def test_without_checkpoints_there_is_nothing_to_go_on_from(command: Callable[..., Any], workdir: Path) -> None:
    refused = command("train", *QUICK, "name=mine", "resume=auto", "trainer.enable_checkpointing=false")
    assert refused.err.startswith("error: resume=auto: goes on from checkpoints; leave trainer.enable_checkpointing")


# --- the doctor


def test_the_doctor_trains_again_what_was_trained(command: Callable[..., Any], workdir: Path) -> None:
    words = ["model.discriminator.dropout=0.2", "optimizer.schedule=linear", "checkpoints.keep=true"]
    assert command("train", *QUICK, *words, "name=mine", "resume=auto", "trainer.max_steps=6").code == 0
    well = command("doctor", "run=outputs/mine", "intervals=2")
    assert (well.code, well.err) == (0, "")
    assert well.out.splitlines()[0] == "outputs/mine: finished; 2 of 3 stretches"
    assert well.out.count("the same, bit for bit") == 2

    import torch

    path = workdir / "outputs" / "mine" / "checkpoints" / "step_000004.ckpt"
    (workdir / "outputs" / "mine" / "checkpoints" / "previous.ckpt").unlink()  # the same step
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["generator.body.0.weight"][0, 0] += 1e-6
    torch.save(checkpoint, path)  # by somebody, with a digest that is right
    ill = command("doctor", "run=outputs/mine")
    assert ill.code == 1
    assert "steps 2 to 4 (step_000004.ckpt): DIFFERENT: 1 tensors, most of all state_dict.generator.body.0" in ill.out
    assert "steps 0 to 2 (step_000002.ckpt): the same" in ill.out
    assert "steps 4 to 6 (last.ckpt): DIFFERENT" in ill.out  # it begins with what was changed
    clocked = ["name=clocked", "resume=auto", "trainer.max_time=00:00:10:00", "optimizer.schedule=linear"]
    assert command("train", *QUICK, *clocked).code == 0
    assert "error: run=outputs/clocked: its rates followed the clock" in command("doctor", "run=outputs/clocked").err
    assert command("doctor", "run=nowhere").err == "error: run=nowhere: has no checkpoints to compare with\n"
