import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import TINY
from torch import Tensor

from dcgan.models.base import Generator
from dcgan.training.ema import fit_statistics

SELDOM = ["samples.every=100", "checkpoints.every=100", "metrics.every=100", "metrics.num_samples=60"]


@pytest.mark.parametrize("often", ["samples.every=2", "metrics.every=2"])
def test_whatever_is_drawn_while_training_has_the_statistics_of_its_weights(
    often: str, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, sample = [], Generator.sample

    def recording(self: Generator, **words: Any) -> Tensor:
        again = copy.deepcopy(self)
        fit_statistics(again, seed=0)
        drawn.append(all(map(torch.equal, self.buffers(), again.buffers())))
        return sample(self, **words)

    monkeypatch.setattr(Generator, "sample", recording)
    result = command("train", *TINY, *SELDOM, often, "trainer.max_steps=5", "logger=none")
    assert result.code == 0, result.err
    assert drawn == [True] * 5
