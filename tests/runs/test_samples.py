import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import TINY, config
from torch import Tensor

from dcgan.models.base import Generator
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.samples import SampleGrids
from dcgan.training.build import build_gan
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


def test_the_second_process_estimates_the_statistics_with_the_first(tmp_path: Path) -> None:
    """With trainer.sync_batchnorm the first would wait there for it."""
    gan = build_gan(config("model.width=8"))
    strategy = SimpleNamespace(broadcast=lambda _: ("fid", {"fid": 1.0}))
    second = SimpleNamespace(global_step=2, max_steps=9, is_global_zero=False, strategy=strategy, loggers=[])
    grids = SampleGrids(tmp_path, every=2, n=4, seed=0, real=torch.zeros(4, 1, 28, 28))
    space: Any = SimpleNamespace(name="digits")
    nothing: Any = None
    evaluation = Evaluation(tmp_path, space=space, real=nothing, data=nothing, every=2, num_samples=4, seed=0)
    for callback in (grids, evaluation):
        gan.ema._fitted = False
        callback.on_train_batch_end(second, gan)  # type: ignore[arg-type]
        assert gan.ema._fitted
    assert not [*tmp_path.iterdir()]
