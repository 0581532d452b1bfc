"""The commands from Python: what the command line does, and nothing left behind."""

import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from hydra.core.global_hydra import GlobalHydra

import dcgan

SHORT = [*TINY, "metrics=none", "logger=none", "trainer.max_steps=2"]


def state() -> dict[str, Any]:
    """What belongs to the process, and not to a call."""
    return {
        "hydra": GlobalHydra.instance().is_initialized(),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "words": list(sys.argv),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "warnings": list(warnings.filters),
        "printing": (sys.stdout, sys.stderr),
    }


def test_train_draw_and_score_leave_nothing_behind(workdir: Path) -> None:
    before = state()
    run = dcgan.train([*SHORT, "seed=3"])
    assert run.results["steps"] == 2
    assert run.folder.is_dir()
    images = dcgan.load_generator(run.folder).sample(n=40, seed=1)
    (first, *judges) = dcgan.evaluate_samples(images, overrides=["num_samples=40"])
    after = state()
    for name, value in before.items():
        assert after[name] == value, name
    assert first["metric"] == "fid_digits_test_40"
    assert first["samples"] == "images"
    assert {one["extractor"] for one in judges} == {"digits1", "digits_residual"}
    assert sorted(path.name for path in workdir.iterdir()) == ["outputs"]


def test_it_trains_what_the_command_line_does(workdir: Path, command: Any) -> None:
    typed = command("train", *SHORT, "name=typed", "resume=auto")
    assert typed.code == 0, typed.err
    called = dcgan.train([*SHORT, "name=called", "resume=auto"])
    assert called.folder == Path("outputs/called")
    images = [dcgan.load_generator(folder).sample(n=4, seed=0) for folder in ("outputs/typed", called.folder)]
    assert torch.equal(*images)
    again = dcgan.train([*SHORT, "name=called", "resume=auto"])  # finished already
    assert (again.folder, again.results["steps"]) == (called.folder, 2)
    assert dcgan.train([*SHORT, "hydra.run.dir=mine"]).folder == Path("mine")


@pytest.mark.parametrize("form", ["N x H x W", "N x H x W x 3"])
def test_samples_are_arrays_of_any_form_that_files_may_have(form: str, workdir: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 28, 28), dtype=np.uint8)
    array = images if form == "N x H x W" else np.repeat(images[..., None], 3, -1)
    (wanted, *_), (found, *_) = (
        dcgan.evaluate_samples(one, overrides=["num_samples=40"]) for one in (images[:, None], array)
    )
    assert found["value"] == wanted["value"] > 0


CONDITIONAL, PLAIN = (f"dcgan/sharing/zoo/{name}.safetensors" for name in ("mnist_conditional", "mnist"))


def test_labels_are_one_for_all_or_one_for_each() -> None:
    generator = dcgan.load_generator(Path(dcgan.__file__).parent.parent / CONDITIONAL)
    sevens = generator.sample(n=120, seed=3, labels=torch.full((120,), 7))
    for labels in (7, np.full(120, 7, dtype=np.uint8), [7] * 120):
        assert torch.equal(generator.sample(n=np.int64(120), seed=np.uint8(3), labels=labels), sevens)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="labels: 2 for 3 latents"):
        generator.draw(torch.zeros(3, generator.latent_dim), torch.tensor([1, 2]))


@pytest.mark.parametrize(
    ("of", "given", "line"),
    [
        (
            CONDITIONAL,
            {"labels": torch.tensor([7])},
            r"labels: must be 2 whole numbers, or one .* these are int64 \(1,\)",
        ),
        (CONDITIONAL, {"labels": [7, 7, 7]}, "labels: must be 2 whole numbers"),
        (CONDITIONAL, {"labels": [0.5, 1]}, "labels: must be 2 whole numbers"),
        (CONDITIONAL, {"labels": [True, False]}, "labels: must be 2 whole numbers"),
        (CONDITIONAL, {"labels": "7"}, "labels: must be 2 whole numbers, or one for all images; '7' is not"),
        (CONDITIONAL, {"labels": [0, 10]}, "labels: 10 is none of the classes, 0 to 9"),
        (CONDITIONAL, {"labels": [-1, 9]}, "labels: -1 is none of the classes"),
        (PLAIN, {"labels": [0, 1]}, "labels: this generator takes none"),
        (PLAIN, {"n": 0}, "n=0: must be a whole number, 1 or more"),
        (PLAIN, {"n": 2.0}, "n=2.0: must be"),
        (PLAIN, {"seed": -1}, "seed=-1: must be a whole number from 0"),
        (PLAIN, {"seed": 2**64}, "seed=18446744073709551616: must be"),
        (PLAIN, {"seed": "a"}, "seed='a': must be"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(of: str, given: dict[str, Any], line: str) -> None:
    generator = dcgan.load_generator(Path(dcgan.__file__).parent.parent / of)
    with pytest.raises(ValueError, match=line):
        generator.sample(**{"n": 2, "seed": 0} | given)


def test_the_home_folder_may_be_a_tilde(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path(dcgan.__file__).parent))
    assert dcgan.load_generator("~/sharing/zoo/mnist.safetensors").num_classes == 0


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: dcgan.train(["optimizer.lr=-1"]), "optimizer.lr=-1.0: must be a finite number above 0"),
        (lambda: dcgan.train(["model.widht=8"]), "model.widht: no such key; did you mean model.width?"),
        (lambda: dcgan.train(["loss=hing"]), "loss=hing: no such option; there are hinge,"),
        (lambda: dcgan.train(["-m", "seed=0,1"]), "-m: a sweep is of the command line; from Python, call it once"),
        (lambda: dcgan.train(["seed=0,1"]), "seed=0,1: several values are a sweep"),
        (lambda: dcgan.evaluate_samples(np.zeros((40, 28, 28))), "images: "),
        (lambda: dcgan.evaluate_samples(torch.zeros(40, 28, 28, requires_grad=True)), "images: "),
        (
            lambda: dcgan.evaluate_samples(np.eye(28, dtype=np.uint8)[None].repeat(40, 0) * 255),
            "images: holds 40 images, fid_digits_test_10k",
        ),
    ],
)
def test_a_mistake_is_a_value_error_in_one_line(call: Any, line: str, workdir: Path) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
    assert "/tmp" not in str(error.value)
    assert not list(workdir.iterdir())
