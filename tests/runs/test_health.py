import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, printed_run
from safetensors import safe_open
from safetensors.torch import save_file

from dcgan.data.images import to_uint8
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.finite import not_finite, tensors_of

Command = Callable[..., Any]
TRAIN = [*TINY, "metrics=none", "logger=none", "trainer.precision=32-true"]


def test_the_first_that_is_not_finite_is_named() -> None:
    fine = {"a": torch.ones(3), "n": torch.tensor(2), "empty": torch.empty(0), "b": torch.full((2,), 3e38)}
    assert not_finite(fine) is None
    assert not_finite({}) is None
    for value in (float("nan"), float("inf"), -float("inf")):
        assert not_finite(fine | {"c": torch.tensor([1.0, value]), "d": torch.tensor(value)}) == "c"
    nested = dict(tensors_of({"state": [{"x": torch.ones(1)}, {"y": torch.tensor(float("nan"))}], "word": "nan"}))
    assert not_finite(nested) == "state.1.y"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["loss=least_squares", "optimizer=sgd", "optimizer.lr=1e10"], "lr (now 1e+10) or set optimizer."),
        (["optimizer.generator.lr=1e30", "optimizer.discriminator.lr=0.1"], "lower optimizer.generator.lr (now 1e+30)"),
        (
            ["penalty=r1", "penalty.gamma=1e30", "model.discriminator.norm=none"],
            "the optimiser of the discriminator is not finite (exp_avg_sq); lower penalty.gamma or lower optimizer.d",
        ),
        (["trainer.log_every_n_steps=0", "checkpoints.every=3", "loss=least_squares", "optimizer.lr=1e25"], "step 3: "),
    ],
)
def test_a_run_stops_where_it_is_first_seen(words: list[str], line: str, command: Command, workdir: Path) -> None:
    words = [*TRAIN, "trainer.max_steps=8", "trainer.log_every_n_steps=2", *words]
    result = command("train", *words)
    assert result.code == 1
    (last,) = result.err.splitlines()
    assert last.startswith("error: step ")
    assert line in last
    (status,) = workdir.rglob("status.json")
    assert json.loads(status.read_text())["state"] == "failed"
    assert line in json.loads(status.read_text())["error"]
    assert not list(workdir.rglob("*.ckpt"))
    assert "; no checkpoint was saved before; the same line with trainer.detect_anomaly=true" in last


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["augment=diffaugment", "augment.consistency=1e38"], "lower augment.consistency or lower optimizer.discr"),
        (
            ["optimizer.generator.lr=1e10"],
            "lower optimizer.generator.lr (now 1e+10) or set optimizer.generator.clip or ",
        ),
        (["optimizer.lr=1e10"], "lower optimizer.discriminator.lr (now 1e+10) or set optimizer.discriminator.clip; "),
    ],
)
def test_what_is_named_first_is_the_likeliest_cause(
    words: list[str], start: str, command: Command, workdir: Path
) -> None:
    """A discriminator that says what is not finite may have been shown images of 1e30."""
    norms = ["model.discriminator.norm=layer", "model.generator.norm=none"]
    words = [*TRAIN, "trainer.max_steps=20", "loss=wasserstein", "penalty=wgan_gp", *norms, *words]
    (line,) = command("train", *words).err.splitlines()
    assert ": the discriminator's " in line
    ways = line.split(" is not finite; ")[1].removeprefix("lower penalty.gamma or ")
    assert ways.startswith(start), line


def test_of_16_bits_nothing_is_advised_that_ends_a_healthy_run(command: Command, workdir: Path) -> None:
    words = [*TINY, "metrics=none", "logger=none", "trainer.precision=16-mixed", "trainer.max_steps=20"]
    (line,) = command("train", *words, "loss=least_squares", "optimizer=sgd", "optimizer.lr=1e10").err.splitlines()
    assert line.startswith("error: step ")
    assert line.endswith(" or take trainer.precision=32-true; no checkpoint was saved before")


def test_the_last_finite_checkpoint_stays(command: Command, workdir: Path) -> None:
    """The rates of the first steps of the warm-up are in bounds, those that follow are not."""
    words = ["optimizer=sgd", "optimizer.lr=1e6", "optimizer.warmup=10000000", "loss=least_squares"]
    result = command("train", *TRAIN, "trainer.max_steps=20000000", "checkpoints.every=1", *words)
    assert result.code == 1
    (last,) = workdir.rglob("last.ckpt")
    assert f"{last.relative_to(workdir)} is from before; " in result.err
    step = load_checkpoint(last)["global_step"]
    assert f"error: step {step + 1}: " in result.err


@pytest.mark.fault("not finite: where it began")
@pytest.mark.filterwarnings("ignore:Error detected in:UserWarning")
def test_the_line_that_it_prints_finds_where_it_began(command: Command, workdir: Path) -> None:
    """Seen where a checkpoint was due; the replay from the one before looks at every step."""
    words = ["optimizer=sgd", "optimizer.lr=1e5", "optimizer.warmup=10000000", "loss=least_squares"]
    result = command("train", *TRAIN, *words, "trainer.max_steps=20000000", "checkpoints.every=3", "name=N")
    assert result.code == 1, result.err
    (last,) = workdir.rglob("last.ckpt")
    step, seen = load_checkpoint(last)["global_step"], int(re.findall(r"error: step (\d+)", result.err)[0])
    assert seen == step + 3
    again = command("train", *result.err.strip().rpartition("python -m dcgan.train ")[2].split())
    assert again.code == 1
    (line,) = [text for text in again.err.splitlines() if text.startswith("error:")]
    assert step < int(re.findall(r"error: step (\d+): ", line)[0]) <= seen
    assert load_checkpoint(last)["global_step"] == step


@pytest.mark.parametrize("part", ["state_dict", "optimizer_states"])
def test_a_checkpoint_that_is_not_finite_is_refused(part: str, command: Command, workdir: Path) -> None:
    run = Path(printed_run(command("train", *TRAIN, "trainer.max_steps=2").out))
    path = run / "checkpoints" / "last.ckpt"
    checkpoint = load_checkpoint(path)
    next(value for name, value in tensors_of(checkpoint[part]) if value.is_floating_point()).fill_(float("nan"))
    torch.save(checkpoint, path)
    result = command("train", f"resume={run}", "trainer.max_steps=4")
    assert result.code == 1
    assert result.err.startswith(f"error: {run}/checkpoints/last.ckpt holds values that are not finite ({part}.")


@pytest.mark.parametrize("entry", ["generate", "evaluate"])
def test_a_generator_that_is_not_finite_is_refused(entry: str, command: Command, workdir: Path) -> None:
    run = Path(printed_run(command("train", *TRAIN, "trainer.max_steps=2").out))
    path = run / "checkpoints" / "last.generator.safetensors"
    with safe_open(path, "pt") as file:
        metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights["body.0.weight"][0, 0] = float("inf")
    save_file(weights, path, {"recipe": metadata["recipe"]})  # and no digest, which would tell
    result = command(entry, f"run={run}", "checkpoint=last")
    assert result.code == 1
    assert result.err.splitlines() == [
        f"error: {path} holds weights that are not finite (body.0.weight); take another checkpoint"
    ]


def test_images_that_are_not_finite_become_no_pixels() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        to_uint8(torch.tensor([0.0, float("nan")]))
