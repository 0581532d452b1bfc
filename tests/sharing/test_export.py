"""What is exported draws what the generator draws, without this package; and its card says how, and how good it is."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import Result
from PIL import Image
from synthetic import record, write_generators

from dcgan.runs.load import load, load_generator
from dcgan.sharing.card import _weaknesses
from dcgan.sharing.forms import FORMS, TOLERANCE, difference, inputs_of, plain

NETWORKS = [
    ["model=dcgan"],
    ["model=dcgan", "model.conditional=true", "model.upsample=pixel_shuffle"],
    ["model=dcgan", "model.conditional=true", "model.generator.conditioning=norm", "data.channels=3"],
    ["model=dcgan", "model.upsample=nearest", "model.norm=group", "data.resolution=32"],
    ["model=resnet", "model.norm=layer"],
    ["model=resnet", "model.conditional=true", "model.generator.conditioning=norm"],
    ["model=mlp", "model.conditional=true"],
]
WITHOUT = "import sys; sys.modules['dcgan'] = None\n"  # an import of it fails


def done(result: Result) -> str:
    assert result.code == 0, result.err
    return result.out


@pytest.mark.parametrize(
    ("words", "form"),
    [*((words, "onnx") for words in NETWORKS), *((words, "torch") for words in NETWORKS[:3])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_network_is_exported_and_draws_the_same(words: list[str], form: str, tmp_path: Path) -> None:
    loaded = load(write_generators(tmp_path / "run", "model.width=4", *words), checkpoint="last", device="cpu")
    path = tmp_path / FORMS[form].file
    FORMS[form].write(plain(loaded), path)
    exported = FORMS[form].run(path)
    assert difference(loaded.generator, exported, n=200) < TOLERANCE
    for n in (1, 3):  # any number of images
        assert exported(*inputs_of(loaded.generator, n)).shape[0] == n
    (latents, *labels) = inputs_of(loaded.generator, 2, seed=1)
    assert not torch.equal(exported(latents, *labels)[0], exported(latents, *labels)[1])


@pytest.mark.parametrize("conditional", ["true", "false"])
@pytest.mark.parametrize("form", [*FORMS, "safetensors"])
def test_the_lines_of_the_card_run_and_without_this_package(
    form: str, conditional: str, workdir: Path, command: Any
) -> None:
    write_generators(Path("run"), "model.width=4", f"model.conditional={conditional}")
    out = done(command("export", "run=run", "checkpoint=last", f"format={form}", "out=mine"))
    assert f"mine/generator{'.pt2' if form == 'torch' else '.' + form}" in out
    assert re.search(r"agrees with dcgan within \S+ over 1,000 random latents", out) or form == "safetensors"
    (lines,) = re.findall(r"```python\n(.*?)```", Path("mine/README.md").read_text(), re.DOTALL)
    assert len([line for line in lines.splitlines() if line]) == 3
    code = (WITHOUT if form != "safetensors" else "") + lines + "print(tuple(images.shape), str(images.dtype))"
    ran = subprocess.run([sys.executable, "-c", code], cwd="mine", capture_output=True, text=True, check=False)
    dtype = {"onnx": "float32", "torch": "torch.float32", "safetensors": "torch.uint8"}[form]
    assert ran.stdout == f"(16, 1, 28, 28) {dtype}\n", ran.stderr
    with Image.open("mine/samples.png") as picture:
        assert picture.width == (10 if conditional == "true" else 8) * 30 + 2


def test_the_card_says_what_was_measured_and_what_is_bad(workdir: Path, command: Any) -> None:
    run = write_generators(Path("run"), "model.width=4")
    step = load(run, checkpoint="last", device="cpu").step
    numbers = {"confident": 0.7, "coverage": 0.5}
    real = {"fid": 0.1, "confident": 0.99, "coverage": 0.9}
    test = {"split": "test", "checkpoint": "last", "real": real, "num_fake": 10_000}
    lines = [
        record(3.0, step=step),
        record(9.0, step=step, extractor="digits_residual", **test),
        record(2.0, step=step, measures=numbers, histogram=[10] * 9 + [1], **test),
        record(1.0, step=step + 1, **test),  # of other weights
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    done(command("export", "run=run", "checkpoint=last", "format=torch"))
    _, head, text = (run / "exported" / "torch" / "README.md").read_text().split("---\n", 2)
    (model,) = yaml.safe_load(head)["model-index"]
    (result,) = model["results"]
    assert {one["name"]: one["value"] for one in result["metrics"]} == {
        "fid_digits_test_10k": 2.0,
        "fid_digits_residual_test_10k": 9.0,
    }
    assert "| fid | 2.00 | 0.10 | 9.00 |" in text
    for sentence in (
        "29% more of its images than of real ones are none that a classifier is sure of.",
        "it covers 50% of the test images, unseen real ones 90%.",
        "fewer than 80% of what would be even of class 9.",
        "digits_residual, a judge of another make, is harsher: FID 9.00.",
    ):
        assert sentence in text
    (run / "metrics.jsonl").unlink()
    for best in (run / "checkpoints").glob("best.*"):
        best.unlink()
    exported = command("export", "run=run", "format=safetensors")
    done(exported)
    assert exported.err.count("this run was not evaluated, so it has no best checkpoint") == 1
    assert "It was not evaluated" in (run / "exported" / "safetensors" / "README.md").read_text()


def test_a_class_of_ones_own_is_called_by_its_name() -> None:
    said = [*_weaknesses([record(2.0, step=1, histogram=[10, 1])], ["cats", "dogs"])]
    assert "It draws fewer than 80% of what would be even of class dogs." in said


def test_a_file_is_loaded_as_a_run_is(workdir: Path, command: Any) -> None:
    run = write_generators(Path("run"), "model.width=4")
    done(command("export", "run=run", "checkpoint=last", "format=safetensors", "out=mine"))
    file = Path("mine/generator.safetensors")
    wanted = load_generator(run, checkpoint="last").sample(n=4, seed=1)
    assert torch.equal(load_generator(file).sample(n=4, seed=1), wanted)
    done(command("generate", f"run={file}", "n=4", "seed=1", "format=npz", "out=x.npz"))
    assert np.array_equal(np.load("x.npz")["images"], wanted[:, 0].numpy())
    done(command("export", f"run={file}", "format=torch"))
    assert Path("outputs/generator/exported/torch/generator.pt2").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["format=tflite"], "format=tflite: must be one of onnx, torch, safetensors, web"),
        (["checkpoint=best", "run=nothing"], "run=nothing: no run folder with checkpoints"),
        (["checkpoint=7"], "checkpoint=7: run has last"),
        (["out=full"], "out=full: exists; choose another, or overwrite=true"),
        (["out=full", "overwrite=true"], "out=full: holds notes.txt too, which this command did not write; choose an"),
        (["out=file"], "out=file: is no folder that can be written to; choose another"),
        (["out=file/deeper"], "out=file/deeper: is no folder that can be written to; choose another"),
        (
            ["out=mine.safetensors"],
            "out=mine.safetensors: names a file, and a folder is written; leave out its ending",
        ),
        (["run=file"], "file is not a readable generator ("),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(words: list[str], line: str, workdir: Path, command: Any) -> None:
    write_generators(Path("run"), "model.width=4")
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    Path("file").write_text("text")
    before = sorted(Path().rglob("*"))
    result = command("export", "run=run", "checkpoint=last", "format=torch", *words)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert f"error: {line}" in result.err
    assert sorted(Path().rglob("*")) == before


def test_what_is_not_installed_is_named(workdir: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan.sharing.needed.find_spec", lambda name: None)
    result = command("export", "run=run", "format=onnx")
    assert result.err == "error: format=onnx: onnx is not installed; pip install 'dcgan[export]'\n"
