"""A loss, a penalty, a model, a data set and a metric, added from outside, through the public tables alone."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from conftest import TINY, Result, printed_run
from torch import Tensor, nn

from dcgan.config.catalogue import CATALOGUE, DataSet
from dcgan.config.options import GROUPS, Model, Option, Penalty
from dcgan.config.rules import at_least
from dcgan.data.readers import READERS
from dcgan.metrics.bootstrap import Estimate, mean
from dcgan.metrics.measure import METRICS, Compared
from dcgan.models import MODELS
from dcgan.models.base import Discriminator, Generator, Pair, Shape, Verdict
from dcgan.models.mlp import MLPDiscriminator
from dcgan.training.losses import LOSSES
from dcgan.training.penalties import PENALTIES, gradients

Add = Callable[[str, str], None]


@pytest.fixture
def add(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Write a YAML file of an option beside conf/; what the test puts into the tables is taken out again."""
    folder = tmp_path_factory.mktemp("conf")
    tables: list[dict[str, Any]] = [LOSSES, PENALTIES, MODELS, CATALOGUE, READERS, METRICS]
    tables += [GROUPS[group].own for group in ("loss", "penalty", "model")]
    before = [dict(table) for table in tables]
    monkeypatch.setenv("ADDED", f"hydra.searchpath=[file://{folder}]")

    def write(option: str, text: str) -> None:
        path = folder / f"{option}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    yield write
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


@pytest.fixture
def trains(command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    def run(*words: str) -> Path:
        import os

        result = command("train", os.environ["ADDED"], *TINY, "metrics=none", "trainer.max_steps=2", *words)
        assert result.code == 0, result.err
        return Path(printed_run(result.out))

    return run


def test_a_loss_with_a_key(add: Add, trains: Callable[..., Path], command: Callable[..., Result]) -> None:
    @dataclass
    class MarginOption(Option):
        margin: Annotated[int, at_least(1)] = 1

    class Margin:
        relativistic = False

        def __init__(self, *, margin: int) -> None:
            self.margin = margin

        def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
            return (self.margin - real).relu().mean() + (self.margin + fake).relu().mean()

        def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
            return -fake.mean()

    LOSSES["margin"], GROUPS["loss"].own["margin"] = Margin, MarginOption
    add("loss/margin", "name: margin\nmargin: 2\n")
    run = trains("loss=margin", "loss.margin=3")
    assert "margin: 3" in (run / "config.yaml").read_text()
    with pytest.raises(AssertionError, match=r"loss.margin=0: must be at least 1"):
        trains("loss=margin", "loss.margin=0")
    result = command("train", *TINY, "loss.margin=3")
    assert result.err.startswith("error: loss.margin=3: loss=non_saturating has no use for it, only margin; leave it")


def test_a_penalty(add: Add, trains: Callable[..., Path]) -> None:
    asked = []

    def l1(discriminator: Any, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Any) -> Tensor:
        asked.append(len(real))
        return gradients(discriminator, real, labels).abs().sum(1).mean()

    PENALTIES["l1"] = l1
    add("penalty/l1", "name: l1\ngamma: 0.5\n")
    trains("penalty=l1", "model.discriminator.norm=layer")
    assert asked == [16, 16]


def test_a_penalty_with_a_key(add: Add, trains: Callable[..., Path]) -> None:
    @dataclass
    class TargetOption(Penalty):
        target: float = 1.0

    asked = []

    def to_target(discriminator: Any, *, target: float, real: Tensor, labels: Tensor | None, **_: Any) -> Tensor:
        asked.append(target)
        return (gradients(discriminator, real, labels).norm(dim=1) - target).square().mean()

    PENALTIES["to_target"], GROUPS["penalty"].own["to_target"] = to_target, TargetOption
    add("penalty/to_target", "name: to_target\ngamma: 1.0\ntarget: 0.5\n")
    trains("penalty=to_target", "model.discriminator.norm=layer")
    assert asked == [0.5, 0.5]


def test_a_model(add: Add, trains: Callable[..., Path], command: Callable[..., Result]) -> None:
    @dataclass
    class LinearOption(Option):
        latent_dim: int = 8

    class LinearGenerator(Generator):
        def __init__(self, model: LinearOption, shape: Shape) -> None:
            super().__init__(latent_dim=model.latent_dim)
            images = (shape.channels, shape.resolution, shape.resolution)
            self.body = nn.Sequential(
                nn.Linear(model.latent_dim, math.prod(images)), nn.Tanh(), nn.Unflatten(1, images)
            )

        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            return self.body(latents)

    judge = Model("mlp", width=4, latent_dim=8, depth=1)
    MODELS["linear"] = Pair(LinearGenerator, lambda model, shape: MLPDiscriminator(judge, shape))
    GROUPS["model"].own["linear"] = LinearOption
    add("model/linear", "name: linear\nlatent_dim: 8\n")
    import os

    words = [word for word in TINY if not word.startswith("model.")]
    result = command("train", os.environ["ADDED"], *words, "model=linear", "metrics=none", "trainer.max_steps=2")
    assert result.code == 0, result.err
    drawn = command("generate", f"run={printed_run(result.out)}", "n=4")
    assert drawn.code == 0, drawn.err
    refused = command("train", os.environ["ADDED"], *words, "model=linear", "model.conditional=true")
    assert refused.err.startswith("error: model.conditional=true: model=linear has no use for it, only dcgan, mlp,")
    refused = command("train", os.environ["ADDED"], *words, "model=linear", "model.generator.norm=layer")
    assert "model=linear has no use for it, only dcgan, mlp, resnet" in refused.err


@pytest.mark.parametrize("words", [[], ["penalty=r1"], ["augment=diffaugment", "augment.consistency=1", "d_steps=2"]])
def test_a_model_whose_discriminator_is_one_function(
    words: list[str], add: Add, command: Callable[..., Result]
) -> None:
    """No ``body`` and no ``head``: nothing but what ``Discriminator`` promises."""
    import os

    class Judge(Discriminator):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.full((28 * 28,), 0.01))

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
            return Verdict(images.flatten(1) @ self.weights)

    class Drawer(Generator):
        def __init__(self) -> None:
            super().__init__(latent_dim=4)
            self.weights = nn.Parameter(torch.full((4, 28 * 28), 0.01))

        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            return (latents @ self.weights).tanh().view(-1, 1, 28, 28)

    MODELS["bare"] = Pair(lambda model, shape: Drawer(), lambda model, shape: Judge())
    GROUPS["model"].own["bare"] = Option
    add("model/bare", "name: bare\n")
    usual = [word for word in TINY if not word.startswith("model.")]
    trained = command("train", os.environ["ADDED"], *usual, "model=bare", "metrics=none", "trainer.max_steps=2", *words)
    assert trained.code == 0, trained.err
    assert command("generate", f"run={printed_run(trained.out)}", "n=2").code == 0
    assert command("train", f"resume={printed_run(trained.out)}", "trainer.max_steps=3").code == 0


def test_a_data_set(add: Add, trains: Callable[..., Path]) -> None:
    def squares(name: str, root: Path, *, split: str) -> tuple[Tensor, Tensor]:
        sizes = torch.arange(200) % 3
        images = torch.zeros(200, 1, 28, 28, dtype=torch.uint8)
        for image, size in zip(images, sizes, strict=True):
            image[:, 4 : 10 + 6 * size, 4 : 10 + 6 * size] = 255
        return images, sizes

    READERS["squares"] = squares
    CATALOGUE["squares"] = DataSet(channels=1, num_classes=3, space="inception", reader="squares")
    add("data/squares", "name: squares\nroot: nowhere\nbatch_size: 16\nresolution: 28\nchannels: 1\n")
    run = trains("data=squares", "model.conditional=true")
    assert (run / "samples" / "real.png").is_file()


def test_a_metric(add: Add, trains: Callable[..., Path], command: Callable[..., Result]) -> None:
    def spread(compared: Compared) -> Estimate:
        return mean(compared.features.std(1), compared.weights)

    METRICS["spread"] = spread
    run = trains()
    result = command("evaluate", f"run={run}", "num_samples=60")
    assert result.code == 0, result.err
    assert "spread_digits_test_60" in result.out
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert record["measures"]["spread"]["low"] < record["measures"]["spread"]["value"]
