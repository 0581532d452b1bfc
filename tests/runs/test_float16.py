"""``trainer.precision=16-mixed`` as it is: float16, and a scaler that looks for a factor without an overflow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Result, config, printed_run
from torch import nn

from dcgan.runs.checkpoints import load_checkpoint
from dcgan.training.build import build_gan
from dcgan.training.gan import GAN
from dcgan.training.player import Player

CLIP = 0.01
PENALISED = [*TINY, "metrics=none", "logger=none", f"optimizer.clip={CLIP}"]
PENALISED += ["penalty=r1", "model.discriminator.norm=layer", "optimizer.schedule=constant"]
OPTIMIZERS = [
    ["optimizer=adam"],
    ["optimizer=adamw"],
    ["optimizer=rmsprop"],
    ["optimizer=sgd"],
    ["optimizer=sgd", "optimizer.momentum=0.9"],
    ["optimizer=rmsprop", "optimizer.discriminator.name=adam"],
]
Norms = list[tuple[str, float, float]]  # of which network, before and after it was clipped; as they are unscaled


@pytest.fixture
def norms(monkeypatch: pytest.MonkeyPatch) -> Norms:
    """Of every step of every player, with the gradients that the optimiser then sees."""
    found: Norms = []
    clip = Player.clip_gradients

    def clip_gradients(self: Player[Any]) -> None:
        def norm() -> float:
            gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
            return float(nn.utils.get_total_norm(gradients))

        before = norm()
        clip(self)
        found.append((type(self.network).__name__, before, norm()))

    monkeypatch.setattr(Player, "clip_gradients", clip_gradients)
    return found


def trained(command: Callable[..., Result], *words: str) -> dict[str, Any]:
    result = command("train", *words)
    assert (result.code, result.err) == (0, "")  # nobody is told that it is something else
    return load_checkpoint(Path(printed_run(result.out)) / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize("words", OPTIMIZERS, ids=" ".join)
def test_gradients_are_clipped_as_they_are_without_the_scale(
    words: list[str], command: Callable[..., Result], norms: Norms, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtypes = set()
    step = GAN.training_step

    def training_step(self: GAN, *given: Any) -> Any:
        dtypes.add(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        return step(self, *given)

    monkeypatch.setattr(GAN, "training_step", training_step)
    full = trained(command, *PENALISED, *words, "trainer.max_steps=1", "trainer.precision=32-true")
    expected = {name: before for name, before, _ in norms}
    norms.clear()
    half = trained(command, *PENALISED, *words, "trainer.max_steps=12", "trainer.precision=16-mixed")
    assert dtypes == {torch.float32, torch.float16}
    assert "MixedPrecision" not in full
    assert 64 <= half["MixedPrecision"]["scale"] < 65536  # it was too large at first, and then it was not
    for name, alone in expected.items():
        taken = [(before, after) for network, before, after in norms if network == name and before < float("inf")]
        assert len(taken) >= 3
        for before, after in taken:
            assert alone / 32 < before < 32 * alone  # of other weights by then, and not as scaled
            assert after == pytest.approx(CLIP, rel=1e-3)
    start = build_gan(config(*PENALISED, *words))
    for name, value in start.named_parameters():
        assert half["state_dict"][name].isfinite().all(), name
        assert name.startswith("ema") or not torch.equal(half["state_dict"][name], value), name


@pytest.mark.parametrize("penalty", ["r1", "dragan"])
@pytest.mark.parametrize("model", ["dcgan", "mlp"])
def test_a_penalty_is_differentiated_in_float32_to_the_end(
    model: str, penalty: str, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its backward pass too, though Lightning makes it inside autocast; the rest of the loss is small beside it."""
    found: list[torch.Tensor] = []

    def gradients(self: GAN, optimizer: Any) -> None:
        if optimizer is self.trainer.optimizers[0]:
            given = [p.grad.flatten() for p in self.discriminator.parameters() if p.grad is not None]
            found.append(torch.cat(given))

    monkeypatch.setattr(GAN, "on_before_optimizer_step", gradients)
    words = [
        *TINY,
        "metrics=none",
        "logger=none",
        f"model={model}",
        "model.discriminator.norm=layer",
        "trainer.max_steps=1",
    ]
    for precision in ("32-true", "bf16-mixed"):
        told = [f"penalty={penalty}", "penalty.gamma=1e6", f"trainer.precision={precision}"]
        assert command("train", *words, *told).code == 0
    full, mixed = found
    assert (mixed - full).norm() < 1e-4 * full.norm()


def test_the_scale_goes_on_where_it_stood(command: Callable[..., Result], workdir: Path) -> None:
    words = [*PENALISED, "trainer.precision=16-mixed"]
    whole = trained(command, *words, "trainer.max_steps=8")
    result = command("train", *words, "trainer.max_steps=3")
    run = printed_run(result.out)
    assert load_checkpoint(Path(run) / "checkpoints" / "last.ckpt")["MixedPrecision"]["scale"] < 65536
    resumed = trained(command, f"resume={run}", "trainer.max_steps=8")
    assert resumed["MixedPrecision"] == whole["MixedPrecision"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name


@pytest.mark.parametrize("words", OPTIMIZERS, ids=" ".join)
def test_a_step_that_overflows_is_as_if_it_had_not_been(words: list[str]) -> None:
    """The first, which usually does: fused SGD then kept a momentum that nobody had written."""
    for optimizer in build_gan(config(*PENALISED, *words)).configure_optimizers():
        scaler = torch.amp.GradScaler("cpu")
        parameters = optimizer.param_groups[0]["params"]
        before = [parameter.detach().clone() for parameter in parameters]
        unwritten = [torch.full_like(parameter, float("nan")) for parameter in parameters]
        del unwritten  # what memory may hold
        scaler.scale(torch.zeros(()))
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, float("inf"))
        scaler.step(optimizer)
        scaler.update()
        assert all(torch.equal(*pair) for pair in zip(parameters, before, strict=True))
        kept = [value for state in optimizer.state.values() for value in state.values() if value is not None]
        assert not any(value.any() for value in kept)
