"""That it learns: real MNIST, a minute of training, and a control that must fail the same bound."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import printed_run
from torch import Tensor

from dcgan.training import ema
from dcgan.training.losses import NonSaturating

BOUND = 40.0  # FID of 2,000 samples: 22, and 114 with the flipped sign; untrained 1,500, real images 0.9


@pytest.fixture(autouse=True)
def as_many_samples_as_users_have(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """For the average's statistics, where ``command`` is content with a few."""
    monkeypatch.setattr(ema, "FIT_BATCHES", 80)


def last_fid(command: Callable[..., Any], *words: str) -> float:
    words = (*words, "samples.every=1000", "checkpoints.every=1000", "logger=none", "trainer.gpus=0")
    result = command("train", *words, "trainer.enable_progress_bar=false")
    assert result.code == 0, result.err
    *_, line = (Path(printed_run(result.out)) / "metrics.jsonl").read_text().splitlines()
    return float(json.loads(line)["value"])


def fid_after_150_steps(command: Callable[..., Any]) -> float:
    return last_fid(command, "experiment=quick", "trainer.max_steps=150", "metrics.every=150")


def test_quick_learns_and_with_a_flipped_sign_it_does_not(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fid_after_150_steps(command) < BOUND
    right = NonSaturating.generator

    def flipped(self: NonSaturating, *, real: Tensor, fake: Tensor) -> Tensor:
        return -right(self, real=real, fake=fake)

    monkeypatch.setattr(NonSaturating, "generator", flipped)
    assert fid_after_150_steps(command) > 2 * BOUND


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_defaults_learn(command: Callable[..., Any], seed: int) -> None:
    """Most starts do without a warm-up too: this guards the recipe, not the warm-up."""
    words = ["trainer.max_epochs=2", "metrics.every=468"]
    assert last_fid(command, "model=dcgan", f"seed={seed}", *words) < BOUND
