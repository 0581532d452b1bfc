"""A run that does badly: what it says, where that is kept, and what ``health=act`` does. Its looks are made up."""

import dataclasses
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import TINY, Result
from lightning.pytorch.callbacks import timer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_diagnosis import AGAINST, WELL

from dcgan.runs import monitor, rollback
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.diagnosis import Diagnosis
from dcgan.runs.monitor import rates_of
from dcgan.runs.signals import Probe, Signals
from dcgan.runs.signs import STATES, Bounds
from dcgan.shell.status import read_status

Command = Callable[..., Result]
RUN = [*TINY, "model.generator.norm=none", "metrics=none", "logger=none", "checkpoints.every=3", "samples.every=4"]
RUN += ["health.every=2", "health.patience=2", "trainer.max_steps=14", "name=N", "resume=auto"]
ACT = [*RUN, "health=act", "health.action=rollback"]
LINE = (
    "since step {}: in 100.0% of pairs D ranks the real image above the fake (99.5%); lower optimizer.discriminator.lr "
    "(now {}); see experiments/2026-11-30_failures/README.md"
)
Ill = Callable[[int, dict[str, float]], bool]  # of a step and the rates of that time


@pytest.fixture
def ill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have every look be against the run where ``when`` says so, and otherwise not."""
    look = Probe.look
    monkeypatch.setattr(monitor, "Diagnosis", partial(Diagnosis, bounds=Bounds(warmup=0)))

    def plant(when: Ill, state: str = "discriminator_won") -> None:
        def planted(self: Probe, trainer: Any, gan: Any, **more: Any) -> Signals:
            seen = look(self, trainer, gan, **more)
            against = AGAINST[state] if when(seen.step, rates_of(trainer)) else {}
            return dataclasses.replace(seen, **WELL | against)

        monkeypatch.setattr(Probe, "look", planted)

    return plant


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_it_says_what_goes_wrong_once_and_when_it_is_over(ill: Any, command: Command, workdir: Path) -> None:
    run, told = workdir / "outputs" / "N", dict[int, Any]()

    def when(step: int, rates: dict[str, float]) -> bool:
        told[step] = read_status(run).get("health", {}).get("state")
        return 5 <= step <= 10

    ill(when)
    result = command("train", *RUN, "logger=tensorboard", "trainer.max_steps=8")
    assert (result.code, result.err) == (0, f"health: discriminator won {LINE.format(5, 0.002)}\n")
    health = read_status(run)["health"]
    assert (health["state"], health["since"], health["knob"]) == (
        "discriminator_won",
        5,
        "lower optimizer.discriminator.lr (now 0.002)",
    )
    again = command("train", *RUN, "logger=tensorboard")
    assert [told[step] for step in (8, 10, 12, 14)] == [None, None, "discriminator_won", "discriminator_won"]
    assert again.err == "health: well again at step 14 (discriminator_won since step 5 is over)\n"
    assert read_status(run)["health"] == {"state": "healthy", "since": 14}
    events = EventAccumulator(str(run)).Reload()
    drawn = {event.step: STATES[int(event.value)] for event in events.Scalars("health/state")}
    assert [step for step, state in drawn.items() if state != "healthy"] == [8, 10, 12]
    assert {tag for tag in events.Tags()["scalars"] if tag.startswith("health/")} == {
        f"health/{name}" for name in ("ordered", "recognised", "rank", "spread", "moved", "distance", "state")
    }


def test_the_bar_and_the_table_of_a_sweep_show_it(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: step > 4)
    result = command("train", "-m", *RUN, "trainer.enable_progress_bar=true", "health=on,off")
    assert result.code == 0, result.err
    assert "step/s, discriminator won since step 5  D " in result.err
    (on,), (off,) = (
        [line for line in result.out.splitlines() if f" N_health-{name}  " in line] for name in ("on", "off")
    )
    assert on.endswith("  discriminator won since step 5")
    assert off.startswith("  finished ")
    assert "discriminator" not in off


def test_a_run_is_stopped_and_keeps_what_was_well(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: step > 6)
    result = command("train", *RUN, "health=act")
    assert result.code == 1
    said, stopped = result.err.splitlines()
    assert said == f"health: discriminator won {LINE.format(7, 0.002)}"
    assert stopped.startswith("error: step 10: discriminator won since step 7: ")
    status = read_status(workdir / "outputs" / "N")
    assert (status["state"], status["health"]["since"]) == ("failed", 7)
    (kept,) = (workdir / "outputs" / "N" / "checkpoints").glob("healthy_*")
    assert load_checkpoint(kept / "last.ckpt")["global_step"] == 6  # of 3, 6 and 9, the newest before it went wrong
    ill(lambda step, rates: step > 6 and rates["discriminator"] > 0.001)
    again = command("train", *stopped.rpartition("python -m dcgan.train ")[2].split(), "trainer.max_steps=14")
    assert again.code == 0, again.err
    assert read_status(workdir / "outputs" / "N")["rollbacks"][0]["back_to"] == 6


def test_what_goes_wrong_from_the_start_goes_back_to_it(
    ill: Any, command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its warm-up nothing is held against a run: no checkpoint of it is known to be well."""
    ill(lambda step, rates: step > 8 and rates["discriminator"] > 0.001)
    monkeypatch.setattr(monitor, "Diagnosis", partial(Diagnosis, bounds=Bounds(warmup=8)))
    result = command("train", *ACT)
    assert result.code == 0, result.err
    assert "health: step 12: back to step 0, at half optimizer.discriminator.lr (1 of 3; branches/1)\n" in result.err


def test_it_goes_back_at_half_the_rate_and_the_folder_reads_as_one_run(
    ill: Any, command: Command, workdir: Path
) -> None:
    """And so does a run that is resumed."""
    ill(lambda step, rates: step > 6 and rates["discriminator"] > 0.001)
    evaluated = [*ACT, "metrics=digits", "metrics.every=4", "metrics.num_samples=20"]
    result = command("train", *evaluated)
    assert result.code == 0, result.err
    assert "health: step 10: back to step 6, at half optimizer.discriminator.lr (1 of 3; branches/1)\n" in result.err
    run = workdir / "outputs" / "N"
    status = read_status(run)
    assert (status["state"], status["health"]["state"]) == ("finished", "healthy")
    (taken,) = status["rollbacks"]
    assert (taken["state"], taken["since"], taken["at"], taken["back_to"]) == ("discriminator_won", 7, 10, 6)
    assert steps(run / "metrics.jsonl") == [4, 8, 12, 14]
    assert steps(run / "branches" / "1" / "metrics.jsonl") == [8]
    assert load_checkpoint(run / "branches" / "1" / "last.ckpt")["global_step"] == 9
    assert (run / "branches" / "1" / "step_000008.png").exists()
    assert command("train", *evaluated, "trainer.max_steps=16").code == 0
    for name, rate in (("last", 0.001), ("previous", 0.001)):
        rates = [
            one["param_groups"][0] for one in load_checkpoint(run / "checkpoints" / f"{name}.ckpt")["optimizer_states"]
        ]
        assert [group["initial_lr"] for group in rates] == [rate, 0.002]
    assert "lr: 0.002" in (run / "config.yaml").read_text()
    assert steps(run / "metrics.jsonl") == [4, 8, 12, 14, 16]


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_the_time_of_what_is_taken_back_is_over(
    ill: Any, command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def when(step: int, rates: dict[str, float]) -> bool:
        clock[0] += 100
        return step > 6 and rates["discriminator"] > 0.001

    ill(when)
    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    result = command("train", *ACT, "trainer.max_time=00:01:00:00")
    assert result.code == 0, result.err
    assert "health: step 10: back to step 6" in result.err
    state = load_checkpoint(workdir / "outputs" / "N" / "checkpoints" / "last.ckpt")["callbacks"]["Timer"]
    assert state["time_elapsed"]["train"] >= 500 + 300  # looks at 2 to 10; then at 8, 10 and 12


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_it_goes_back_so_often_and_no_more(ill: Any, command: Command, workdir: Path) -> None:
    """From the beginning, where there is no other checkpoint; rates are halved each time."""
    ill(lambda step, rates: True)
    result = command("train", *ACT, "health.rollbacks=2", "checkpoints.every=100")
    assert result.code == 1
    assert result.err.splitlines()[-1].endswith("; stopped by health=act; health.rollbacks=2 were taken")
    assert result.err.count("back to step 0, at half") == 2
    assert f"discriminator won {LINE.format(1, 0.0005)}" in result.err
    assert len(read_status(workdir / "outputs" / "N")["rollbacks"]) == 2
    assert command("train", *ACT, "health.rollbacks=2", "checkpoints.every=100").code == 1  # it remembers


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_a_run_that_is_not_finite_goes_back_too(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: False)
    words = [
        "optimizer=sgd",
        "loss=least_squares",
        "optimizer.lr=1e4",
        "health.rollbacks=1",
        "trainer.log_every_n_steps=1",
    ]
    result = command("train", *ACT, *words)
    assert result.code == 1
    assert "; back to step 0, at half optimizer." in result.err
    status = read_status(workdir / "outputs" / "N")
    assert status["rollbacks"][0]["state"] == status["health"]["state"] == "diverging"


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_a_process_that_dies_while_it_goes_back_goes_back_again(
    ill: Any, command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill(lambda step, rates: step > 6 and rates["discriminator"] > 0.001)

    def fail() -> None:
        raise OSError("gone")

    evaluated = [*ACT, "metrics=digits", "metrics.every=4", "metrics.num_samples=20"]
    run = workdir / "outputs" / "N"
    with monkeypatch.context() as patch:
        patch.setattr(rollback, "AtomicCheckpointIO", fail)
        assert command("train", *evaluated).err.endswith("; cannot go back: gone\n")
    best = load_checkpoint(run / "branches" / "1" / "best.ckpt")["global_step"]
    assert command("train", *evaluated).code == 0
    assert load_checkpoint(run / "branches" / "1" / "best.ckpt")["global_step"] == best == 8
    assert len(read_status(run)["rollbacks"]) == 1


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_rates_that_were_lowered_are_remembered_where_nobody_acts(ill: Any, command: Command, workdir: Path) -> None:
    """A run goes on with ``health=on``, and then acts again; one that began with it goes back as well."""
    ill(lambda step, rates: step > 6 and rates["discriminator"] > 0.001)
    assert command("train", *ACT).code == 0
    run = workdir / "outputs" / "N"
    assert command("train", *RUN, "health=on", "trainer.max_steps=20").code == 0
    assert len(read_status(run)["rollbacks"]) == 1
    ill(lambda step, rates: step > 22 and rates["discriminator"] > 0.0005)
    result = command("train", *ACT, "trainer.max_steps=30")
    assert result.code == 0, result.err
    assert "at half optimizer.discriminator.lr (2 of 3; branches/2)" in result.err
    ill(lambda step, rates: False)
    off = [word for word in RUN if not word.startswith(("health.", "name="))]
    assert command("train", *off, "health=off", "name=late", "trainer.max_steps=7").code == 0
    ill(lambda step, rates: step > 9 and rates["discriminator"] > 0.001)
    late = [word for word in ACT if word != "name=N"]
    result = command("train", *late, "name=late")
    assert result.code == 0, result.err
    assert "back to step 6, at half" in result.err or "back to step 7, at half" in result.err


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_what_cannot_go_back_says_why_it_failed_and_why_not(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: step > 6)
    assert command("train", *RUN, "health=act").code == 1
    run = workdir / "outputs" / "N"
    (there,) = (run / "checkpoints").glob("healthy_*")
    (run / "checkpoints" / "healthy_old").mkdir()  # a person's
    (there / "last.ckpt").write_bytes(b"half of a file")
    result = command("train", *ACT)
    assert result.code == 1
    line = result.err.splitlines()[-1]
    assert re.search(r"discriminator won since step 7: .*; cannot go back: .*/last.ckpt is not a", line), line
    shutil.rmtree(there)
    assert command("train", *ACT).err.splitlines()[-1].endswith("; no checkpoint was kept to go back to")


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, taken back")
def test_a_run_that_is_told_to_stop_stops(
    ill: Any, command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the step in which it would have gone back, which it does when it goes on."""

    def when(step: int, rates: dict[str, float]) -> bool:
        if step == 8 and rates["discriminator"] > 0.001:
            os.kill(os.getpid(), signal.SIGTERM)
        return step > 4 and rates["discriminator"] > 0.001

    ill(when)
    assert command("train", *ACT).code == 143
    assert read_status(workdir / "outputs" / "N")["state"] == "interrupted"
    ill(lambda step, rates: step > 4 and rates["discriminator"] > 0.001)
    again = command("train", *ACT)
    assert again.code == 0
    assert "at half optimizer.discriminator.lr (1 of 3; branches/1)" in again.err


def test_a_run_that_was_taken_back_is_well_while_it_runs(ill: Any, command: Command, workdir: Path) -> None:
    run, told = workdir / "outputs" / "N", dict[int, Any]()

    def when(step: int, rates: dict[str, float]) -> bool:
        told[step] = read_status(run)
        return step > 6 and rates["discriminator"] > 0.001

    ill(when)
    assert command("train", *ACT).code == 0
    assert "health" not in told[14] or told[14]["health"]["state"] == "healthy"
    assert (told[14]["state"], told[14]["rollbacks"][0]["back_to"]) == ("running", 6)


def test_a_look_knows_how_far_the_rate_has_fallen(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, rates = Probe.look, dict[int, float]()

    def kept(self: Probe, *given: Any, **more: Any) -> Signals:
        seen = look(self, *given, **more)
        rates[seen.step] = seen.rate
        return seen

    monkeypatch.setattr(Probe, "look", kept)
    words = ["optimizer.schedule=linear", "optimizer.warmup=4", "trainer.max_steps=14"]
    assert command("train", *RUN, *words).code == 0
    assert rates == pytest.approx({2: 0.5, 4: 1.0, 6: 0.9, 8: 0.7, 10: 0.5, 12: 0.3, 14: 0.1})


def test_what_stopped_a_job_of_a_sweep_stays_known(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: step > 6)
    words = [word for word in RUN if word not in ("name=N", "resume=auto")]
    command("train", "-m", *words, "health=act", "seed=0")
    (status,) = (read_status(path.parent) for path in Path().rglob("status.json"))
    assert (status["state"], status["health"]["state"]) == ("failed", "discriminator_won")


def test_nothing_is_done_by_what_the_test_split_shows(ill: Any, command: Command, workdir: Path) -> None:
    ill(lambda step, rates: True, "memorising")
    result = command("train", *RUN, "health=act")
    assert result.code == 0
    assert result.err.startswith("health: memorising since step 1: ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["health=act", "trainer.enable_checkpointing=false", "resume=null"],
            "health=act: keeps what was well in check",
        ),
        (["health=act", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.gpus=auto"], "health=act: is of one"),
    ],
)
def test_what_it_cannot_act_on_is_refused(words: list[str], line: str, command: Command, workdir: Path) -> None:
    result = command("train", *RUN, *words)
    assert (result.code, result.err[: len(line) + 7]) == (1, f"error: {line}")
