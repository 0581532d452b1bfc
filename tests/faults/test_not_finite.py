"""NaN in each loss and each gradient: the run stops, says where, and keeps what it had."""

import json
import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, companions, options
from torch import Tensor

from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.finite import not_finite
from dcgan.training.gan import GAN
from dcgan.training.objective import Objective, Outcome, Round

RUN = [*TINY, "metrics=none", "logger=none", "trainer.max_steps=12", "checkpoints.every=4", "name=N", "resume=auto"]
RUN += ["trainer.log_every_n_steps=1", "samples.every=100"]
STEP = 5  # in which it comes, the first being 0
OTHERS = [pytest.param(name, marks=pytest.mark.trials) for name in options("loss") if name != "non_saturating"]


def assert_stopped(result: Any, network: str) -> None:
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: step {STEP + 1}: ")
    assert network in line
    run = Path("outputs/N")
    assert json.loads((run / "status.json").read_text())["state"] == "failed"
    checkpoint = load_checkpoint(run / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == 4
    assert not_finite(checkpoint["state_dict"]) is None


@pytest.mark.fault("NaN in a loss")
@pytest.mark.parametrize("network", ["discriminator", "generator"])
@pytest.mark.parametrize("loss", ["non_saturating", *OTHERS])
def test_in_a_loss(
    loss: str, network: str, command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(Objective, network)

    def broken(self: Objective, discriminator: Any, given: Round, *, fake: Tensor) -> Outcome:
        outcome = real(self, discriminator, given, fake=fake)
        return outcome._replace(loss=outcome.loss * float("nan")) if given.step == STEP else outcome

    line = [*RUN, f"loss={loss}", *companions(f"loss={loss}")]
    monkeypatch.setattr(Objective, network, broken)
    assert_stopped(command("train", *line), network)
    monkeypatch.setattr(Objective, network, real)
    assert command("train", *line).code == 0  # the same line goes on


def break_gradients(monkeypatch: pytest.MonkeyPatch, index: int, value: float, *, steps: Container[int]) -> None:
    """Of the first weight of one network."""
    update = GAN._update

    def broken(self: GAN, player: int, outcome: Outcome) -> Outcome:
        if player != index or self.global_step not in steps:
            return update(self, player, outcome)
        weight = next(self.players[index].network.parameters())
        hook = weight.register_hook(lambda gradient: torch.full_like(gradient, value))
        try:
            return update(self, player, outcome)
        finally:
            hook.remove()

    monkeypatch.setattr(GAN, "_update", broken)


@pytest.mark.fault("NaN in a gradient")
@pytest.mark.parametrize("index", [0, pytest.param(1, marks=pytest.mark.trials)])
def test_in_a_gradient(index: int, command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_gradients(monkeypatch, index, float("nan"), steps=(STEP,))
    assert_stopped(command("train", *RUN), ("discriminator", "generator")[index])


HALF = [*TINY, "trainer.precision=16-mixed", "metrics=none", "logger=none"]


def test_updates_that_are_all_skipped(
    command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_gradients(monkeypatch, 1, float("inf"), steps=range(60))
    result = command("train", *HALF, "trainer.max_steps=60")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "gradients overflow in 16-mixed, which skips such updates (its scale fell to" in line
    assert "take trainer.precision=32-true or bf16-mixed, or lower penalty.gamma" in line


def test_a_run_too_short_for_its_scale_is_told_so(
    command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_gradients(monkeypatch, 1, float("inf"), steps=range(10))
    result = command("train", *HALF, "trainer.max_steps=10")
    assert result.code == 0
    words = re.escape(
        "or more updates in 10 steps were skipped, since their gradients overflowed; train longer, or take"
    )
    assert re.fullmatch(rf"note: trainer.precision=16-mixed: 1\d {words} 32-true or bf16-mixed\n", result.err)


@pytest.mark.fault("a clock that jumps")
@pytest.mark.parametrize("jump", [-86400.0, pytest.param(86400.0, marks=pytest.mark.trials)])
def test_a_clock_that_jumps(
    jump: float, command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    now, step = time.time, GAN.training_step

    def training_step(self: GAN, *given: Any) -> Any:
        if self.global_step == STEP:
            monkeypatch.setattr(time, "time", lambda: now() + jump)
        return step(self, *given)

    monkeypatch.setattr(GAN, "training_step", training_step)
    assert command("train", *RUN, "trainer.max_time=00:00:10:00").code == 0
    monkeypatch.undo()
    assert load_checkpoint(workdir / "outputs" / "N" / "checkpoints" / "last.ckpt")["global_step"] == 12
