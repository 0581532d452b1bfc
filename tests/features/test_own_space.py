"""``metrics=own``: an extractor trained on the images themselves, from the folder to the page."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, Result, printed_run
from filelock import FileLock
from PIL import Image, ImageDraw
from torch import Tensor

from dcgan.data.module import ImageData, InMemory
from dcgan.features import own, train_own
from dcgan.features.classifier import Classifier
from dcgan.features.own import own_space
from dcgan.features.residual import ResidualClassifier
from dcgan.features.spaces import FeatureSpace
from dcgan.features.tasks import shifted, turned
from dcgan.metrics.floor import floor_of
from dcgan.metrics.frechet import Moments, frechet_distance
from dcgan.metrics.reference import Reference
from dcgan.runs.evaluation import Evaluation

Command = Callable[..., Result]
TRAIN = [*TINY, "data=folder", "data.batch_size=8", "trainer.max_steps=2", "metrics=own", "metrics.num_samples=60"]
SIDE = 16


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("LEAST_STEPS", "MOST_STEPS"):
        monkeypatch.setattr(train_own, bound, 3)


def shape(rng: np.random.Generator, label: int) -> Image.Image:
    """A square, an ellipse or an open corner of some colour, somewhere."""
    picture = Image.new("RGB", (SIDE, SIDE))
    left, top, size = *rng.integers(0, 6, 2), rng.integers(6, 10)
    box, colour = [left, top, left + size, top + size], tuple(rng.integers(120, 256, 3))
    draw = ImageDraw.Draw(picture)
    if label == 2:
        draw.line([left, top, left, top + size, left + size, top + size], colour, 2)
    else:
        (draw.rectangle, draw.ellipse)[label](box, colour)
    return picture


def shapes(number: int, *, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    labels = torch.arange(number) % 3
    images = [torch.from_numpy(np.array(shape(rng, int(label)))).permute(2, 0, 1) for label in labels]
    return InMemory(torch.stack(images), labels)


def folder_of(path: Path, *, labelled: bool) -> Path:
    images, labels = shapes(240, seed=0)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = path / (str(int(label)) if labelled else "") / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return path


def data_of(root: Path, *, labelled: bool, train: int = 180) -> ImageData:
    data = ImageData(name="folder", root=root, batch_size=8, resolution=SIDE, channels=3, d_steps=1, seed=0, own=None)
    for split, number, seed in (("train", train, 0), ("test", 90, 1)):
        images, labels = shapes(number, seed=seed)
        data._splits[split] = InMemory(images, labels if labelled else torch.zeros_like(labels))
    return data


@pytest.mark.parametrize("labelled", [True, False])
def test_train_and_evaluate_by_a_judge_of_ones_own(labelled: bool, command: Command, workdir: Path) -> None:
    mine = folder_of(workdir / "mine", labelled=labelled)
    result = command("train", *TRAIN, f"data.folder={mine}", "data.root=root")
    assert result.code == 0, result.err
    run = Path(printed_run(result.out))
    (trained,) = [line for line in result.err.splitlines() if line.startswith("note: own-") and "tells the" in line]
    assert ("classes" if labelled else "turns") in trained
    name = trained.split()[1].rstrip(":")
    assert f"note: {name}: FID of real images " in result.err
    assert f"fid_{name}_train_60" in result.out
    assert f"python -m dcgan.evaluate run={run} data.folder={mine} data.root=root\n" in result.out

    there = [f"run={run}", f"data.folder={mine}", "data.root=root", "num_samples=30", "checkpoint=last"]
    scored = command("evaluate", *there)
    assert scored.code == 0, scored.err
    assert "tells the" not in scored.err  # nothing is trained again
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    own_line, judges_line = lines[-2:]
    assert own_line["metric"] == f"fid_{name}_test_30"
    assert judges_line["extractor"].startswith("own_residual-")
    assert judges_line["real"]["fid"] > 0
    assert ("class_kl" in own_line["measures"]) == labelled
    assert f"fid: of fewer than {own_line['needed']} samples" in scored.out
    written = command("generate", f"run={run}", "n=30", "format=npz", "out=drawn.npz", "checkpoint=last")
    assert written.code == 0, written.err
    theirs = ["samples=drawn.npz", "num_samples=30", "metrics=own", "data.name=folder", *there[1:3]]
    scored = command("evaluate", *theirs)
    assert (scored.code, f"fid_{name}_test_30" in scored.out) == (0, True), scored.err


@pytest.mark.parametrize("labelled", [True, False])
def test_the_fid_rises_with_a_corruption_by_both_judges(
    labelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_own, "MOST_STEPS", 30)
    monkeypatch.setattr(train_own, "LEAST_STEPS", 30)
    data = data_of(tmp_path, labelled=labelled)
    images, space = data.split("test").images, own_space(data)
    for judge in (space, *space.judges):
        assert isinstance(judge, FeatureSpace)
        real = Moments.of(judge.extract(data.split("train").images))
        dimmer: list[Tensor] = [(images * share).byte() for share in (1.0, 0.6, 0.3)]
        found = [frechet_distance(judge.extract(one), real) for one in dimmer]
        assert found == sorted(found), (judge.name, found)
        repeated = frechet_distance(judge.extract(images[:1].expand(90, -1, -1, -1)), real)
        assert repeated > 3 * found[0]


def test_the_same_images_give_the_same_weights_and_move_no_other_stream(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    names = [own_space(data_of(tmp_path / folder, labelled=True)).name for folder in ("one", "two", "one")]
    assert len(set(names)) == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert own_space(data_of(tmp_path / "one", labelled=False)).name != names[0]
    assert torch.get_num_threads() == 1


def test_what_is_kept_is_read_and_what_is_damaged_is_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_of(tmp_path, labelled=False)
    first = own_space(data)
    (path,) = (tmp_path / "extractors").glob("own_*.safetensors")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 64  # of a weight: the file looks whole
    capsys.readouterr()
    for damaged in (whole[:-1000], b"nothing of the kind", bytes(flipped)):
        path.write_bytes(damaged)
        assert own_space(data).name == first.name
        assert "training two extractors" in capsys.readouterr().err
    monkeypatch.setattr(own, "train_judge", None)
    again = own_space(data)
    images = data.split("test").images
    assert torch.equal(again.extract(images), first.extract(images))


def test_a_second_process_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    train = own.train_judge

    def watched(*args: object, **kwargs: object) -> object:
        (lock,) = (tmp_path / "extractors").glob(".own_*.lock")
        try:
            with FileLock(lock, timeout=0):  # another object, as another process has
                held.append(False)
        except TimeoutError:
            held.append(True)
        return train(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(own, "train_judge", watched)
    own_space(data_of(tmp_path, labelled=True))
    assert held == [True, True]


def test_where_nothing_can_be_kept_it_is_trained_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("no folder")
    with pytest.warns(UserWarning, match="could not be kept"):
        own_space(data_of(tmp_path / "root", labelled=True))


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="metrics=own: trains an extractor on 40 images at least, and there are 39;"):
        own_space(data_of(tmp_path, labelled=True, train=39))


def test_another_extractors_best_is_forgotten_and_its_own_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that goes on on another machine, where the same training gives other weights."""
    data = data_of(tmp_path, labelled=True)
    real = Reference(Moments.of(torch.randn(9, 3).double()), None, None)

    def evaluation(name: str) -> Evaluation:
        space = FeatureSpace(name, "0" * 64, torch.nn.Flatten())
        return Evaluation(tmp_path, space=space, real=real, data=data, every=1, num_samples=9, seed=0)

    before = evaluation("own-1a2b3c4d")
    before.best, before.best_step, before.latest = 1.5, 7, 2.5
    for name, best in (("own-1a2b3c4d", 1.5), ("own-5e6f7a8b", None)):
        after = evaluation(name)
        after.load_state_dict(before.state_dict())
        assert after.best == best
    assert capsys.readouterr().err.startswith("note: fid_own-1a2b3c4d_train_9 was measured before, now fid_own-5e6f")


def test_metrics_digits_of_other_images_is_refused_with_the_ways_to_go_on(command: Command, workdir: Path) -> None:
    mine = folder_of(workdir / "mine", labelled=True)
    words = [*TINY, "data=folder", f"data.folder={mine}", "data.batch_size=8"]
    (line,) = command("train", *words, "metrics=digits").err.splitlines()
    assert line.startswith("error: metrics=digits: knows mnist, not folder; use metrics=own, which trains")
    assert ", or metrics=none; with Inception's weights, metrics=inception metrics.weights=<file>" in line
    assert "metrics=own" in command("train", *words, "metrics=none", "trainer.max_steps=1").out  # the line `report`
    assert "is a judge, by which nothing is chosen; use metrics=own" in command("train", "metrics=own_residual").err
    assert command("evaluate", "samples=x.npz", "metrics=own").err.startswith("error: metrics=own: knows any data set")


@pytest.mark.parametrize("resolution", [4, 12, 28, 32, 36, 64, 256])
@pytest.mark.parametrize("network", [Classifier, ResidualClassifier])
def test_judges_take_every_size(network: type[Classifier | ResidualClassifier], resolution: int) -> None:
    judge = network(resolution=resolution, channels=3, num_classes=7).eval()
    assert judge(torch.zeros(2, 3, resolution, resolution)).shape == (2, 7)


def test_images_are_shifted_by_whole_pixels_and_turned_never_mirrored() -> None:
    images = torch.arange(2 * 1 * 28 * 28, dtype=torch.float32).view(2, 1, 28, 28)
    moved = shifted(images.expand(2, 1, 28, 28), torch.Generator().manual_seed(0))
    assert set(moved.unique().tolist()) <= set(images.unique().tolist())
    steps = moved[:, 0, 10, 11] - moved[:, 0, 10, 10]
    assert steps.tolist() == [1, 1]  # left is left
    assert torch.equal(turned(images, torch.tensor([0, 3]))[1], images[1].rot90(3, (1, 2)))


def test_the_floor_says_how_many_samples_are_enough() -> None:
    """Half of the floor of N real images against N is the samples' own; 1 % of the variance of 16 features is 0.16."""
    features = torch.randn(8000, 16, generator=torch.Generator().manual_seed(0))
    real = Reference(Moments.of(features.double()), None, features.half())
    floor = floor_of(real)
    assert floor.of == 4000
    assert floor.needed == pytest.approx(floor.value * floor.of / 2 / 0.16, rel=0.1)
    assert floor.trusts(floor.needed, 10_000)
    assert not floor.trusts(floor.needed - 1, 10_000)
    assert not floor.trusts(10_000, floor.needed - 1)
    draws = torch.randn(10, floor.needed, 16, generator=torch.Generator().manual_seed(1)).double()
    mean = sum(frechet_distance(samples, real.moments) for samples in draws) / 10
    assert mean == pytest.approx(0.16, rel=0.25), floor
