"""One's own images, from the folder to samples: the commands as a person types them."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import TINY, Result, printed_run
from PIL import Image

from dcgan.config.catalogue import CATALOGUE
from dcgan.data.readers import READERS, read
from dcgan.features.spaces import load_feature_space

Command = Callable[..., Result]
SHORT = [*TINY, "samples.every=4", "checkpoints.every=4", "metrics=none"]


def pictures(folder: Path, *, size: int = 12, number: int = 24, colour: bool = True) -> Path:
    """Two classes, red and green, or the second alone."""
    rng = np.random.default_rng(0)
    for i in range(number):
        image = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
        image[..., i % 2] += 160
        path = folder / ("red", "green")[i % 2] / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if colour else image[..., 0]).save(path)
    return folder


def state(run: Path | str) -> dict[str, Any]:
    return torch.load(Path(run) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(one: Path | str, other: Path | str) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def train(command: Command, *words: str) -> tuple[Path, Result]:
    result = command("train", *SHORT, *words)
    assert result.code == 0, result.err
    return Path(printed_run(result.out)), result


def test_train_resume_evaluate_and_generate(command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = pictures(workdir / "mine")
    words = ["data=folder", f"data.folder={mine}", "data.batch_size=8", "model.conditional=true"]
    run, result = train(command, *words, "trainer.max_steps=4")
    first = result.err.splitlines()[0]
    assert first.startswith(f"note: data.folder={mine}: ")
    assert first.endswith("2 classes (green, red); data.resolution=12, data.channels=3 (colour)")
    saved = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (saved["classes"], saved["resolution"], saved["channels"]) == (["green", "red"], 12, 3)

    refused = command("train", f"resume={run}", "trainer.max_steps=6")
    assert refused.err.startswith(f"error: data.folder: the run had {mine}; a run folder chooses no path here: type ")
    shutil.move(mine, workdir / "moved")
    there = ["data=folder", f"data.folder={workdir / 'moved'}"]
    resumed = command("train", f"resume={run}", *there, "trainer.max_steps=6")
    assert resumed.code == 0, resumed.err
    whole, _ = train(command, *words[2:], *there, "trainer.max_steps=6")
    assert_same(run, whole)

    refused = command("evaluate", f"run={run}", there[1], "checkpoint=last")
    assert refused.err.startswith(
        "error: metrics=: no feature space that ships knows data=folder; say metrics=own, which"
    )
    digits = load_feature_space("digits")
    monkeypatch.setattr("dcgan.reports.scoring.load_feature_space", lambda *_, **__: digits)
    refused = command("evaluate", f"run={run}", "checkpoint=last", "metrics=inception")
    assert refused.err.startswith(f"error: data.folder: the run had {workdir / 'moved'}; a run folder chooses no path")
    scored = command(
        "evaluate", f"run={run}", "checkpoint=last", "metrics=inception", there[1], "num_samples=20", "split=train"
    )
    assert scored.code == 0, scored.err
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert (record["data"], record["resolution"]) == ("folder", 12)

    drawn = command("generate", f"run={run}", "n=30", "format=npz", "out=drawn.npz")
    assert drawn.code == 0, drawn.err
    theirs = ["samples=drawn.npz", "data.name=folder", "metrics=inception", "num_samples=20"]
    assert command("evaluate", *theirs).err.startswith("error: data.folder: no value; data.name=folder needs it")
    few = command("evaluate", *theirs, there[1])
    assert "error: split=test: folder has " in few.err
    scored = command("evaluate", *theirs, there[1], "split=train")
    assert scored.code == 0, scored.err
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(workdir / "moved" / "red" / "new.png")
    refused = command("train", f"resume={run}", *there, "trainer.max_steps=8")
    assert refused.err == f"error: {there[1]}: holds other images than the run was trained on\n"


def test_a_zip_of_grey_images_trains_as_the_folder_does(command: Command, workdir: Path) -> None:
    mine = pictures(workdir / "mine", colour=False)
    with zipfile.ZipFile(workdir / "mine.zip", "w") as archive:
        for file in mine.rglob("*.png"):
            archive.write(file, file.relative_to(workdir))
    words = ["data=folder", "data.batch_size=8", "trainer.max_steps=2"]
    runs = [
        train(command, *words, f"data.folder={path}", f"name={path.stem}{i}")[0]
        for i, path in enumerate((mine, workdir / "mine.zip"))
    ]
    assert_same(*runs)


def test_the_same_line_goes_on(command: Command, workdir: Path) -> None:
    mine = pictures(workdir / "mine")
    words = ["data=folder", f"data.folder={mine}", "data.batch_size=8", "name=n", "resume=auto"]
    train(command, *words, "trainer.max_steps=2")
    again = command("train", *SHORT, *words, "trainer.max_steps=4")
    assert (again.code, "finished step 4" in again.out) == (0, True), again.err


def test_a_sweep_over_them_goes_on(command: Command, workdir: Path) -> None:
    """What their resolution is was inferred, and the line that was typed does not say it."""
    pictures(workdir / "mine")
    line = ["-m", *SHORT, "data=folder", "data.folder=mine", "data.batch_size=8", "trainer.max_steps=2", "name=own"]
    assert command("train", *line, "seed=0,1").code == 0
    more = command("train", *line, "seed=0,1,2")
    assert more.code == 0, more.err
    assert more.out.startswith("sweep outputs/sweeps/own: 3 jobs (2 finished already)\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["data=folder"], "data.folder: no value; give it as data.folder=..."),
        (["data.folder=mine"], "data.folder"),
        (["data=folder", "data.folder=nowhere"], "data.folder=nowhere: no such file or folder"),
        (
            ["data=folder", "data.folder=mine/red", "model.conditional=true"],
            "model.conditional=true: data.folder=mine/",
        ),
        (
            ["data=folder", "data.folder=short.npz", "model.conditional=true"],
            "model.conditional=true: data.folder=short.npz has no labels of two classes (a folder each, or an array of "
            "labels); leave it false; its labels are not used: they must be 20 whole numbers, 0 or more, one for each "
            "image; there are 19",
        ),
        (
            ["data=folder", "data.folder=mine", "metrics=digits"],
            "metrics=digits: knows mnist, not folder; use metrics=o",
        ),
        (
            ["data=folder", "data.folder=mine", "data.batch_size=64"],
            "data.batch_size=64 with d_steps=1 needs 64 images",
        ),
        (["data=folder", "data.folder=mine", "model.depth=3"], "model.depth=3: data.resolution=12 cannot be halved so"),
        (["data=folder", "data.folder=mine", "data.unreadable=ask"], "data.unreadable=ask: must be one of stop, skip"),
        (["data=idx", "data.folder=mine"], "data.folder=mine: has no train-images-idx3-ubyte, train-labels-idx1-ubyte"),
        (["data=idx", "data.folder=mine", "data.background=white"], "data.background"),
    ],
)
def test_mistakes_are_one_line_and_start_nothing(words: list[str], line: str, command: Command, workdir: Path) -> None:
    pictures(workdir / "mine")
    shades = np.arange(100, 120, dtype=np.uint8)[:, None, None] * np.ones((12, 12), np.uint8)
    np.savez("short.npz", images=shades, labels=np.arange(19))
    usual = [word for word in SHORT if word != "metrics=none"]
    result = command("train", *usual, "data.batch_size=8", *words)
    last = result.err.splitlines()[-1]
    assert (result.code, last.startswith(f"error: {line}")) == (1, True), result.err
    assert not (workdir / "outputs").exists()


def test_fashion_mnist_as_png_files_trains_to_the_same_weights_bit_by_bit(
    command: Command, workdir: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {
        split: [values[:300] for values in read("fashion_mnist", mnist_root, split=split)]
        for split in ("train", "test")
    }
    monkeypatch.setitem(READERS, CATALOGUE["fashion_mnist"].reader, lambda name, root, *, split: tuple(some[split]))
    for split, (images, labels) in some.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = workdir / "png" / split / str(int(label)) / f"{i:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(path)
    words = ["trainer.max_steps=8", "model.conditional=true"]
    assert_same(
        train(command, *words, "data=folder", "data.folder=png")[0],
        train(command, *words, "data=fashion_mnist")[0],
    )


def test_kmnist_is_read_where_its_files_are(command: Command, workdir: Path, mnist_root: Path) -> None:
    """Which cannot be fetched here: with another's of the same form."""
    raw = workdir / "root" / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in CATALOGUE["kmnist"].files:
        (raw / name).symlink_to(mnist_root / "MNIST" / "raw" / name)
    assert_same(
        train(command, "data=kmnist", "data.root=root", "trainer.max_steps=2")[0],
        train(command, "trainer.max_steps=2")[0],
    )
    folder = ["data=idx", f"data.folder={raw}", "trainer.max_steps=2"]
    assert_same(train(command, *folder)[0], train(command, "trainer.max_steps=2", "name=again")[0])


@pytest.mark.parametrize(("name", "size"), [("folder_small", 28), ("folder_64", 64)])
def test_the_recipes_for_ones_own_images_take_a_step(name: str, size: int, command: Command, workdir: Path) -> None:
    mine = pictures(workdir / "mine", size=size + 2)
    words = ["data.batch_size=8", "model.width=4", "trainer.max_steps=1"]
    run, result = train(command, f"experiment={name}", f"data.folder={mine}", *words)
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert (saved["data"]["resolution"], saved["data"]["channels"]) == (size, 1 if size == 28 else 3)
    assert "images are few, and a discriminator soon knows them by heart: try augment=diffaugment" in result.err
    typed = command("train", f"experiment={name}", f"data.folder={mine}", "--cfg", "job")
    assert "name: own" in typed.out
