"""What a run does when it is told to stop."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dcgan.runs.stop import STOP_SIGNALS, GracefulStop

TRAINER: Any = SimpleNamespace(world_size=1, should_stop=False)


def unheard(*_: Any) -> None:
    raise AssertionError("nobody listened")


@pytest.fixture
def stop() -> Iterator[GracefulStop]:
    before = {number: signal.getsignal(number) for number in {*STOP_SIGNALS, signal.SIGHUP}}
    signal.signal(signal.SIGHUP, unheard)
    yield GracefulStop()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_closed_terminal_is_heard_and_said_twice_is_no_impatience(stop: GracefulStop) -> None:
    """The shell sends one, the kernel another."""
    stop.on_train_start(TRAINER, None)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    assert stop.received == signal.SIGHUP
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


def test_processes_ask_each_other_every_20_steps(stop: GracefulStop) -> None:
    """The other one is told at step 5, and both stop at 20."""
    asked: list[int] = []

    def reduce(mine: bool, *, all: bool) -> bool:
        asked.append(trainer.global_step)
        return mine or trainer.global_step >= 5

    strategy = SimpleNamespace(reduce_boolean_decision=reduce)
    trainer: Any = SimpleNamespace(world_size=2, should_stop=False, global_step=0, strategy=strategy)
    while not trainer.should_stop:
        trainer.global_step += 1
        stop.on_train_batch_end(trainer, None)  # type: ignore[arg-type]
    assert asked == [20]
    assert stop.received == signal.SIGTERM
