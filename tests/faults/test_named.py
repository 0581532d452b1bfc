"""Runs that go wrong for a reason that a person could have typed, each of under a minute: the monitor names it.

And over the first steps of every recipe it says nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import companions, composed, options
from PIL import Image
from torch import Tensor

from dcgan.data.module import ImageData
from dcgan.data.readers import read
from dcgan.shell.status import read_status

SHORT = ["trainer.gpus=0", "trainer.enable_progress_bar=false", "samples.every=100000", "checkpoints.every=100000"]
SHORT += ["metrics.every=100000", "logger=none", "name=N", "resume=auto"]
RUN = [*SHORT, "model=mlp", "data.batch_size=64", "optimizer.schedule=constant", "trainer.precision=32-true"]
RUN += [
    "ema.half_life=0",
    "optimizer.warmup=0",
    "metrics.num_samples=100",
    "optimizer.generator.lr=1e-3",
    "optimizer.discriminator.lr=5e-4",
]

CONVOLUTIONS = ["model=dcgan", "model.width=8", "model.dense_units=128"]
CONVOLUTIONS += ["optimizer.generator.lr=2e-3", "optimizer.discriminator.lr=2e-3"]


def assert_says(result: Any, state: str) -> None:
    """In the first line, whatever became of it then."""
    first, *_ = [line for line in result.err.splitlines() if line.startswith("health:")] or [result.err]
    assert first.startswith(f"health: {state} since step "), result.err


@pytest.fixture
def few(tmp_path_factory: pytest.TempPathFactory, mnist_root: Path) -> Path:
    """200 digits to train on, and as many others."""
    folder = tmp_path_factory.mktemp("few")
    for split in ("train", "test"):
        (folder / split).mkdir()
        for number, image in enumerate(read("mnist", mnist_root, split=split)[0][:200]):
            Image.fromarray(image[0].numpy()).save(folder / split / f"{number}.png")
    return folder


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, named")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("discriminator won", ["optimizer.generator.lr=1e-6"]),
        ("discriminator blind", ["optimizer.discriminator.lr=1e-9"]),
        ("not learning", ["optimizer.generator.lr=1e-9", "optimizer.discriminator.lr=1e-9"]),
        ("sample collapse", [*CONVOLUTIONS, "model.conditional=true", "model.latent_dim=1"]),
        ("diverging", ["loss=wasserstein", "loss.weight_clip=10", "optimizer.discriminator.lr=2e-2"]),
        ("memorising", [*CONVOLUTIONS, "data=folder", "data.folder={few}", "metrics=none"]),
    ],
)
def test_the_cause_is_named(
    state: str, words: list[str], few: Path, command: Callable[..., Any], workdir: Path
) -> None:
    words = [*RUN, *(word.format(few=few) for word in words)]
    words = [word for word in words if not ("metrics=none" in words and word.startswith("metrics."))]
    assert_says(command("train", *words, "trainer.max_steps=600"), state)


@pytest.mark.trials
@pytest.mark.fault("a run that goes wrong, named")
def test_a_run_that_is_shown_two_classes_only_from_some_step_on_loses_the_others(
    command: Callable[..., Any], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of data that are not shuffled."""
    gather = ImageData.transfer_batch_to_device

    def of_two_classes(self: ImageData, batch: Tensor, *given: Any) -> Any:
        assert self.trainer is not None
        if self.trainer.global_step >= 250:
            rows = (self.split("train").labels < 2).nonzero().flatten()
            batch = rows[batch % len(rows)]
        return gather(self, batch, *given)

    monkeypatch.setattr(ImageData, "transfer_batch_to_device", of_two_classes)
    assert_says(command("train", *RUN, *CONVOLUTIONS, "model.width=16", "trainer.max_steps=600"), "class collapse")


@pytest.mark.trials
@pytest.mark.fault("a healthy run: nothing is said of it")
@pytest.mark.parametrize("recipe", options("experiment"))
def test_over_the_first_500_steps_of_every_recipe_nothing_is_said(
    recipe: str, mnist_root: Path, command: Callable[..., Any], workdir: Path
) -> None:
    """Of 5,000 images of one's own; with 200 a discriminator does know them by heart."""
    own = []
    if companions(f"experiment={recipe}"):
        arrays = {split: read("mnist", mnist_root, split=split)[0][:5000].squeeze(1) for split in ("train", "test")}
        np.savez("own.npz", **{f"x_{split}": images.numpy() for split, images in arrays.items()})
        own = ["data.folder=own.npz", "metrics=none"]
    short = [word for word in SHORT if not (own and word.startswith("metrics."))]
    warmup = composed(f"experiment={recipe}").optimizer.warmup
    words = ["trainer.max_steps=500", "trainer.max_epochs=null", "optimizer.schedule=constant"]
    words += [f"optimizer.warmup={100 if warmup is None else warmup}"]  # that of a whole run
    result = command("train", f"experiment={recipe}", *short, *own, *words)
    assert result.code == 0, result.err
    assert "health:" not in result.err
    assert read_status(workdir / "outputs" / "N")["health"]["state"] == "healthy"
