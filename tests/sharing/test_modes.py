import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Result
from PIL import Image
from synthetic import write_generators

from dcgan.data.images import save_png
from dcgan.data.module import InMemory
from dcgan.metrics.copies import Neighbours
from dcgan.runs.load import load_generator
from dcgan.sharing.asked import nearest
from dcgan.sharing.compare import in_words, of_classes
from dcgan.sharing.sheet import sheet, three
from dcgan.sharing.weights import generator_of, untrained
from dcgan.sharing.writing import MARGIN


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def done(result: Result) -> str:
    assert result.code == 0, result.err
    return result.out.strip()


def cell(picture: np.ndarray, row: int, column: int, *, left: int, top: int) -> np.ndarray:
    """An image of 28 pixels, each of them 2 x 2, in a picture with a name above."""
    side = 2 * 28 + 2
    return picture[top + 2 + row * side :, left + 2 + column * side :][:56, :56][::2, ::2]


# --- progress


def test_progress_has_no_step_0_of_a_run_that_began_with_other_weights_than_its_seeds(
    workdir: Path, command: Any
) -> None:
    write_generators(Path("run"), "init=somebodys.safetensors", "samples.n=10", steps=(100, 200))
    out = done(command("generate", "run=run", "mode=progress", "n=3"))
    assert pixels(out).shape[1] == MARGIN + 2 * 58 + 2 + MARGIN


def test_progress_shows_the_same_latents_at_every_step(workdir: Path, command: Any) -> None:
    run = write_generators(Path("run"), "model.conditional=true", "samples.n=10", steps=(100, 200))
    out = done(command("generate", "run=run", "mode=progress", "n=3", "seed=5"))
    strip, top = pixels(out), 12 + 2 * MARGIN
    last = load_generator(run, checkpoint="last")
    loaded = generator_of(run, checkpoint="last", device="cpu", weights="averaged")
    first = untrained(loaded.config, device="cpu", weights="averaged")
    for column, generator in enumerate((first, load_generator(run, checkpoint=100), last)):
        for row, image in enumerate(generator.sample(n=3, seed=5)):
            assert np.array_equal(cell(strip, row, column, left=MARGIN, top=top), image[0].numpy()), (row, column)
    assert strip.shape[1] == MARGIN + 3 * 58 + 2 + MARGIN
    film = done(command("generate", "run=run", "mode=progress", "format=gif", "n=3"))
    with Image.open(film) as frames:
        assert frames.n_frames == 3
    one = done(command("generate", "run=run", "mode=progress", "steps=[90]", "n=3", "out=one.png"))
    assert pixels(one).shape[1] == MARGIN + 58 + 2 + MARGIN


def test_what_a_run_was_before_its_first_step_follows_from_its_seed(workdir: Path, command: Any) -> None:
    words = ["model.width=4", "data.batch_size=16", "samples.n=4", "trainer.gpus=0", "metrics=none", "logger=none"]
    done(command("train", *words, "trainer.max_steps=1", "trainer.enable_progress_bar=false", "hydra.run.dir=run"))
    loaded = generator_of(Path("run"), checkpoint="last", device="cpu", weights="averaged")
    first = untrained(loaded.config, device="cpu", weights="averaged")
    grid = pixels("run/samples/step_000000.png")
    assert np.array_equal(grid[2:30, 2:30], first.sample(n=1, seed=loaded.config.seed)[0, 0].numpy())
    raw = generator_of(Path("run"), checkpoint="last", device="cpu", weights="raw").generator
    state = torch.load("run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, state[f"generator.{name}"]) for name, value in raw.state_dict().items())
    assert not torch.equal(raw.sample(n=4, seed=1), loaded.generator.sample(n=4, seed=1))


def test_a_run_that_kept_only_grids_shows_those(workdir: Path, command: Any) -> None:
    run = write_generators(Path("run"), steps=(200,))
    shutil.rmtree(run / "checkpoints")
    grids = torch.randint(0, 255, (3, 1, 3 * 30 + 2, 3 * 30 + 2)).byte()
    for step, grid in zip((0, 100, 200), grids, strict=True):
        save_png(grid, run / "samples" / f"step_{step:06d}.png")
    strip = pixels(done(command("generate", "run=run", "mode=progress", "n=2")))
    for column in range(3):
        found = cell(strip, 1, column, left=MARGIN, top=12 + 2 * MARGIN)
        assert np.array_equal(found, grids[column, 0, 32:60, 2:30].numpy())
    refused = command("generate", "run=run", "mode=progress", "seed=3")
    assert refused.err.startswith(
        "error: seed=3: run kept only grids of what it drew then (checkpoints.keep=true keeps"
    )
    for mode in ("progress", "sheet"):
        assert "no grids" in command("generate", "run=nowhere", f"mode={mode}").err


def test_moments() -> None:
    assert three(range(0, 10_001, 500)) == [0, 1000, 10_000]
    assert three([0, 100, 200, 300]) == [0, 100, 300]
    assert three([5]) == [5]
    assert nearest([0, 100, 200, 300], [90, 120, 1000]) == [100, 300]
    assert nearest([], [5]) == []


# --- compare


def test_each_sample_stands_beside_its_nearest_training_image(
    workdir: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_generators(Path("run"), "model.conditional=true", "samples.n=10")
    copied = load_generator(run, checkpoint="last").sample(n=3, seed=5)
    noise = torch.randint(0, 255, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    train, test = (torch.cat([noise[:10], copied]), torch.zeros(13)), (noise[10:], torch.arange(10))
    monkeypatch.setattr("dcgan.data.module.read", lambda *_, split: train if split == "train" else test)
    picture = pixels(done(command("generate", "run=run", "checkpoint=last", "mode=compare", "n=3", "seed=5")))
    side, top = 3 * 28 + 2, 2 + MARGIN + 12 + 2 * MARGIN
    for row in range(3):
        cells = picture[top + row * side :][: side - 2]
        image = copied[row, 0].repeat_interleave(3, 0).repeat_interleave(3, 1).numpy()
        places = [x for x in range(cells.shape[1] - 84) if np.array_equal(cells[:, x : x + 84], image)]
        assert places[1] - places[0] == side  # the sample, and beside it its copy


def test_unseen_images_are_of_the_classes_of_the_samples() -> None:
    real = InMemory(torch.arange(6).view(6, 1, 1, 1), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert of_classes(real, torch.tensor([1, 0, 1, 1, 1]), n=5).flatten().tolist() == [3, 0, 4, 5, 3]
    assert of_classes(real, None, n=3).flatten().tolist() == [0, 2, 5]
    near = Neighbours(torch.tensor([[1.5, 2.0]]), torch.tensor([[0, 1]]))
    assert "nearest of 60,000 training images" in in_words(near, near, num_train=60_000)
    assert "median 1.50" in in_words(near, near, num_train=60_000)


def test_labels_as_often_as_in_the_data_which_only_the_command_line_finds(
    workdir: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_generators(Path("run"), "model.conditional=true", "samples.n=10")
    labels = torch.tensor([0] * 15 + [9] * 5)
    monkeypatch.setattr("dcgan.data.module.read", lambda *_, split: (torch.zeros(20, 1, 28, 28).byte(), labels))
    done(command("generate", "run=run", "checkpoint=last", "labels=data", "n=40", "format=npz", "out=a"))
    found = np.bincount(np.load("a.npz")["labels"])
    assert (found.sum(), found[1:9].sum(), abs(found[0] - 30) < 3) == (40, 0, True)
    write_generators(Path("own"), "data=folder", "data.folder=theirs", "data.resolution=28", "data.channels=1")
    refused = command("generate", "run=own", "checkpoint=last", "mode=compare")
    assert refused.err.startswith("error: data.folder: the run had theirs; a run folder chooses no path here: type")


# --- sheet


def test_a_sheet_has_the_grids_and_the_curves(workdir: Path, command: Any) -> None:
    run = Path("run")
    for step in (0, 100, 1000):
        save_png(torch.full((3, 92, 92), step // 5).byte(), run / "samples" / f"step_{step:06d}.png")
    bare = command("generate", "run=run", "mode=sheet", "out=bare.png")
    assert bare.err == "note: run has no losses and accuracies: logger=tensorboard and logger=csv keep them\n"
    (run / "csv" / "version_0").mkdir(parents=True)
    tags = ["step", "loss/discriminator", "loss/generator", "accuracy/real", "accuracy/fake"]
    with (run / "csv/version_0/metrics.csv").open("w") as file:
        csv.writer(file).writerows([tags, *([step, 1.0, 2.0, 0.7, 0.6] for step in range(0, 1001, 10))])
    assert pixels(done(command("generate", "run=run", "mode=sheet"))).shape > pixels(done(bare)).shape
    curves = {tag: dict.fromkeys(range(0, 1001, 10), 1.0) for tag in tags[1:]}
    figure = sheet({0: run / "samples/step_000000.png", 100: run / "samples/step_000100.png"}, curves, title="$x")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["step 0", "step 100", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes[2:]] == ["loss", "share that D gets right"]
    assert [[line.get_label() for line in axes.get_lines()[2:]] for axes in figure.axes[2:]] == [
        ["D", "G"],
        ["real images", "fakes"],
    ]
    (run / "samples/step_000100.png").write_bytes(b"half")
    assert "cannot be read" in command("generate", "run=run", "mode=sheet", "out=b.png").err
