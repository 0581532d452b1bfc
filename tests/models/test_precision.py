"""What float32 is computed in: the switches are there without a GPU too, and are looked at where they would matter."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from conftest import config
from lightning import Trainer
from lightning.fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.backends import cuda, cudnn
from torch.utils.data import DataLoader

from dcgan.data.latents import Draws, random_stream
from dcgan.features.spaces import FeatureSpace
from dcgan.models import precision
from dcgan.models.base import Discriminator, Generator, Verdict
from dcgan.models.precision import OPERATIONS, full_float32, without_tf32
from dcgan.runs.trainer import quiet_lightning
from dcgan.training.build import build_gan
from dcgan.training.losses import NonSaturating
from dcgan.training.objective import Objective, Round
from dcgan.training.penalties import PENALTIES


def switches() -> list[Any]:
    """All of them; where the older and the newer disagree PyTorch tells the newer only."""
    found: list[Any] = [operation.fp32_precision for operation in OPERATIONS]
    for older in (lambda: cudnn.allow_tf32, torch.get_float32_matmul_precision):
        try:
            found.append(older())
        except RuntimeError:
            found.append("disagree")
    return found


OFF = ["ieee"] * len(OPERATIONS) + [False, "highest"]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = switches()
    yield
    precision._set_older_switches(convolutions=before[-2], products=before[-1])
    for operation, value in zip(OPERATIONS, before, strict=False):
        operation.fp32_precision = value
    assert switches() == before


def newer(operation: Any, value: str) -> Callable[[], None]:
    return lambda: setattr(operation, "fp32_precision", value)


STATES: dict[str, Callable[[], None]] = {
    "as it starts": lambda: None,
    "older: no convolutions": lambda: setattr(cudnn, "allow_tf32", False),
    "older: products": lambda: setattr(cuda.matmul, "allow_tf32", True),
    "older: high": lambda: torch.set_float32_matmul_precision("high"),
    "older: medium": lambda: torch.set_float32_matmul_precision("medium"),
    "newer: no convolutions": newer(cudnn.conv, "ieee"),
    "newer: products": newer(cuda.matmul, "tf32"),
}


@pytest.mark.parametrize("state", STATES)
def test_it_is_off_inside_and_restored_whatever_was_set_by_whichever_switch(state: str) -> None:
    STATES[state]()
    before = switches()
    for block in (without_tf32, lambda: full_float32("cpu")):
        with block():
            assert switches() == OFF
        assert switches() == before
        with pytest.raises(ZeroDivisionError), block():
            raise ZeroDivisionError
        assert switches() == before


def test_autocast_is_off_too() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        with full_float32("cpu"):
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")


class Watched(nn.Module):
    """Remembers the switches it was called under, and those of its backward pass."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[list[Any]] = []

    def forward(self, values: Tensor) -> Tensor:
        self.seen.append(switches())
        return values.float() * self.weight


class WatchedGenerator(Watched, Generator):
    def __init__(self) -> None:
        super().__init__(latent_dim=4)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(latents)[:, :, None, None].tanh()


class WatchedDiscriminator(Watched, Discriminator):
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(super().forward(images).square().flatten(1).sum(1))


def test_samples_and_features_are_computed_in_float32() -> None:
    torch.set_float32_matmul_precision("high")
    generator, network = WatchedGenerator(), Watched()
    images = generator.sample(n=3, seed=0)
    FeatureSpace("watched", "", network).extract(images)
    assert generator.seen == network.seen == [OFF]


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_computed_in_float32(name: str) -> None:
    torch.set_float32_matmul_precision("high")
    discriminator = WatchedDiscriminator()
    real, fake = torch.rand(2, 8, 1, 4, 4)
    draws = Draws(random_stream(0, "step", 0), rank=0, world=1, device=torch.device("cpu"))
    PENALTIES[name](discriminator, real=real, fake=fake, labels=None, draws=draws)
    assert set(map(str, discriminator.seen)) == {str(OFF)}


@pytest.mark.parametrize("name", [None, *PENALTIES])
def test_and_so_is_their_half_of_the_backward_pass(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of training stays in what it is given."""
    words = [f"penalty={name}", "model.discriminator.norm=layer"] if name else []
    gan, seen = build_gan(config(*words, "metrics=none")), []
    monkeypatch.setattr(gan, "manual_backward", lambda total: (seen.append(switches() == OFF), total.backward()))
    trainer = Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, plugins=[LightningEnvironment()],
    )  # fmt: skip
    quiet_lightning()
    trainer.fit(gan, DataLoader([(torch.rand(8, 1, 28, 28), torch.zeros(8))], batch_size=None))
    assert seen == [name is not None, False]


@pytest.mark.parametrize("name", ["r1", "r2", "r1_r2"])
def test_a_verdict_that_serves_the_penalty_too_is_one_of_it(name: str) -> None:
    discriminator = WatchedDiscriminator()
    objective = Objective(NonSaturating(), penalty=PENALTIES[name], gamma=1.0)
    real, fake = torch.rand(2, 8, 1, 4, 4)
    draws = Draws(random_stream(0, "step", 0), rank=0, world=1, device=torch.device("cpu"))
    objective.discriminator(discriminator, Round(real, None, draws, 0), fake=fake)
    assert set(map(str, discriminator.seen)) == {str(OFF)}
