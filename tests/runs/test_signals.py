"""What is seen of a run, and that nobody can tell that it was looked at."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import config
from lightning import Callback
from torch import Tensor

from dcgan.features.spaces import FeatureSpace
from dcgan.runs.finite import tensors_of
from dcgan.runs.run import Run, build_run, fit
from dcgan.runs.signals import Probe, Signals

QUIET = ["metrics=none", "logger=none", "trainer.log_every_n_steps=5", "checkpoints.every=1000", "samples.every=1000"]
MODEL = ["model.conditional=true", "model.discriminator.dropout=0.3", "augment=diffaugment", "d_steps=2"]


class Look(Callback):
    """A look every ``every`` steps."""

    def __init__(self, probe: Probe, *, every: int) -> None:
        self.probe, self.every, self.looks = probe, every, list[Signals]()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if (trainer.global_step + 1) % self.every == 0:
            self.probe.before_update(trainer, optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.probe.after_step(outputs)
        if trainer.global_step % self.every == 0:
            self.looks.append(self.probe.look(trainer, pl_module))

    def state_dict(self) -> dict[str, Any]:
        return self.probe.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.probe.load_state_dict(state_dict)


def trained(root: Path, folder: Path, *words: str, steps: int = 6, every: int = 0) -> tuple[Run, list[Signals]]:
    words = (*QUIET, f"trainer.max_steps={steps}", *words)
    run = build_run(config(*words, root=root), folder)
    looking = Look(Probe(run.data, seed=0, pack=run.gan.discriminator.pack), every=every or 10**6)
    run.trainer.callbacks.insert(0, looking)  # type: ignore[attr-defined]  # a checkpoint is saved after the look
    fit(run)
    return run, looking.looks


def state(run: Run) -> dict[str, Tensor]:
    optimizers = [optimizer.state_dict() for optimizer in run.trainer.optimizers]
    return {**run.gan.state_dict(), **dict(tensors_of(optimizers))}


@pytest.mark.parametrize(
    "words",
    [
        MODEL,
        [*MODEL, "model.discriminator.norm=spectral", "trainer.precision=bf16-mixed"],
        ["model=resnet", "model.width=2", "data.channels=3", "data.resolution=16", "data.batch_size=8", "loss=hinge"],
        ["model=mlp", "model.width=8", "model.discriminator.norm=batch", "model.discriminator.pack=4"],
    ],
)
def test_looking_changes_nothing(words: list[str], mnist_root: Path, tmp_path: Path) -> None:
    """Weights, statistics of batch norm, vectors of spectral norm, optimisers and the global stream: bit for bit."""
    torch.manual_seed(3)
    unseen, _ = trained(mnist_root, tmp_path / "unseen", *words)
    stream = torch.get_rng_state()
    torch.manual_seed(3)
    seen, looks = trained(mnist_root, tmp_path / "seen", *words, every=2)
    assert torch.equal(torch.get_rng_state(), stream)
    before, after = state(unseen), state(seen)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert [look.step for look in looks] == [2, 4, 6]
    for look in looks:
        numbers = [
            number
            for name, number in asdict(look).items()
            if name not in ("moved", "returned", "classes", "obeyed", "distance", "fid")
        ]
        assert all(math.isfinite(number) for number in numbers), look
    assert (looks[0].moved, looks[1].returned) == (None, None)
    assert looks[2].returned is not None


def test_a_resumed_run_says_the_same(mnist_root: Path, tmp_path: Path) -> None:
    """It was stopped in the middle of an interval."""
    _, straight = trained(mnist_root, tmp_path / "straight", *MODEL, steps=12, every=3)
    first, looks = trained(mnist_root, tmp_path / "run", *MODEL, steps=8, every=3)
    _, rest = trained(mnist_root, first.folder, *MODEL, f"resume={first.folder}", steps=12, every=3)
    assert [*looks, *rest] == straight


def test_the_numbers_of_steps_are_those_of_the_steps(mnist_root: Path, tmp_path: Path) -> None:
    run, _ = trained(mnist_root, tmp_path / "run", steps=1)
    probe = Probe(run.data, seed=0)
    outcome = torch.tensor

    def step(real: list[float], fake: list[float]) -> dict[str, Any]:
        from dcgan.training.objective import Outcome

        judged = Outcome(outcome(0.5), outcome(real), outcome(fake), {})
        return {"discriminator": judged, "generator": judged._replace(loss=outcome(2.0))}

    probe.after_step(step([1.0, 2.0], [1.0, -3.0]))
    probe.after_step(step([-1.0, 0.0], [1.0, 1.0]))
    run.gan.train()
    seen = probe.look(run.trainer, run.gan, fid=7.0)
    assert (seen.logit_real, seen.logit_fake) == (0.5, 0.0)
    assert (seen.accuracy_real, seen.accuracy_fake) == (0.5, 0.25)
    assert seen.ordered == (0.5 + 1 + 0 + 0) / 4
    assert (seen.loss_discriminator, seen.loss_generator, seen.fid) == (0.5, 2.0, 7.0)
    assert math.isnan(probe.look(run.trainer, run.gan).logit_real)  # no step since


class Fixed(torch.nn.Module):
    """Draws the same images whatever it is asked for."""

    latent_dim = 4

    def __init__(self, images: Tensor, num_classes: int) -> None:
        super().__init__()
        self.images, self.num_classes = images, num_classes

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.images


def test_the_shape_of_samples(mnist_root: Path, tmp_path: Path, digits: FeatureSpace) -> None:
    """Real images, one image again and again, two images in turn, and what is not finite."""
    run, _ = trained(mnist_root, tmp_path / "run", "model.discriminator.norm=none", steps=1)
    probe = Probe(run.data, seed=0, space=digits)
    assert probe.reference.classes is not None
    assert sum(probe.reference.classes) == probe.number == 64

    def look(images: Tensor, num_classes: int = 0) -> Signals:
        run.gan.generator = Fixed(images, num_classes)  # type: ignore[assignment]
        return probe.look(run.trainer, run.gan)

    real = probe._seen.images.float() / 127.5 - 1
    same = look(real)
    assert same.rank == pytest.approx(probe.reference.rank, rel=1e-6)
    assert 30 < same.rank < 63
    assert same.spread == pytest.approx(1)
    assert (same.mean, same.saturated, same.classes) == (0, 0, probe.reference.classes)
    assert same.distance == pytest.approx(0, abs=1e-9)
    assert look(torch.zeros_like(real)).distance > 10  # type: ignore[operator]  # grey, as no image ever is
    assert same.logit_sampled == pytest.approx(same.logit_seen)
    one = look(real[:1].expand(64, -1, -1, -1))
    assert (one.rank, one.spread) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert one.classes is not None
    assert max(one.classes) == 64
    two = look(real[:2].repeat(32, 1, 1, 1))
    assert two.rank == pytest.approx(1, abs=1e-3)  # a line through two points
    assert two.classes is not None
    assert sum(count > 0 for count in two.classes) <= 2
    assert look(real[:1].expand(64, -1, -1, -1)).returned == pytest.approx(0)  # where it was two looks ago
    assert math.isnan(look(real * math.nan).rank)
    labels = probe._seen.labels
    asked = torch.stack([real[labels == k % 10][0] for k in range(64)])
    assert look(asked).obeyed is None
    right, wrong = look(asked, 10).obeyed, look(asked.roll(1, 0), 10).obeyed
    assert right is not None
    assert wrong is not None
    assert wrong < 0.1 < 0.9 < right


@pytest.mark.parametrize(("held_out", "known"), [(400, 64), (20, 20), (11, 64)])
def test_as_many_known_images_are_asked_for_as_unknown_ones(held_out: int, known: int, tmp_path: Path) -> None:
    """With batch norm how many are judged together makes a difference; of under 12 nothing can be told."""
    arrays = {f"x_{split}": np.full((n, 8, 8), 9, np.uint8) for split, n in (("train", 100), ("test", held_out))}
    np.savez(tmp_path / "some.npz", **arrays)
    words = ["data=folder", f"data.folder={tmp_path / 'some.npz'}", "data.batch_size=8", "model=mlp", "model.width=4"]
    run, (look,) = trained(tmp_path, tmp_path / "run", *words, steps=1, every=1)
    probe = Probe(run.data, seed=0)
    assert len(probe._known.labels) == known
    assert (look.recognised is None) == (held_out < 12)
    assert (look.spread, look.moved, look.distance) == (1, None, None)  # all images are the same: nothing to compare


def test_memory_is_told_from_knowledge(mnist_root: Path, tmp_path: Path) -> None:
    """A discriminator that knows its training images by heart puts them above held-out ones; another does not."""
    run, _ = trained(mnist_root, tmp_path / "run", "model.discriminator.norm=none", steps=1)
    probe = Probe(run.data, seed=0)
    known = probe._seen.images.float() / 127.5 - 1

    class Memory(torch.nn.Module):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:
            from dcgan.models.base import Verdict

            nearest = (images.flatten(1)[:, None] - known.flatten(1)[None]).abs().sum(2).amin(1)
            return Verdict((nearest < 1e-3).float())

    run.gan.discriminator = Memory()  # type: ignore[assignment]
    seen = probe.look(run.trainer, run.gan)
    assert (seen.logit_seen, seen.logit_held_out, seen.recognised) == (1, 0, 1)
    run.gan.discriminator = build_run(config(*QUIET, root=mnist_root), tmp_path / "other").gan.discriminator
    recognised = probe.look(run.trainer, run.gan).recognised
    assert recognised is not None
    assert abs(recognised - 0.5) < 0.2
