"""The commands, as a person types them, on real MNIST."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import ENTRIES, TINY, Result, companions, config, options, printed_run, recipes
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dcgan import load_generator
from dcgan.config.catalogue import CATALOGUE
from dcgan.data.readers import READERS, read, read_idx_files
from dcgan.training.build import build_gan

Command = Callable[..., Result]
SHORT = [*TINY, "samples.every=4", "checkpoints.every=4"]
# Sixty samples are no FID to report, but every line of the code that makes one runs.
SCORED = ["metrics.num_samples=60", "metrics.every=4"]


def train(command: Command, *words: str) -> Path:
    result = command("train", *SHORT, *words)
    assert result.code == 0, result.err
    return Path(printed_run(result.out))


def state(run: Path, checkpoint: str = "last") -> dict[str, Any]:
    return torch.load(run / "checkpoints" / f"{checkpoint}.ckpt", weights_only=True)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["global_step"] == other["global_step"]
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


# --- the chain


def test_train_evaluate_generate(command: Command, workdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = train(command, *SCORED, "trainer.max_steps=10", "checkpoints.keep=true")
    assert "weights_only" not in caplog.text  # Lightning's word at every save, unless it is told
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {
        *("config.yaml", "provenance.jsonl", "status.json", "metrics.jsonl"),
        *(f"checkpoints/{name}.ckpt" for name in ("best", "last", "step_000004", "step_000008")),
        *(f"samples/{name}.png" for name in ("real", "step_000000", "step_000004", "step_000008", "step_000010")),
    } <= names
    assert state(run)["global_step"] == 10
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [4, 8, 10]
    best = min(records, key=lambda record: record["value"])
    assert state(run, "best")["global_step"] == best["step"]
    assert status["results"]["best/fid_digits_train_60"] == best["value"]

    again = command("evaluate", f"run={run}", "split=train")
    assert again.code == 0, again.err
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert (record["metric"], record["checkpoint"]) == ("fid_digits_train_60", "best")
    assert record["value"] == pytest.approx(best["value"], rel=1e-4)

    reported = command("evaluate", f"run={run}", "num_samples=100", "checkpoint=4")
    assert "fid_digits_test_100" in reported.out
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()[-3:]]
    assert [line["extractor"] for line in lines] == ["digits", "digits1", "digits_residual"]
    for record in lines:
        assert (record["num_real"], record["num_fake"], record["step"]) == (10_000, 100, 4)

    drawn = command("generate", f"run={run}", "n=9", "seed=3")
    assert drawn.code == 0, drawn.err
    assert pixels(drawn.out.strip()).shape == (92, 92)


def test_generate_needs_no_data_and_draws_the_same_in_every_format(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(command, "trainer.max_steps=2", "metrics=none")
    monkeypatch.setenv("DCGAN_DATA", str(workdir / "nothing"))
    for form, out in (("npz", "a.npz"), ("png", "folder"), ("grid", "grid.png")):
        result = command("generate", f"run={run}", "n=5", "seed=3", f"format={form}", f"out={out}")
        assert result.out.strip() == out
        assert "no best checkpoint; taking the last" in result.err
    images = np.load("a.npz")["images"]
    assert (images.shape, images.dtype) == ((5, 28, 28), np.uint8)
    for i, image in enumerate(images):
        assert np.array_equal(pixels(f"folder/{i:06d}.png"), image)
    assert np.array_equal(pixels("grid.png")[2:30, 2:30], images[0])
    assert not (workdir / "nothing").exists()

    refused = command("generate", f"run={run}", "n=6", "out=a.npz", "format=npz")
    assert refused.code == 1
    assert refused.err.splitlines()[-1] == "error: out=a.npz: exists; choose another, or overwrite=true"
    assert len(np.load("a.npz")["images"]) == 5
    assert command("generate", f"run={run}", "n=6", "out=a.npz", "format=npz", "overwrite=true").code == 0
    assert len(np.load("a.npz")["images"]) == 6
    assert command("generate", f"run={run}", "n=2", "out=folder", "format=png", "overwrite=true").code == 0
    assert len(list(Path("folder").iterdir())) == 2

    Path("folder/mine.txt").touch()
    for words, reason in [
        (("out=folder", "format=png"), "holds other files too"),
        (("out=folder", "format=grid"), "is a folder, which format=grid does not write"),
        (("out=grid.png", "format=png"), "is a file, which format=png does not write"),
    ]:
        refused = command("generate", f"run={run}", "n=2", *words, "overwrite=true")
        assert refused.err.splitlines()[-1].startswith(f"error: {words[0]}: {reason}")
    assert {path.name for path in Path("folder").iterdir()} == {"000000.png", "000001.png", "mine.txt"}
    assert not list(workdir.rglob(".generate-*"))

    before = sorted(workdir.rglob("*"))
    for form, out, reason in [
        ("grid", "x.jpg", "format=grid writes a PNG; let its name end in .png"),
        ("grid", "x.npz", "format=grid writes a PNG; let its name end in .png"),
        ("grid", "x.WebP", "format=grid writes a PNG; let its name end in .png"),
        ("npz", "x.png", "format=npz writes an .npz; let its name end in .npz"),
        ("npz", "x.npy", "format=npz writes an .npz; let its name end in .npz"),
        ("png", "x.png", "format=png writes a folder of pictures; leave .png out"),
        ("png", "x.NPZ", "format=png writes a folder of pictures; leave .NPZ out"),
        ("grid", "a.npz/x.png", "a.npz is a file; choose another folder"),
    ]:
        refused = command("generate", f"run={run}", "n=2", f"format={form}", f"out={out}")
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.splitlines()[-1].startswith(f"error: out={out}: {reason}")
    assert sorted(workdir.rglob("*")) == before
    for form, out, written in [
        ("grid", "x", "x.png"),
        ("grid", "y.PNG", "y.PNG"),
        ("npz", "x", "x.npz"),
        ("npz", "y.NPZ", "y.NPZ"),
        ("png", "width-0.5", "width-0.5"),
    ]:
        drawn = command("generate", f"run={run}", "n=2", f"format={form}", f"out={out}")
        assert (drawn.code, drawn.out.strip()) == (0, written)
    assert len(np.load("x.npz")["images"]) == len(np.load("y.NPZ")["images"]) == 2
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in ("x.png", "y.PNG"))


CONDITIONAL = "model.conditional=true"
AXES = [
    *(
        [f"{group}={name}", *companions(f"{group}={name}")]
        for group in ("loss", "penalty", "augment", "model", "optimizer")
        for name in options(group)
    ),
    [CONDITIONAL, "d_steps=2", "trainer.precision=bf16-mixed"],
    ["loss.label_smoothing=0.1"],
    ["loss.label_flipping=0.2"],
    ["loss=wasserstein", "loss.weight_clip=0.01"],
    ["penalty=r1", *companions("penalty=r1"), "penalty.every=2", "trainer.precision=bf16-mixed"],
    ["augment=diffaugment", "augment.consistency=1"],
    *([f"model.norm={kind}"] for kind in ("layer", "group", "none")),
    ["model.discriminator.norm=spectral"],
    *([f"model.upsample={kind}"] for kind in ("nearest", "pixel_shuffle")),
    *([f"model.init={kind}"] for kind in ("default", "orthogonal", "kaiming")),
    ["model.dense_units=8"],
    ["model.base_convs=1"],
    ["model.discriminator.dropout=0.3"],
    ["model.discriminator.minibatch_stddev=true"],
    ["model.discriminator.pack=2"],
    *([CONDITIONAL, f"model.generator.conditioning={kind}"] for kind in ("concat", "norm")),
    *([CONDITIONAL, f"model.discriminator.conditioning={kind}"] for kind in ("projection", "concat", "auxiliary")),
    *([f"optimizer.schedule={kind}", "optimizer.warmup=1"] for kind in ("linear", "cosine")),
    ["optimizer.clip=1"],
    ["optimizer.discriminator.name=sgd"],
    ["optimizer=sgd", "optimizer.generator.name=rmsprop"],
]


@pytest.mark.parametrize("words", AXES, ids=" ".join)
def test_every_option_takes_two_steps_and_moves_both_networks(
    command: Command, workdir: Path, words: list[str]
) -> None:
    run = train(command, "trainer.max_steps=2", "checkpoints.every=1", "checkpoints.keep=true", "metrics=none", *words)
    one, two = (state(run, checkpoint)["state_dict"] for checkpoint in ("step_000001", "last"))
    assert all(tensor.isfinite().all() for tensor in two.values())
    assert moved(one, two) == {"generator", "discriminator", "ema"}


def moved(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> set[str]:
    """The networks whose weights differ: running statistics move without any optimiser."""
    buffers = ("running_mean", "running_var", "num_batches_tracked", "_u", "_v")
    weights = [name for name in one if not name.endswith(buffers)]
    return {name.split(".")[0] for name in weights if not torch.equal(one[name], two[name])}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "best_stacked" else name for name in recipes()]
)
def test_every_recipe_takes_two_steps(command: Command, workdir: Path, name: str) -> None:
    words = ["trainer.max_steps=2", "trainer.max_epochs=null", "checkpoints.every=1", "checkpoints.keep=true"]
    run = train(command, f"experiment={name}", *words, *SCORED)
    one, two = (state(run, checkpoint)["state_dict"] for checkpoint in ("step_000001", "last"))
    assert all(tensor.isfinite().all() for tensor in two.values())
    assert moved(one, two) == {"generator", "discriminator", "ema"}


@pytest.mark.slow
def test_a_sweep_over_options_with_different_keys_composes(command: Command, workdir: Path) -> None:
    groups = ["penalty=none,r1", "augment=none,noise", "optimizer=adam,sgd", "model.discriminator.norm=layer"]
    result = command("train", "-m", *SHORT, "trainer.max_steps=1", "metrics=none", *groups)
    assert result.code == 0, result.err
    assert result.out.count("finished ") >= 8
    (sweep,) = (workdir / "outputs" / "sweeps").iterdir()
    assert len([path for path in sweep.iterdir() if path.is_dir()]) == 8


def test_a_conditional_run_is_sampled_by_label_and_scored_with_its_labels(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(command, "trainer.max_steps=4", "metrics=none", CONDITIONAL, "samples.n=30")
    assert pixels(f"{run}/samples/step_000004.png").shape == (10 * 30 + 2, 3 * 30 + 2)  # a row for each class
    drawn = command("generate", f"run={run}", "n=7", "seed=3", "label=4", "format=npz", "out=fours.npz")
    assert drawn.code == 0, drawn.err
    assert np.load("fours.npz")["labels"].tolist() == [4] * 7
    command("generate", f"run={run}", "n=12", "seed=3", "format=npz", "out=all.npz")
    assert np.load("all.npz")["labels"].tolist() == [*range(10), 0, 1]
    assert np.array_equal(np.load("all.npz")["images"][4], np.load("fours.npz")["images"][4])
    drawn = command("generate", f"run={run}", "n=40")
    assert pixels(drawn.out.strip()).shape == (10 * 30 + 2, 4 * 30 + 2)
    drawn = command("generate", f"run={run}", "n=4", "label=0")
    assert drawn.out.strip().endswith("_seed0_label0_n4.png")
    assert command("generate", f"run={run}", "label=10").err.splitlines()[-1] == "error: label=10: must be from 0 to 9"

    trained_on = []

    def score(images: Any, labels: Any, **_: Any) -> None:  # what it computes is tested in test_evaluate.py
        trained_on.append(labels)
        raise ValueError("far enough")

    monkeypatch.setattr("dcgan.reports.scoring.accuracy_score", score)
    scored = command("evaluate", f"run={run}", "num_samples=200", "cas=true", "checkpoint=last")
    assert scored.err == "error: far enough\n"
    assert trained_on[0].tolist() == [*range(10)] * 20


def test_labels_of_a_model_that_takes_none(command: Command, workdir: Path) -> None:
    run = train(command, "trainer.max_steps=1", "metrics=none")
    refused = command("generate", f"run={run}", "label=3", "checkpoint=last")
    assert refused.err == "error: label=3: this model takes no labels; leave it null, or train a conditional one\n"


def test_what_is_no_run_or_checkpoint(command: Command, workdir: Path) -> None:
    assert command("generate", "run=nowhere").err == "error: run=nowhere: no run folder with checkpoints\n"
    run = train(command, *SCORED, "trainer.max_steps=4")
    assert command("evaluate", f"run={run}", "checkpoint=7").err == f"error: checkpoint=7: {run} has best, last\n"
    path = run / "checkpoints" / "last.generator.safetensors"
    with safe_open(path, "pt") as file:
        recipe = json.loads(file.metadata()["recipe"])
    recipe["config"]["model"]["width"] = 5
    save_file(load_file(path), path, metadata={"recipe": json.dumps(recipe)})
    for entry in ("generate", "evaluate"):
        refused = command(entry, f"run={run}", "checkpoint=last")
        assert refused.err == f"error: {path}: its weights do not fit its configuration\n"
    path.write_bytes(b"half")
    assert f"{path} is not a readable generator" in command("generate", f"run={run}", "checkpoint=last").err


def test_a_run_of_another_version_is_refused_in_one_line_that_says_which(command: Command, workdir: Path) -> None:
    run = train(command, "metrics=none", "trainer.max_steps=2")
    path = run / "checkpoints" / "last.generator.safetensors"
    with safe_open(path, "pt") as file:
        recipe = json.loads(file.metadata()["recipe"])
    recipe["version"], recipe["config"]["encoder"] = "0.1.7", {"name": "none"}
    save_file(load_file(path), path, metadata={"recipe": json.dumps(recipe)})
    for entry in ("generate", "evaluate"):
        *_, line = command(entry, f"run={run}", "checkpoint=last").err.splitlines()
        assert line.startswith(f"error: {run}: was made by dcgan 0.1.7 (commit ")
        assert line.endswith("which this one, 0.2.0, does not read (encoder: no such key; --help lists them)")
    save_file(load_file(path), path, metadata={"recipe": "{}"})
    assert f"{path} is not a readable generator" in command("generate", f"run={run}", "checkpoint=last").err
    path.unlink()  # as before there were generators beside checkpoints
    *_, line = command("generate", f"run={run}", "checkpoint=last").err.splitlines()
    assert line.startswith(f"error: {run}: was made by a dcgan before 0.2.0 (commit ")
    config = run / "config.yaml"
    config.write_text(config.read_text() + "channels_last: true\n")
    (run / "provenance.jsonl").write_text("{}\n")
    line = command("train", f"resume={run}").err
    assert line.startswith(
        f"error: {run}: was made by a dcgan before 0.2.0, which this one, 0.2.0, does not read (channels_l"
    )


def test_what_draws_is_small_and_needs_no_more_than_torch(command: Command, workdir: Path) -> None:
    run = train(command, "metrics=none", "trainer.max_steps=2", "checkpoints.keep=true", "checkpoints.every=1")
    kept = {path.stem for path in (run / "checkpoints").glob("*.ckpt")}
    there = {path.name.removesuffix(".generator.safetensors") for path in run.rglob("*.generator.safetensors")}
    assert there == kept - {"previous"} == {"last", "step_000001", "step_000002"}
    loaded, whole = load_generator(run, checkpoint="last"), state(run)["state_dict"]
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, whole[f"ema.generator.{name}"]), name
    assert not torch.equal(loaded.state_dict()["body.0.weight"], whole["generator.body.0.weight"])
    picture = pixels(run / "samples" / "step_000002.png")
    assert np.array_equal(picture[2:30, 2:30], loaded.sample(n=1, seed=0)[0, 0].numpy())
    code = f"""
import sys
from dcgan import load_generator
generator = load_generator({str(run)!r}, checkpoint="last")
images = generator.sample(n=3, seed=1)
assert (images.shape, str(images.dtype)) == ((3, 1, 28, 28), "torch.uint8"), images
from dcgan.generate import generate
from dcgan.config.schema import GenerateConfig
generate(GenerateConfig({str(run)!r}, "last", 4, 0, None, "grid", None, False, "cpu"))
heavy = {{name.split(".")[0] for name in sys.modules}} & {{"lightning", "torchmetrics", "torchvision"}}
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_run_folder_tells_what_ran(command: Command, workdir: Path) -> None:
    words = ["optimizer.lr=1e-3", *SHORT, "trainer.max_steps=2", "metrics=none"]  # a long name loses its end
    run = Path(printed_run(command("train", *words).out))
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,120}", run.name)
    assert "optimizer.lr-1e-3" in run.name
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["optimizer"]["generator"]["lr"] == 1e-3
    assert config["trainer"]["precision"] in ("32-true", "bf16-mixed")  # what `auto` became
    provenance = json.loads((run / "provenance.jsonl").read_text())
    assert "optimizer.lr=1e-3" in provenance["command"]
    assert provenance["packages"]["torch"] == torch.__version__.split("+")[0]


def test_hydras_own_word_for_the_folder_is_heard(command: Command, workdir: Path) -> None:
    assert train(command, "hydra.run.dir=mine/here", "trainer.max_steps=1", "metrics=none") == Path("mine/here")
    refused = command("train", *SHORT, "hydra.run.dir=mine/here", "metrics=none")
    assert refused.err == "error: mine/here: is not empty; choose another folder, or resume=mine/here\n"
    assert json.loads(Path("mine/here/status.json").read_text())["state"] == "finished"
    assert command("train", *SHORT, "hydra.run.dir=theirs/deep", "seed=-1").code == 1
    assert not Path("theirs").exists()  # Hydra made it; nothing of ours was in it
    Path("empty").mkdir()
    assert command("train", *SHORT, "hydra.run.dir=empty", "seed=-1").code == 1
    assert Path("empty").is_dir()  # which somebody else made
    refused = command("train", "resume=mine/here", "hydra.run.dir=elsewhere", "trainer.max_steps=2")
    assert refused.err.startswith("error: hydra.run.dir=elsewhere: resume=mine/here goes on in its own folder; leave")
    refused = command("generate", "run=mine/here", "hydra.run.dir=elsewhere")
    assert refused.err == "error: hydra.run.dir=elsewhere: is of dcgan.train; here it is out=\n"
    assert not Path("elsewhere").exists()
    several = command("generate", "-m", "run=mine/here", "seed=1,2", "n=4")
    assert several.code == 0, several.err
    assert {path.name for path in Path("mine/here/generated").iterdir()} == {
        f"grid_best_seed{seed}_n4.png" for seed in (1, 2)
    }
    words = ["seed=1,2", "hydra.sweep.dir=swept", "hydra.sweep.subdir=s${seed}", "trainer.max_steps=1"]
    swept = command("train", "-m", *SHORT, "metrics=none", *words)
    assert swept.code == 0, swept.err
    assert {path.parent.name for path in Path("swept").glob("*/status.json")} == {"s1", "s2"}
    words = ["seed=1,2", "hydra.sweep.dir=one", "hydra.sweep.subdir=same", "trainer.max_steps=1"]
    assert command("train", "-m", *SHORT, "metrics=none", *words).code == 0
    assert {path.parent.name for path in Path("one").glob("*/status.json")} == {"same", "same-2"}


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (None, "2048000000000000 bytes"),  # more than any machine has
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total"), "2.50 GiB"),
        (MemoryError("Unable to allocate 3.7 GiB for an array with shape (9,)"), "3.7 GiB"),
    ],
)
def test_what_does_not_fit_into_memory_is_one_line(
    error: Exception | None, wanted: str, command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(*_: Any) -> None:
        assert error is not None
        raise error

    if error is not None:
        monkeypatch.setattr("dcgan.training.gan.GAN.training_step", step)
    words = [*SHORT, "metrics=none", "trainer.max_steps=2", *([] if error else ["model.latent_dim=1000000000000"])]
    line = f"error: out of memory ({wanted} more were asked for); lower model.width, data.batch_size or the number"
    result = command("train", *words)
    assert (result.code, result.err[: len(line)]) == (1, line)
    assert len(result.err.splitlines()) == 1


def test_what_the_environment_says_is_the_data_folder_alone(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blanks around it are none of it, and Lightning's own variables would add to what is typed and recorded."""
    monkeypatch.setenv("DCGAN_DATA", f" {mnist_root} ")
    monkeypatch.setenv("PL_TRAINER_GRADIENT_CLIP_VAL", "0.1")
    monkeypatch.setenv("PL_TRAINER_LIMIT_TRAIN_BATCHES", "1")
    run = train(command, "trainer.max_steps=2", "metrics=none")
    assert state(run)["global_step"] == 2
    assert {path.name for path in workdir.iterdir()} == {"outputs"}


def test_a_home_folder_is_understood_in_every_path(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(workdir / "home"))
    (workdir / "home").mkdir()
    (workdir / "home" / "data").symlink_to(mnist_root)
    monkeypatch.setenv("DCGAN_DATA", "")  # as if unset
    run = train(command, "data.root=~/data", "hydra.run.dir=~/run", "trainer.max_steps=2", "metrics=none")
    assert run == workdir / "home" / "run"
    assert command("train", "resume=~/run", "trainer.max_steps=3", "data.root=~/data").code == 0
    drawn = command("generate", "run=~/run", "n=4", "out=~/four.npz", "format=npz")
    assert drawn.out.strip() == str(workdir / "home" / "four.npz")
    scored = command("evaluate", "samples=~/four.npz", "out=~/scores", "data.root=~/data", "num_samples=10")
    assert "samples=" + str(workdir / "home" / "four.npz") in scored.err  # too few, and where
    assert command("evaluate", "run=~/run", "out=~/scores", "num_samples=20").code == 0
    assert (workdir / "home" / "scores" / "metrics.jsonl").is_file()
    assert not list(workdir.rglob("~"))
    assert (
        command("train", *SHORT, "data.root=").err
        == "error: data.root=: must be a path; leave it out for the default\n"
    )


def test_what_users_type_trains_on_the_cpu_with_one_warning(command: Command, workdir: Path) -> None:
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    words = [word for word in SHORT if not word.startswith("trainer.gpus")]
    result = command("train", "model=dcgan", "trainer.gpus=1", *words, "trainer.max_steps=2", "metrics=none")
    assert result.code == 0
    assert result.err == "warning: trainer.gpus=1: no accelerator on this machine; training on the CPU\n"


AT_HAND = [name for name in options("data") if CATALOGUE[name].package or CATALOGUE[name].made_of]


@pytest.mark.parametrize(
    "words",
    [
        *(["d_steps=2"], ["data.resolution=32", "data.channels=3"], ["trainer=debug"], ["logger=csv"], ["logger=none"]),
        *([f"data={name}", f"model.conditional={on}"] for name in AT_HAND for on in (False, True)),
    ],
)
def test_every_axis_takes_steps(words: list[str], command: Command, workdir: Path) -> None:
    run = train(command, "trainer.max_steps=3", "metrics=none", *words)
    assert state(run)["global_step"] == 3


def test_epochs_and_other_trainer_arguments_hold(command: Command, workdir: Path) -> None:
    words = ["trainer.max_steps=-1", "trainer.max_epochs=2", "trainer.limit_train_batches=3"]
    run = train(command, *SCORED, *words, "metrics.every=100")
    assert state(run)["global_step"] == 6
    records = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(record)["step"] for record in records] == [6]  # the end is always evaluated


# --- sweeps


# --- what is trained on


def test_training_never_asks_for_the_test_split(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But the monitor does, which shows D some of its images: nothing is chosen by what it says of those."""
    asked = []

    def load(name: str, root: Path, *, split: str) -> Any:
        asked.append(split)
        return read_idx_files(name, root, split=split)

    monkeypatch.setitem(READERS, "idx", load)
    run = train(command, *SCORED, "trainer.max_steps=4", "health=off")
    assert set(asked) == {"train"}
    command("evaluate", f"run={run}", "num_samples=60")
    assert "test" in asked


def test_inception_without_weights_is_refused_before_anything_starts(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path_factory.mktemp("hub")))
    monkeypatch.setattr("dcgan.features.spaces.URL_INCEPTION_V3", "http://127.0.0.1:9/weights-6726825d.pth")
    refused = command("train", *SHORT, "metrics=inception")
    assert refused.code == 1
    (line,) = refused.err.splitlines()
    assert line.startswith("error: metrics=inception: its weights are not at")
    assert not list(workdir.iterdir())


def test_evaluate_says_which_keys_are_its_own(command: Command, workdir: Path) -> None:
    run = train(command, "trainer.max_steps=2", "metrics=none")
    for words, line in [
        (["metrics=digits", "metrics.num_samples=50"], "metrics.num_samples=50: is how often training evaluates"),
        (["metrics=none"], "metrics=none: nothing to evaluate with; take digits, fashion, stacked, own or incep"),
    ]:
        assert command("evaluate", f"run={run}", *words).err.startswith(f"error: {line}")
    assert "fid_digits_test_60" in command("evaluate", f"run={run}", "num_samples=60", "checkpoint=last").out


# --- resume


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = read("mnist", mnist_root, split="train")
    monkeypatch.setitem(READERS, "idx", lambda *_, **__: (images[:60], labels[:60]))  # 3 steps of 16 an epoch
    straight = train(command, *SCORED, "name=straight", "trainer.max_steps=9")
    for first in (2, 3):  # in the middle, and at the end of an epoch
        run = train(command, *SCORED, f"name=cut{first}", f"trainer.max_steps={first}")
        resumed = command("train", f"resume={run}", "trainer.max_steps=9")
        assert resumed.code == 0, resumed.err
        assert printed_run(resumed.out) == str(run)
        assert_same(state(run), state(straight))
        assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_steps"] == 9
        assert len((run / "provenance.jsonl").read_text().splitlines()) == 2
        spent = [json.loads(line)["cpu_seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert spent[0] > 0
        assert spent == sorted(set(spent))


def test_everything_random_resumes_exactly(command: Command, workdir: Path) -> None:
    """Dropout, penalties, augmentation, flips, power iterations, codes, schedules."""
    words = [
        *("d_steps=2", "loss.label_flipping=0.3", "penalty=dragan", "penalty.every=2", "augment=diffaugment"),
        *("model.discriminator.dropout=0.4", "model.discriminator.norm=spectral", "model.conditional=true"),
        *("optimizer.schedule=cosine", "optimizer.warmup=2", "metrics=none", "trainer.max_steps=6"),
    ]
    straight = train(command, "name=straight", *words)
    run = train(command, "name=cut", *words, "checkpoints.keep=true", "checkpoints.every=3")
    (run / "checkpoints/step_000003.ckpt").replace(run / "checkpoints/last.ckpt")
    resumed = command("train", f"resume={run}")
    assert resumed.code == 0, resumed.err
    assert_same(state(run), state(straight))


@pytest.mark.parametrize("word", ["trainer.max_steps=4", "trainer.max_epochs=4", "trainer.max_time=00:00:09:00"])
def test_a_run_whose_rate_falls_to_zero_is_not_made_longer(word: str, command: Command, workdir: Path) -> None:
    run = train(command, "trainer.max_steps=2", "metrics=none", "optimizer.schedule=linear")
    refused = command("train", f"resume={run}", word)
    then = "2" if "steps" in word else "None"
    line = f"error: {word}: the run {run} has {then}, over which its learning rate falls (optimizer.schedule"
    assert refused.err.startswith(line)


def test_epochs_are_counted_on_over_a_resume(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = read("mnist", mnist_root, split="train")
    monkeypatch.setitem(READERS, "idx", lambda *_, **__: (images[:60], labels[:60]))  # 3 steps of 16 an epoch
    run = train(command, "metrics=none", "trainer.max_steps=5")
    resumed = command("train", f"resume={run}", "trainer.max_steps=-1", "trainer.max_epochs=4")
    assert resumed.code == 0, resumed.err
    assert state(run)["global_step"] == 12


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["optimizer.warmup=9"], "optimizer.warmup=9: the run ended at step 3, before its rates had risen"),
        (["penalty=r1", "penalty.every=4"], "penalty.every=4: the run ended at step 3, before its first penalty"),
        (["penalty=r1", "penalty.every=3"], ""),
    ],
)
def test_what_a_run_by_epochs_was_too_short_for_is_said(
    words: list[str], note: str, command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = read("mnist", mnist_root, split="train")
    monkeypatch.setitem(READERS, "idx", lambda *_, **__: (images[:60], labels[:60]))  # 3 steps of 16 an epoch
    by_epochs = ["trainer.max_steps=-1", "trainer.max_epochs=1", "model.discriminator.norm=none"]
    result = command("train", *TINY, "metrics=none", *by_epochs, *words)
    assert (result.code, result.err) == (0, f"note: {note}\n" if note else "")


def test_the_words_that_started_a_run_go_on_with_it_though_a_recipes_key_was_dropped(
    command: Command, workdir: Path
) -> None:
    words = ["experiment=quick", "model=mlp", "optimizer=sgd", "data.batch_size=16", "metrics=none"]
    run = train(command, *words, "trainer.max_steps=2", "optimizer.schedule=constant")
    words += [word for word in SHORT if not word.startswith("trainer.max_steps")]
    again = command("train", *words, "optimizer.schedule=constant", "trainer.max_steps=3", f"resume={run}")
    assert again.code == 0, again.err


def test_resume_refuses_what_would_make_it_another_run(command: Command, workdir: Path) -> None:
    run = train(command, "trainer.max_steps=2", "metrics=none")
    before = state(run)
    for word, line in [
        ("optimizer.lr=0.1", f"optimizer.lr=0.1: the run {run} has 0.002; leave it, or start a new run"),
        ("model=mlp", f"model.name=mlp: the run {run} has dcgan; leave it, or start a new run"),
        ("trainer.max_steps=2", f"resume={run}: it stands at step 2 of trainer.max_steps=2; type a larger one"),
        ("trainer.precision=16-mixed", "trainer.precision=16-mixed: the run"),
        ("trainer.max_stepz=2", "trainer.max_stepz: no such key; did you mean trainer.max_steps?"),
    ]:
        refused = command("train", f"resume={run}", word)
        assert refused.err.startswith(f"error: {line}")
    assert_same(state(run), before)


def test_a_run_whose_rates_have_fallen_is_not_told_to_go_on(command: Command, workdir: Path) -> None:
    words = ["trainer.max_steps=2", "metrics=none", "optimizer.schedule=linear"]
    run = train(command, *words)
    refused = command("train", *TINY, *words, f"resume={run}")
    generator = f"{run}/checkpoints/last.generator.safetensors"
    assert refused.err.endswith(f"its rates have fallen to the end; start a new run, or one with init={generator}\n")
    assert command("train", *TINY, *words, f"init={generator}", "name=again").code == 0


@pytest.mark.parametrize(
    "words",
    [["trainer.max_epochs=2"], ["trainer.max_epochs=2", "checkpoints.every=6"], ["trainer.max_time=00:00:00:01"]],
)
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_a_run_that_has_had_its_epochs_or_time_stays_as_it_is(
    words: list[str], schedule: str, command: Command, workdir: Path
) -> None:
    run = train(command, "metrics=none", f"optimizer.schedule={schedule}", "trainer.max_steps=-1", *words, *FEW)
    files = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    over = f"error: resume={run}: it stands at step {result_of(run)['steps']}, a"
    more = "type a larger one\n" if schedule == "constant" else f"; start a new run, or one with init={run}/check"
    least = [words[0].replace("=2", "=1")] if schedule == "constant" else []
    for again in ([], least):
        refused = command("train", f"resume={run}", *again)
        assert (refused.code, refused.err.startswith(over), more in refused.err) == (1, True, True), refused.err
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == files
    if schedule == "constant":
        longer = words[0].replace("=2", "=3").replace(":01", ":02")
        assert command("train", f"resume={run}", longer).code == 0
        assert result_of(run)["steps"] > 0


FEW = ["trainer.limit_train_batches=3"]


def result_of(run: Path) -> dict[str, Any]:
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished"
    return dict(status["results"])


def test_what_lightning_refuses_only_when_it_starts_is_one_line(command: Command, workdir: Path) -> None:
    refused = command("train", *TINY, "metrics=none", "trainer.limit_train_batches=0.00001")
    assert refused.err.startswith("error: trainer: You requested to check 1e-05 of the `train_dataloader`")
    assert refused.err.count("\n") == 1


# --- in processes of their own


def spawn(*words: str, entry: str = "train") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"dcgan.{entry}", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the suite may run under nohup, and the child would inherit that
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(pattern: str, process: subprocess.Popen[str]) -> None:
    """Until the process has written a file of that pattern."""
    deadline = time.time() + 120
    while not list(Path.cwd().glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.time() < deadline
        time.sleep(0.1)


@pytest.mark.fault("SIGINT, SIGTERM, SIGHUP")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.trials),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.trials),
    ],
)
def test_a_signal_saves_and_says_how_to_go_on(
    number: signal.Signals, code: int, command: Command, workdir: Path
) -> None:
    words = [*SHORT, "trainer.max_steps=100000", "metrics=none", "samples.every=100000", "checkpoints.every=100000"]
    process = spawn(*words)
    wait_for("outputs/*/samples/step_000000.png", process)
    time.sleep(1)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert f"{number.name}: finishing the step and saving" in err
    run = Path(printed_run(out))
    step = state(run)["global_step"]
    assert step > 0
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    (line,) = re.findall(r"go on +python -m dcgan.train (.*)", out)

    resumed = command("train", *line.split(), f"trainer.max_steps={step + 2}")
    assert resumed.code == 0, resumed.err
    straight = train(command, "metrics=none", f"trainer.max_steps={step + 2}", "samples.every=100000")
    assert_same(state(run), state(straight))


def test_a_second_signal_stops_at_once_and_still_says_how_to_go_on(workdir: Path) -> None:
    slow = ["model.width=32", "data.batch_size=2000", "checkpoints.every=1", "metrics=none", "trainer.max_steps=1000"]
    process = spawn(*SHORT, *slow)
    wait_for("outputs/*/checkpoints/last.ckpt", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    (run,) = (workdir / "outputs").iterdir()
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert f"python -m dcgan.train resume={run.relative_to(workdir)}" in out + err
    assert "Traceback" not in err
    assert state(run)["global_step"] >= 1


def test_ranks_that_a_template_left_empty_are_none(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "", "LOCAL_RANK": " ", "SLURM_PROCID": "$SLURM_PROCID"}.items():
        monkeypatch.setenv(name, value)
    process = spawn(*SHORT, "metrics=none", "trainer.max_steps=1")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert Path(printed_run(out)).is_dir()


@pytest.mark.fault("SIGTERM to one of two processes")
@pytest.mark.trials
def test_a_signal_to_one_of_two_processes_stops_both(workdir: Path) -> None:
    words = ["metrics=none", "trainer.max_steps=100000", "samples.every=100000", "trainer.gpus=auto"]
    words += ["trainer.strategy=ddp"]  # as people type it
    process = spawn(*SHORT, *words, "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=16")
    try:
        wait_for("outputs/*/checkpoints/last.ckpt", process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, err
    step = state(Path(printed_run(out)))["global_step"]
    assert f"stopped at step {step} " in out


def test_two_processes_make_one_run(workdir: Path) -> None:
    words = [*SCORED, "trainer.max_steps=5", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.gpus=auto"]
    process = spawn(*SHORT, *words, "data.batch_size=16")
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    (run,) = (workdir / "outputs").iterdir()
    assert printed_run(out) == str(run.relative_to(workdir))
    assert state(run)["global_step"] == 5
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4, 5]
    assert len((run / "provenance.jsonl").read_text().splitlines()) == 1


def looks(run: Path) -> list[dict[str, float]]:
    """What a monitor saw of samples, step by step."""
    with (run / "csv" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["health/rank"]]
    assert len(rows) == 3
    return [{name: float(row[f"health/{name}"] or 0) for name in ("rank", "spread", "moved")} for row in rows]


def curves(run: Path) -> list[dict[str, float]]:
    """What was logged of the steps that were shown."""
    with (run / "csv" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss/generator"]]
    assert rows
    kinds = ("loss/", "logits/", "accuracy/", "probability/", "grad_norm/")
    return [{name: float(value) for name, value in row.items() if name.startswith(kinds)} for row in rows]


@pytest.mark.fault("another number of processes")
def test_two_processes_compute_what_one_does(command: Command, workdir: Path) -> None:
    """With all that draws or judges: latents, codes, penalty, augmentation, labels, spectral norm, clipping, looks."""
    words = [
        *("model.conditional=true", "model.discriminator.norm=spectral", "model.norm=layer", "loss=relativistic"),
        *("penalty=wgan_gp", "augment=diffaugment", "optimizer.clip=1", "trainer.precision=32-true"),
        *("metrics=none", "trainer.max_steps=3", "d_steps=2", "seed=4", "ema.half_life=1"),
        *("logger=csv", "health.every=1"),
    ]
    one = train(command, *words, "data.batch_size=16", "name=one")
    process = spawn(
        *SHORT,
        *words,
        "data.batch_size=16",
        "name=two",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.gpus=auto",
    )
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    two = Path(printed_run(out))
    alone, together = state(one)["state_dict"], state(two)["state_dict"]
    for seen, expected in zip(looks(two), looks(one), strict=True):
        assert seen == pytest.approx(expected, rel=1e-3)
    for seen, expected in zip(curves(two), curves(one), strict=True):
        assert seen == pytest.approx(expected, rel=1e-2, abs=1e-4)  # of both, not of the first one's share
    start = build_gan(config(*words)).state_dict()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-3, atol=2e-5, msg=name)
    assert moved(start, alone) == {"generator", "discriminator", "ema"}


def test_a_sweep_over_several_devices_is_refused(command: Command, workdir: Path) -> None:
    words = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.gpus=auto", "seed=0,1", "metrics=none"]
    result = command("train", "-m", *SHORT, *words)
    assert result.code == 1
    assert result.err.count("error: trainer.devices=2: a job of a sweep trains on one device; take 1\n") == 2


SHELL = """
import sys
from dcgan.shell.cli import cli
from dcgan.{entry} import main
try:
    cli("{entry}", main)
except SystemExit:
    pass
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("entry", ["train", "evaluate", "generate", "export", "demo", "tune"])
@pytest.mark.parametrize("word", ["--help", "--cfg=job", "seeed=1"])
def test_help_and_unknown_keys_answer_without_torch(entry: str, word: str, workdir: Path) -> None:
    command = [sys.executable, "-c", SHELL.format(entry=entry), word]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


MISTAKES = ["optimizer.lr=-1", "model=dcgn", "penalty=r1", "trainer.accumulate_grad_batches=2", "trainer.precision=8"]
MISTAKES += ["trainer.gpus=some", "model.depth=3", "model=mlp model.dense_units=8", "model=mlp model.upsample=nearest"]
MISTAKES += ["model=resnet model.base_convs=1", "data=stacked_mnist model.conditional=true metrics.num_samples=500"]


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_answer_without_torch(words: str, workdir: Path) -> None:
    command = [sys.executable, "-c", SHELL.format(entry="train"), *words.split()]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_a_closed_pipe_is_no_mistake_of_the_users(workdir: Path) -> None:
    """As ``--help | head`` closes it."""
    command = [sys.executable, "-m", "dcgan.train", "--help"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_help_lists_groups_and_keys(workdir: Path) -> None:
    out, _ = spawn("--help").communicate()
    for part in ("model: dcgan, mlp", "d_steps: 1", "python -m dcgan.train [group=option ...]"):
        assert part in out


@pytest.mark.parametrize("entry", sorted({*ENTRIES} - {"train", "tune"}))
def test_help_lists_no_groups_that_would_be_refused(entry: str, workdir: Path) -> None:
    out, _ = spawn("--help", entry=entry).communicate()
    assert f"python -m dcgan.{entry} [" in out
    assert "penalty" not in out
