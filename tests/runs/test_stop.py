"""What a run does when it is told to stop."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import TINY, config, printed_run
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Timer

from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.run import build_run
from dcgan.runs.stop import STOP_SIGNALS, GracefulStop, TimeLimit, leave
from dcgan.shell import slurm
from dcgan.shell.resume import NothingLeftError

TRAINER: Any = SimpleNamespace(world_size=1, should_stop=False)


def unheard(*_: Any) -> None:
    raise AssertionError("nobody listened")


@pytest.fixture
def stop() -> Iterator[GracefulStop]:
    before = {number: signal.getsignal(number) for number in {*STOP_SIGNALS, *slurm.WARNINGS}}
    signal.signal(signal.SIGHUP, unheard)
    for number in slurm.WARNINGS:
        signal.signal(number, signal.SIG_DFL)
    yield GracefulStop()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_closed_terminal_is_heard_and_said_twice_is_no_impatience(stop: GracefulStop) -> None:
    """The shell sends one, the kernel another."""
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    assert stop.heard == signal.SIGHUP
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGHUP) == unheard


def test_under_nohup_a_closed_terminal_stays_ignored(stop: GracefulStop) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGHUP)
    assert stop.received is None
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("number", slurm.WARNINGS)
def test_the_scheduler_is_heard_only_in_a_job(
    number: signal.Signals, stop: GracefulStop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    assert signal.getsignal(number) == signal.SIG_DFL
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    signal.raise_signal(number)
    signal.raise_signal(number)  # no impatience: the script may pass on what its steps have got
    assert stop.heard == number
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]
    assert signal.getsignal(number) == signal.SIG_DFL


def test_what_another_program_hears_in_a_job_stays_its_own(stop: GracefulStop, monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit requeues by itself."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    signal.signal(signal.SIGUSR2, unheard)
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGUSR2) == unheard
    assert signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]


def several(asked: list[int], others: int) -> Any:
    """A trainer of two processes, of which the other is told ``others`` at step 5."""

    def reduce(mine: torch.Tensor, *, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "max"
        asked.append(trainer.global_step)
        return mine.clamp(min=others if trainer.global_step >= 5 else 0)

    strategy = SimpleNamespace(reduce=reduce, root_device="cpu")
    trainer = SimpleNamespace(world_size=2, should_stop=False, global_step=0, strategy=strategy)
    return trainer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_processes_ask_each_other_every_20_steps(number: signal.Signals, stop: GracefulStop) -> None:
    """The other one is told at step 5, and both stop at 20, told the same."""
    asked: list[int] = []
    trainer = several(asked, number)
    while not trainer.should_stop:
        trainer.global_step += 1
        stop.on_train_batch_end(trainer, None)  # type: ignore[arg-type]
    assert asked == [20]
    assert stop.received == number


@pytest.mark.parametrize(("world", "ended"), [(1, 7), (2, 20)])
def test_processes_ask_for_the_time_every_20_steps(world: int, ended: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is over at step 7."""
    asked: list[int] = []
    strategy = SimpleNamespace(broadcast=lambda over: asked.append(trainer.global_step) or over)
    trainer = SimpleNamespace(world_size=world, should_stop=False, global_step=0, strategy=strategy)
    monkeypatch.setattr(TimeLimit, "time_elapsed", lambda *_: 10.0 * trainer.global_step)
    limit = TimeLimit({"seconds": 70})
    while not trainer.should_stop:
        trainer.global_step += 1
        limit.on_train_batch_end(trainer)  # type: ignore[arg-type]
    assert trainer.global_step == ended
    assert asked == ([20] if world == 2 else [*range(1, 8)])
    assert limit.state_key == Timer.__qualname__


def test_what_is_saved_in_the_step_that_the_time_ends_in_says_so(mnist_root: Path, tmp_path: Path) -> None:
    """Else a run that is over would go on for a step when it is resumed."""
    words = ["trainer.max_time=00:00:00:09", "trainer.max_steps=-1", "metrics=none", "logger=none"]
    order = [type(one).__name__ for one in build_run(config(*words, root=mnist_root), tmp_path).trainer.callbacks]  # type: ignore[attr-defined]
    assert order.index("TimeLimit") < order.index("Checkpoints")


def test_a_stretch_may_be_trained_again_though_its_time_is_over(command: Any, workdir: Path) -> None:
    """``dcgan.doctor run=`` begins at checkpoints of a run whose last steps may take it past its limit."""
    words = ["trainer.max_time=00:00:00:01", "trainer.max_steps=-1", "metrics=none", "logger=none"]
    run = Path(printed_run(command("train", *TINY, *words).out))
    again = config(*words, f"resume={run}", root=os.environ["DCGAN_DATA"])
    with pytest.raises(NothingLeftError, match="at the end of trainer.max_time=00:00:00:01"):
        build_run(again, run)
    last = run / "checkpoints" / "last.ckpt"
    assert build_run(again, run, start=last).first_step == load_checkpoint(last)["global_step"]


def test_a_signal_that_another_process_had_first_is_no_impatience(stop: GracefulStop) -> None:
    """A scheduler tells all of them, and a terminal all of a group; they do not hear it at once."""
    trainer = several([], signal.SIGTERM)
    stop.on_train_start(trainer, None)  # type: ignore[arg-type]
    trainer.global_step = 20
    stop.on_train_batch_end(trainer, None)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    stop.on_train_end(trainer, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rank", "environment", "code"),
    [(0, LightningEnvironment, 143), (1, LightningEnvironment, 0), (1, TorchElasticEnvironment, 143)],
)
def test_processes_end_together_and_lightnings_children_as_if_all_were_well(
    rank: int, environment: type, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    monkeypatch.setattr("dcgan.runs.stop.queue_again", lambda told: did.append("asked"))
    strategy = SimpleNamespace(barrier=lambda: did.append("waited"), cluster_environment=environment())
    with pytest.raises(SystemExit) as raised:
        leave(SimpleNamespace(is_global_zero=rank == 0, local_rank=rank, strategy=strategy), signal.SIGTERM)  # type: ignore[arg-type]
    assert raised.value.code == code
    assert did == ["asked", "waited"][rank:]


# What `scontrol show job` says (22.05), found in tests/cluster.
RUNNING, OVER = "JobState=RUNNING Reason=None", "JobState=COMPLETING Reason=None"
PREEMPTED, NOT = "PreemptEligibleTime=2026-11-29T14:16:48 PreemptTime=2026-11-29T14:16:52", "PreemptTime=None"


@pytest.mark.parametrize(
    ("told", "job", "again"),
    [
        (signal.SIGTERM, f"{RUNNING} {PREEMPTED}", True),
        (signal.SIGTERM, f"{OVER} {PREEMPTED}", False),  # its grace is over: SLURM has requeued it
        (signal.SIGTERM, f"{OVER} {NOT}", False),  # scancel, or the time limit
        (signal.SIGTERM, f"{RUNNING} {NOT}", False),  # scancel --signal=TERM
        (signal.SIGUSR1, f"{RUNNING} {NOT}", True),
        (signal.SIGUSR2, RUNNING, True),  # where nothing preempts
        (signal.SIGUSR1, f"{OVER} {NOT}", False),  # scancel while it saved
        (signal.SIGINT, f"{RUNNING} {PREEMPTED}", False),
        (signal.SIGUSR1, "scontrol: [Errno 2] No such file or directory: 'scontrol'", False),
    ],
)
def test_which_jobs_are_queued_again(told: signal.Signals, job: str, again: bool) -> None:
    assert slurm.wanted(told, job) is again


@pytest.mark.parametrize(("refused", "line"), [("", "is queued again"), ("no", "is not queued again: no")])
def test_what_is_asked_of_slurm(
    refused: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def scontrol(*words: str) -> str:
        asked.append(words)
        return RUNNING if words[0] == "show" else refused

    monkeypatch.setattr(slurm, "_scontrol", scontrol)
    slurm.queue_again(signal.SIGUSR1)
    assert asked == []  # in no job
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    slurm.queue_again(signal.SIGUSR1)
    assert asked == [("show", "job", "17"), ("requeue", "17")]
    assert capsys.readouterr().err == f"SLURM: job 17 {line}\n"


def test_a_job_told_before_it_trains_is_queued_again(stop: GracefulStop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would count as FAILED, and stay so."""
    told: list[signal.Signals] = []
    monkeypatch.setattr(slurm, "queue_again", told.append)
    slurm.listen()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    slurm.listen()
    with pytest.raises(SystemExit, match="143"):
        signal.raise_signal(signal.SIGTERM)
    assert told == [signal.SIGTERM]
    signal.raise_signal(signal.SIGTERM)  # of SLURM's own end, while it ends


def test_training_takes_over_what_was_heard_before(stop: GracefulStop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    slurm.listen()
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGUSR1)
    assert stop.heard == signal.SIGUSR1
    stop.on_train_end(TRAINER, None)  # type: ignore[arg-type]
