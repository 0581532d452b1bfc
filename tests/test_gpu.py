"""What only a GPU can show: ``make test-gpu``."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Result, config, options, printed_run, recipes
from lightning import Callback, Trainer

from dcgan.data.latents import step_latents
from dcgan.features.spaces import FeatureSpace
from dcgan.runs.run import build_run, fit
from dcgan.training.build import build_gan
from dcgan.training.ema import fit_statistics

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
UNLOOKED = ["metrics=none", "logger=none", "trainer.log_every_n_steps=1000", "trainer.gpus=1"]


def trained(command: Callable[..., Result], *words: str) -> Path:
    result = command("train", *words, "trainer.enable_progress_bar=false")
    assert result.code == 0, result.err
    return Path(printed_run(result.out))


def trained_apart(*words: str) -> Path:
    """By a process of its own: Lightning starts the second by the words of the first, which are pytest's here."""
    command = [sys.executable, "-m", "dcgan.train", *words, "trainer.enable_progress_bar=false"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return Path(printed_run(ended.stdout))


def pixels_between(one: torch.Tensor, other: torch.Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


@pytest.mark.parametrize("name", options("model"))
def test_a_sample_is_the_same_on_both(name: str) -> None:
    generator = build_gan(config(f"model={name}")).generator.eval()
    with torch.no_grad():
        for weight in generator.parameters():
            weight.mul_(5 if weight.dim() > 1 else 1)  # untrained, its images would be nearly grey
    fit_statistics(generator, seed=0)
    here = generator.sample(n=1200, seed=3)
    there = generator.to(DEVICE).sample(n=1200, seed=3)
    assert here.float().std() > 20
    assert pixels_between(here, there) <= 1


def test_statistics_of_the_average_are_the_same_on_both() -> None:
    ema = build_gan(config()).ema
    here = ema.fitted().sample(n=100, seed=3)
    ema.to(DEVICE)
    ema._fitted = False
    assert pixels_between(here, ema.fitted().sample(n=100, seed=3)) <= 1


def test_features_are_the_same_on_both(digits: FeatureSpace) -> None:
    images = torch.randint(0, 256, (600, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    here, there = digits.extract(images), digits.extract(images, device=DEVICE)
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)


class Seen(Callback):
    """The images and latents that each step is given."""

    def __init__(self) -> None:
        self.steps: list[tuple[torch.Tensor, torch.Tensor]] = []

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, *_: Any) -> None:
        given, _real = next(module._rounds(*batch))
        self.steps.append((batch[0].cpu(), given.cpu()))


def test_steps_are_given_the_same_images_and_latents_on_both(mnist_root: Path, tmp_path: Path) -> None:
    seen = []
    for gpus in (0, 1):
        told = [*UNLOOKED[:-1], f"trainer.gpus={gpus}", "trainer.max_steps=3", "trainer.precision=32-true"]
        run = build_run(config(*told, root=mnist_root), tmp_path / str(gpus))
        seen.append(Seen())
        run.trainer.callbacks.append(seen[-1])  # type: ignore[attr-defined]
        fit(run)
    assert len(seen[0].steps) == 3
    for step, (here, there) in enumerate(zip(seen[0].steps, seen[1].steps, strict=True)):
        assert torch.equal(here[0], there[0])
        assert torch.equal(here[1], there[1])
        expected = step_latents(0, step=step, shape=tuple(here[1].shape), parts=1, rank=0, world=1)  # type: ignore[arg-type]
        assert torch.equal(here[1], expected)


class Strict(Callback):
    """From the second step on, whatever waits for the device is an error."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if 2 <= trainer.global_step < 5 else "default")


@pytest.mark.parametrize(
    "words",
    [
        *(f"experiment={name}" for name in recipes() if name not in ("best", "best_stacked")),
        *(f"trainer.precision={precision} optimizer.clip=1" for precision in ("bf16-mixed", "16-mixed", "32-true")),
        *(f"augment={name}" for name in options("augment")),
    ],
)
def test_a_step_that_nobody_looks_at_does_not_wait(words: str, mnist_root: Path, tmp_path: Path) -> None:
    told = [*UNLOOKED, *words.split(), "trainer.max_steps=6"]
    run = build_run(config(*told, root=mnist_root), tmp_path / "run")
    run.trainer.callbacks.append(Strict())  # type: ignore[attr-defined]
    try:
        fit(run)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert run.trainer.global_step == 6


@pytest.mark.parametrize("words", ["rmsprop", "sgd optimizer.momentum=0.9"])
def test_an_optimiser_that_counts_its_steps_on_the_cpu_trains(words: str, command: Callable[..., Result]) -> None:
    told = [*UNLOOKED, *f"optimizer={words}".split(), "optimizer.lr=1e-4", "trainer.max_steps=4", "checkpoints.every=2"]
    run = trained(command, *told, "optimizer.schedule=constant")
    assert command("train", f"resume={run}", "trainer.max_steps=6").code == 0


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "32-true", "auto"])
def test_precisions_train(precision: str, command: Callable[..., Result]) -> None:
    words = ["experiment=quick", f"trainer.precision={precision}", "trainer.max_steps=150", "metrics.every=150"]
    run = trained(command, *words, "trainer.gpus=1")
    (line,) = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["value"] < 80  # 22 on a CPU, untrained 1,500


def test_a_run_goes_on_on_the_other_and_back(command: Callable[..., Result]) -> None:
    words = ["metrics=none", "optimizer.schedule=constant", "model.width=8"]
    run = trained(command, *words, "trainer.gpus=0", "trainer.max_steps=4")
    for gpus, steps in ((1, 8), (0, 12)):
        result = command("train", f"resume={run}", f"trainer.gpus={gpus}", f"trainer.max_steps={steps}")
        assert result.code == 0, result.err
        assert json.loads((run / "status.json").read_text())["results"]["steps"] == steps


@pytest.mark.skipif(torch.cuda.is_available() and torch.cuda.device_count() < 2, reason="one CUDA device")
def test_two_devices_take_the_steps_of_one(workdir: Path) -> None:
    words = ["metrics=none", "model.norm=none", "trainer.precision=32-true", "trainer.max_steps=20", "model.width=8"]
    weights = []
    for gpus in (1, 2):
        run = trained_apart(*words, f"trainer.gpus={gpus}", f"hydra.run.dir={workdir / str(gpus)}")
        checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        weights.append({name: value.cpu() for name, value in checkpoint["state_dict"].items()})
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name].float(), value.float(), rtol=1e-2, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available() and torch.cuda.device_count() < 2, reason="one CUDA device")
def test_two_devices_share_the_statistics_of_a_batch(workdir: Path) -> None:
    words = ["trainer.sync_batchnorm=true", "trainer.max_steps=4", "metrics.every=2", "samples.every=2"]
    trained_apart(*words, "trainer.gpus=2", "model.width=8", "metrics.num_samples=100")


def test_quick_reaches_its_score(command: Callable[..., Result]) -> None:
    run = trained(command, "experiment=quick", "trainer.gpus=1")
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["metric"] == "fid_digits_train_2k"
    assert line["value"] < 0.8  # 0.36 to 0.42 on a CPU
