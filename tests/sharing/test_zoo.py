"""Generators that ship: small, of nobody's machine, as their cards say; and a run that begins with one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, config
from PIL import Image
from safetensors import safe_open
from synthetic import record, write_generators

from dcgan.data.images import grid
from dcgan.features.spaces import FeatureSpace
from dcgan.runs.load import load, load_generator
from dcgan.runs.run import build_run
from dcgan.sharing.folder import samples_of
from dcgan.sharing.make_zoo import make
from dcgan.shell.zoo import ZOO, names

SMALL = ["model.width=4", "model.dense_units=8", "model.latent_dim=6"]


def test_what_ships_is_small() -> None:
    sizes = [path.stat().st_size for path in ZOO.glob("*.safetensors")]
    assert len(sizes) >= 4
    assert max(sizes) <= 7e6
    assert sum(sizes) <= 25e6


@pytest.mark.parametrize("name", names())
def test_each_is_as_its_card_says(name: str) -> None:
    text = (ZOO / f"{name}.md").read_text()
    loaded = load(ZOO / f"{name}.safetensors", checkpoint="best", device="cpu")
    assert f"python -m dcgan.generate zoo={name} n=64" in text
    assert re.search(r"^python -m dcgan.train .*seed=0$", text, re.MULTILINE)
    assert f"up to step {loaded.step:,};" in text
    assert re.search(r"type: fid, name: fid_\w+_test_10k, value: [\d.]+", text)
    with safe_open(ZOO / f"{name}.safetensors", "pt") as file:
        recipe = file.metadata()["recipe"]
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16, torch.int64}  # noqa: SIM118
    assert not re.search(r"/(home|root|tmp|work|Users)\b", recipe + text)
    with Image.open(ZOO / f"{name}.png") as picture:
        wanted = samples_of(loaded.generator)[0].numpy().astype(int)
        assert np.abs(np.asarray(picture.convert("L")).astype(int) - wanted).max() <= 1


def test_what_is_exported_of_one_has_its_numbers(workdir: Path, command: Any) -> None:
    done = command("export", "zoo=mnist_conditional", "format=torch", "out=mine")
    assert done.code == 0, done.err
    numbers = [line for line in (ZOO / "mnist_conditional.md").read_text().splitlines() if line.startswith("| fid")]
    assert numbers
    assert numbers[0] in Path("mine/README.md").read_text()


def test_its_digits_are_digits(digits: FeatureSpace) -> None:
    labels = torch.arange(10).repeat_interleave(30)
    images = load_generator(ZOO / "mnist_conditional.safetensors").sample(n=300, seed=7, labels=labels)
    logits = digits.logits(digits.extract(images))
    assert logits is not None
    assert (logits.argmax(1) == labels).float().mean() > 0.95


def test_one_is_drawn_from_without_a_run_and_without_torchs_compiler(workdir: Path) -> None:
    """Which takes two seconds to load."""
    code = "import runpy, sys; sys.argv = ['x', 'zoo=mnist_conditional', 'text=42']\n"
    code += "runpy.run_module('dcgan.generate', run_name='__main__'); assert 'torch._dynamo' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == Path("outputs/mnist_conditional/generated/grid_best_seed0_text42_n1.png")
    assert Path(done.stdout.strip()).exists()


def test_an_entry_is_made_of_a_run(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan.sharing.make_zoo.ZOO", workdir)
    run = write_generators(Path("run"), *SMALL, f"data.root={workdir}")
    (run / "metrics.jsonl").write_text(json.dumps(record(3.0, step=0, split="test", checkpoint="last", real={})) + "\n")
    (run / "provenance.jsonl").write_text('{"command": ["python", "-m", "dcgan.train", "seed=0"]}\n{}\n')
    file, card, picture, *_ = make("mine", run)
    made, whole = load_generator(file), load_generator(run)
    assert torch.equal(made.body[0].weight, whole.body[0].weight.half().float())
    for word in ("# mine", "of 1,000 samples", "| fid | 3.00 |", "python -m dcgan.train seed=0"):
        assert word in card.read_text()
    assert str(workdir) not in file.read_bytes().decode("latin1")
    with Image.open(picture) as image:
        assert np.array_equal(np.asarray(image.convert("L")), grid(made.sample(n=64, seed=0))[0].numpy())
    monkeypatch.setattr("dcgan.sharing.make_zoo.LARGEST", 10)
    with pytest.raises(ValueError, match="mine: its file has more than"):
        make("mine", run)
    assert not file.exists()


@pytest.mark.parametrize(
    ("entry", "words", "line"),
    [
        ("generate", ["zoo=mnits"], "zoo=mnits: there is no such generator; there are fashion_mnist, "),
        ("generate", ["zoo=mnist_conditional", "run=x"], "run=, zoo=: name one of them, a run folder or a generator"),
        (
            "generate",
            ["zoo=mnist_conditional", "mode=sheet"],
            "mode=sheet: shows how a run went, and mnist_conditional",
        ),
        ("generate", ["zoo=mnist_conditional", "weights=raw"], "weights=raw: mnist_conditional.safetensors holds aver"),
        ("export", ["format=torch"], "run=, zoo=: name one of them"),
        ("train", ["init=zoo:mnits"], "init=zoo:mnits: there is no such generator; there are fashion_mnist, "),
        ("train", ["init=nothing"], "init=nothing: no such file; zoo:<name>, or the .safetensors of a generator"),
        (
            "train",
            ["init=zoo:mnist_conditional", "resume=x"],
            "init=zoo:mnist_conditional: is of a run that begins, and",
        ),
        ("train", ["init=text"], "text is not a readable generator ("),
        (
            "train",
            ["init=zoo:mnist_conditional", "model.latent_dim=10", "data.resolution=32"],
            "init=zoo:mnist_conditional: is of another network; type model.latent_dim=64 model.conditional=true "
            "model.generator.conditioning=norm data.resolution=28",
        ),
    ],
)
def test_a_mistake_is_one_line(entry: str, words: list[str], line: str, workdir: Path, command: Any) -> None:
    Path("text").write_text("words")
    result = command(entry, *words)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert f"error: {line}" in result.err
    assert [path.name for path in workdir.iterdir()] == ["text"]


def test_a_run_begins_with_a_generator_and_goes_on_without_it(workdir: Path, command: Any, mnist_root: Path) -> None:
    first = load_generator(write_generators(Path("before"), *SMALL))
    file = "before/checkpoints/last.generator.safetensors"
    gan = build_run(config(*TINY, *SMALL, "metrics=none", f"init={file}", root=mnist_root), Path("new")).gan
    for network in (gan.generator, gan.ema.generator):
        for name, value in first.state_dict().items():
            assert torch.equal(network.state_dict()[name], value), name
    line = [*TINY, *SMALL, "metrics=none", "name=N", "resume=auto", f"init={file}"]
    done = command("train", *line, "trainer.max_steps=2")
    assert done.code == 0, done.err
    Path(file).rename("elsewhere.safetensors")
    refused = command("doctor", "run=outputs/N")  # a run folder chooses no path
    assert refused.err.startswith(f"error: run=outputs/N: began with init={file}, and has no two checkpoints")
    again = command("train", *line, "trainer.max_steps=3")
    assert again.code == 0, again.err
