"""``python -m dcgan.evaluate``: a run, a folder of runs, or somebody else's samples; what it writes and refuses."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, Result, config, printed_run
from PIL import Image

from dcgan.data.images import to_float
from dcgan.data.readers import READERS, read
from dcgan.models.base import Generator
from dcgan.reports.scoring import Samples, score
from dcgan.training import build

Command = Callable[..., Result]


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def evaluated(name: str) -> Path:
    (folder,) = Path("outputs/evaluations").glob(f"{name}*")
    return folder


def train(command: Command, *words: str) -> Path:
    result = command("train", *TINY, "trainer.max_steps=2", "metrics=none", *words)
    assert result.code == 0, result.err
    return Path(printed_run(result.out))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, mnist_root: Path) -> None:
    """Data sets of which a part is enough here: nothing that ships fits them, so all is computed."""
    for key, load in list(READERS.items()):

        def few(name: str, root: Path, *, split: str, load: Any = load) -> tuple[torch.Tensor, torch.Tensor]:
            images, labels = load(name, root, split=split)
            return images[: {"train": 5000, "test": 1500}[split]], labels[: {"train": 5000, "test": 1500}[split]]

        monkeypatch.setitem(READERS, key, few)


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What intervals are is tested in test_metrics; here, that they are there."""
    monkeypatch.setattr("dcgan.reports.scoring.REPLICATES", 20)


@pytest.fixture(scope="session")
def real(mnist_root: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {split: read("mnist", mnist_root, split=split) for split in ("train", "test")}


# --- somebody else's samples


@pytest.mark.slow
def test_samples_of_another_tool_are_scored_without_a_data_set(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch, real: Any
) -> None:
    monkeypatch.setenv("DCGAN_DATA", str(workdir / "nothing"))
    rows = torch.randperm(60_000, generator=torch.Generator().manual_seed(1))[:10_000]  # the first ones are untypical
    np.save("theirs.npy", real["train"][0][rows].squeeze(1).numpy())
    result = command("evaluate", "samples=theirs.npy")
    assert result.code == 0, result.err
    assert not (workdir / "nothing").exists()
    first, *others = lines(evaluated("theirs"))
    assert [record["extractor"] for record in (first, *others)] == ["digits", "digits1", "digits_residual"]
    assert first["metric"] == "fid_digits_test_10k"
    assert first["value"] == first["measures"]["fid"]["value"] < 0.3  # real images: the floor
    assert first["measures"]["precision"]["value"] > 0.9
    assert first["measures"]["modes"]["value"] == 10
    assert sum(first["histogram"]) == 10_000
    for name, value in first["real"].items():  # ships; computed from other training images
        assert first["measures"][name]["value"] == pytest.approx(value, rel=0.05, abs=0.05), name
    for name in first["measures"]:
        assert re.search(rf"^  {name}_digits_test_10k +-?\d", result.out, re.M), name
    (page,) = evaluated("theirs").glob("*.html")
    text = page.read_text()
    assert text.count("<figure>") == 4  # bars, classes, samples, strays; missed real images need the data set
    assert "<script" not in text
    again = command("evaluate", "samples=theirs.npy", "out=elsewhere", "num_samples=2000")
    assert again.code == 0, again.err
    (record, *_) = lines(Path("elsewhere"))
    assert record["metric"] == "fid_digits_test_2k"
    assert record["real"] is None  # neither ships for 2,000, nor is the data set here
    assert record["halves"]["fid"] > 0


def test_a_folder_of_images_scores_as_the_array_does(command: Command, workdir: Path, real: Any) -> None:
    images = real["test"][0][:40].squeeze(1).numpy()
    np.savez("array.npz", images=images)
    Path("folder/deeper").mkdir(parents=True)
    for index, image in enumerate(images):
        name = f"folder/{'deeper/' if index > 20 else ''}{index:03d}.png"
        Image.fromarray(image).convert(["L", "RGB"][index % 2]).save(name)
    Path("folder/notes.txt").touch()
    Path("folder/._000.png").write_bytes(b"what macOS leaves beside a file")
    records = []
    for name in ("array.npz", "folder"):
        result = command("evaluate", f"samples={name}", "num_samples=40", f"out=out-{name}")
        assert result.code == 0, result.err
        records.append(lines(Path(f"out-{name}"))[0])
    assert records[0]["measures"]["class_kl"] == records[1]["measures"]["class_kl"]
    assert sorted(records[0]["histogram"]) == sorted(records[1]["histogram"])
    assert records[0]["value"] == pytest.approx(records[1]["value"], rel=1e-4)


def test_the_generated_path_and_the_real_path_treat_pixels_alike(mnist_root: Path, real: Any, digits: Any) -> None:
    """Real images that a generator hands out in [-1, 1] score what they score as bytes: a range mismatch would show."""
    images = real["test"][0][torch.randperm(10_000, generator=torch.Generator().manual_seed(1))[:300]]
    typed = config(root=mnist_root)

    class Replay(Generator):
        drawn = 0

        def forward(self, latents: torch.Tensor, labels: Any = None) -> torch.Tensor:
            rows = to_float(images)[self.drawn : self.drawn + len(latents)]
            self.drawn += len(rows)
            return torch.cat([rows, rows.new_zeros(len(latents) - len(rows), *rows.shape[1:])])

    drawn = Replay(latent_dim=1).sample(n=300, seed=0)
    assert torch.equal(drawn, images)
    found = []
    for one in (drawn, images):
        samples = Samples(one, None, build.build_data(typed), digits, 0, {"samples": "x"})
        found.append(score(samples, split="train", memorisation=False, cas=False).records[0])
    assert found[0]["measures"] == found[1]["measures"]
    assert found[0]["value"] == pytest.approx(found[0]["real"]["fid"], rel=0.5)  # real["fid"]: other 300 test images


def test_memorisation_and_cas_on_demand(
    command: Command, workdir: Path, real: Any, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan.reports.scoring.accuracy_score", few_epochs)
    (train_images, train_labels), (test_images, test_labels) = real["train"], real["test"]
    images = torch.cat([train_images[:50], test_images[5000:5950]])
    labels = torch.cat([train_labels[:50], test_labels[5000:5950]])
    np.savez("planted.npz", images=images.numpy(), labels=labels.numpy())
    result = command("evaluate", "samples=planted.npz", "num_samples=1000", "memorisation=true", "cas=true")
    assert result.code == 0, result.err
    *_, copies, cas = lines(evaluated("planted"))
    assert copies["metric"] == "copies_pixels_train_1k"
    assert copies["accused"]
    assert 0.045 < copies["share"] < 0.08
    assert "copies training images; median distance to the nearest training image" in result.out
    assert copies["median_distance"] == pytest.approx(copies["real_median_distance"], rel=0.2)  # both unseen, mostly
    assert cas["metric"] == "cas_mnist_test_1k"
    assert 0.3 < cas["value"] <= 1
    (page,) = evaluated("planted").glob("*.html")
    assert page.read_text().count("<figure>") == 6


def few_epochs(*arguments: Any, **keywords: Any) -> Any:
    from dcgan.metrics.accuracy import accuracy_score

    return accuracy_score(*arguments, **keywords, epochs=3)


@pytest.mark.slow
def test_stacked_mnist_counts_its_modes(command: Command, workdir: Path, mnist_root: Path, small: None) -> None:
    images, labels = read("stacked_mnist", mnist_root, split="test")
    np.savez("stacked.npz", images=images[:800].permute(0, 2, 3, 1).numpy())
    result = command("evaluate", "samples=stacked.npz", "metrics=stacked", "num_samples=800")
    assert result.code == 0, result.err
    first = lines(evaluated("stacked"))[0]
    assert (first["metric"], first["data"], first["num_real"]) == ("fid_stacked_test_800", "stacked_mnist", 1500)
    there = len(labels[:800].unique())
    assert first["measures"]["modes"]["value"] == pytest.approx(there, abs=10)
    counts = labels[:800].bincount(minlength=1000).double()
    p = counts / counts.sum()
    to_even = float(torch.special.xlogy(p, 1000 * p).sum())
    assert first["measures"]["class_kl"]["value"] == pytest.approx(to_even, rel=0.05)
    assert "class_kl of 800 images with exactly the right frequencies: 0." in result.out
    refused = command("evaluate", "samples=stacked.npz", "data.name=stacked_mnist")
    assert refused.err.startswith("error: samples=stacked.npz: holds 800 images, fid_stacked_test_26k needs 26000")


# --- runs


def test_a_folder_of_runs_is_evaluated_and_ranked(command: Command, workdir: Path) -> None:
    for seed in (0, 1):
        train(command, f"seed={seed}", f"name=run{seed}")
    broken = Path("outputs/broken/checkpoints")
    broken.mkdir(parents=True)
    (broken / "best.ckpt").touch()
    (broken / "best.generator.safetensors").write_bytes(b"half")
    result = command("evaluate", "run=outputs", "num_samples=50", "checkpoint=best")
    assert result.code == 1
    assert (
        "error: outputs/broken: outputs/broken/checkpoints/best.generator.safetensors is not a readable generator"
        in result.err
    )
    ranked = re.findall(r"^   ([12])  fid_digits_test_50  ([\d.]+)  \[.*\]  (\S+)$", result.out, re.M)
    assert [place for place, _, _ in ranked] == ["1", "2"]
    assert float(ranked[0][1]) <= float(ranked[1][1])
    assert len({run for _, _, run in ranked}) == 2
    for _, value, run in ranked:
        assert lines(Path(run))[0]["value"] == pytest.approx(float(value), abs=0.01)


@pytest.mark.slow
def test_runs_on_different_data_are_not_ranked(command: Command, workdir: Path, small: None) -> None:
    train(command, "name=one")
    train(command, "name=two", "data=stacked_mnist", "data.root=${oc.env:DCGAN_DATA}")
    result = command("evaluate", "run=outputs", "num_samples=30", "checkpoint=last")
    assert result.code == 0, result.err
    assert "not ranked, for they differ in metric: fid_digits_test_30, fid_stacked_test_30" in result.out
    assert re.findall(r"^   (\S+)  fid_", result.out, re.M) == ["-", "-"]


def test_what_a_run_cannot_be_asked(command: Command, workdir: Path) -> None:
    run = train(command)
    before = sorted(run.rglob("*"))
    for words, line in [
        (["cas=true"], "cas=true: this generator takes no labels"),
        (["data.name=mnist"], "data.name=mnist: a run knows its data set"),
        (["metrics=fashion"], "metrics=fashion: knows fashion_mnist, not mnist; use metrics=digits"),
        (["num_samples=5"], "num_samples=5: must be at least 10"),
        (["metrics=inception", "metrics.weights=nowhere"], "metrics.weights=nowhere: not a file of plain tensors"),
    ]:
        result = command("evaluate", f"run={run}", *words)
        assert result.code == 1
        assert result.err.splitlines()[-1].startswith(f"error: {line}")
        assert result.out == ""
    assert command("evaluate", "run=nowhere").err.startswith("error: run=nowhere: no run folder with checkpoints, nor")
    assert sorted(run.rglob("*")) == before


def test_runs_of_another_resolution_are_scored_and_not_ranked(command: Command, workdir: Path, small: None) -> None:
    train(command, "name=one")
    train(command, "name=two", "data.resolution=32", "data.channels=3", "data.batch_size=4")
    result = command("evaluate", "run=outputs", "num_samples=30", "checkpoint=last")
    assert result.code == 0, result.err
    assert "not ranked, for they differ in resolution: 28, 32" in result.out


def test_nothing_that_was_written_is_lost(command: Command, workdir: Path, real: Any) -> None:
    for folder, rows in (("a", slice(0, 30)), ("b", slice(30, 60))):
        Path(folder).mkdir()
        np.save(f"{folder}/theirs.npy", real["test"][0][rows].numpy())
        for _ in range(2):
            result = command("evaluate", f"samples={folder}/theirs.npy", "num_samples=30", "metrics=digits")
            assert result.code == 0, result.err
    pages = sorted(path.name for path in Path("outputs/evaluations").rglob("*.html"))
    assert pages == ["evaluation_digits_test_30-2.html"] * 2 + ["evaluation_digits_test_30.html"] * 2
    Path("file").touch()
    for out, line in (
        ("file", "is no folder that can be written to; choose another"),
        ("file/deeper", "is no folder that can be written to; choose another"),
        ("page.html", "names a file, and a folder is written; leave out its ending"),
    ):
        refused = command("evaluate", "samples=a/theirs.npy", "num_samples=30", f"out={out}")
        assert (refused.out, refused.err) == ("", f"error: out={out}: {line}\n")
    np.save("one.npy", real["test"][0][:1].numpy())
    refused = command("evaluate", "samples=one.npy")
    assert refused.err.endswith("holds 1 image, fid_digits_test_10k needs 10000; 10 at least are scored\n")


def test_samples_are_compared_with_the_labels_that_they_were_asked_for(
    command: Command, workdir: Path, real: Any
) -> None:
    images, labels = (part[:400] for part in real["test"])
    wrong = torch.where(labels == 3, 5, labels)
    for name, given in (("right", labels), ("wrong", wrong), ("unknown", labels + 10)):
        np.savez(f"{name}.npz", images=images.numpy(), labels=given.numpy())
    found = {}
    for name in ("right", "wrong", "unknown"):
        result = command("evaluate", f"samples={name}.npz", "num_samples=400")
        assert result.code == 0, result.err
        records = lines(evaluated(name))
        assert len(records) == 3
        found[name] = [record["label_accuracy"] for record in records]
        assert ("of the label that they were asked for" in result.out) == (name != "unknown")
    assert all(min(shares) > 0.9 for shares in found["right"])
    fives, threes = int((labels == 5).sum()), int((labels == 3).sum())
    for shares in found["wrong"]:
        assert shares[3] is None
        assert shares[5] == pytest.approx(fives / (fives + threes), abs=0.05)
    assert found["unknown"] == [None] * 3


def test_a_conditional_run_is_compared_with_its_labels(command: Command, workdir: Path, small: None) -> None:
    run = train(command, "model.conditional=true")
    result = command("evaluate", f"run={run}", "num_samples=30")
    assert result.code == 0, result.err
    shares = lines(run)[-1]["label_accuracy"]
    assert len(shares) == 10
    assert all(0 <= share <= 1 for share in shares)
    assert "of the label that they were asked for, mean over labels: " in result.out


def test_a_part_of_a_sorted_file_is_a_fair_one(command: Command, workdir: Path, real: Any) -> None:
    images, labels = real["test"]
    np.savez("sorted.npz", images=images[labels.argsort()].numpy())
    result = command("evaluate", "samples=sorted.npz", "num_samples=300")
    assert result.code == 0, result.err
    (folder,) = Path("outputs/evaluations").iterdir()
    first = lines(folder)[0]
    assert (first["num_in_file"], first["num_fake"]) == (10_000, 300)
    assert first["measures"]["modes"]["value"] == 10


@pytest.mark.parametrize(
    ("words", "form"), [(["data.channels=3", "data.resolution=32"], "png"), (["data.resolution=64"], "npz")]
)
def test_a_runs_own_samples_score_as_the_run_does(
    command: Command, workdir: Path, small: None, words: list[str], form: str
) -> None:
    run = train(command, *words)
    assert command("evaluate", f"run={run}", "num_samples=30", "checkpoint=last").code == 0
    expected = lines(run)[0]
    drawn = ["n=30", f"seed={expected['seed']}", f"format={form}", "checkpoint=last", "out=drawn"]
    path = command("generate", f"run={run}", *drawn).out.strip()
    result = command("evaluate", f"samples={path}", "num_samples=30", "out=scores")
    assert result.code == 0, result.err
    found = lines(Path("scores"))[0]
    for key in ("metric", "value", "measures", "histogram", "resolution", "real", "halves"):
        assert found[key] == expected[key], key
    word = {32: "32 x 32 cropped to 28 x 28", 64: "64 x 64 brought to 28 x 28"}[expected["resolution"]]
    assert word in found["converted"]
    assert f"note: samples={path}: {word}, as a run's with data.resolution={expected['resolution']}; " in result.err
    assert (len(found["converted"]) == 2) == (expected["channels"] == 3)


def test_padded_and_repeated_samples_score_as_what_they_were_without_a_data_set(
    command: Command, workdir: Path, monkeypatch: pytest.MonkeyPatch, real: Any
) -> None:
    monkeypatch.setenv("DCGAN_DATA", str(workdir / "nothing"))
    images = real["train"][0][:60].squeeze(1).numpy()
    np.save("plain.npy", images)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    np.save("padded.npy", padded)
    np.save("repeated.npy", np.stack([images] * 3, -1))
    Path("repeated.npy").rename("repeated.NPY")
    colour = np.stack([images // 2, images, images // 3], 1)
    np.save("colour.npy", colour)
    np.save("mean.npy", colour.mean(1).round().astype(np.uint8))
    Path("jpeg").mkdir()
    for i, image in enumerate(padded):
        colour = np.stack([image] * 3, -1)
        colour[..., 1] -= (image > 9) & (np.indices(image.shape).sum(0) % 7 == 0)  # off by one here and there
        Image.fromarray(colour).save(f"jpeg/{i:03d}.png")
    found = {}
    for name in ("plain.npy", "padded.npy", "repeated.NPY", "jpeg", "colour.npy", "mean.npy"):
        result = command("evaluate", f"samples={name}", "num_samples=60", f"out=scores-{name}")
        assert result.code == 0, result.err
        found[name] = lines(Path(f"scores-{name}"))[0]
    assert not (workdir / "nothing").exists()
    assert len({found[name]["value"] for name in ("plain.npy", "padded.npy", "repeated.NPY")}) == 1
    assert found["jpeg"]["value"] == pytest.approx(found["plain.npy"]["value"], rel=1e-2)
    assert found["colour.npy"]["value"] == found["mean.npy"]["value"] != found["plain.npy"]["value"]
    assert [record["converted"] for record in found.values()] == [
        [],
        ["32 x 32 cropped to 28 x 28"],
        ["grey in three channels to one"],
        ["grey in three channels to one", "32 x 32 cropped to 28 x 28"],
        ["colour averaged to grey"],
        [],
    ]


def test_the_old_advice_for_the_wrong_range_is_said_aloud(command: Command, workdir: Path, real: Any) -> None:
    images = real["test"][0][:60].squeeze(1).numpy()
    wrong = (images / 255 + 1) * 127.5
    labels = np.arange(60).astype(str)
    np.savez("grey.npz", images=wrong.round().astype(np.uint8), labels=labels)
    result = command("evaluate", "samples=grey.npz", "num_samples=60")
    assert result.code == 0, result.err
    assert result.err.splitlines() == [
        "note: samples=grey.npz: its labels are not used: they are text, not whole numbers",
        "note: samples=grey.npz: holds no black: the darkest pixel of most images is 128 of 255; were values in [0, 1] "
        "turned into bytes as if they were in [-1, 1]?",
    ]


# --- what cannot be scored


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("executed"),))  # type: ignore[return-value]


IMAGES = np.full((30, 28, 28), 200, dtype=np.uint8)
UINT8 = "must be uint8, 0 to 255"


def with_nan() -> np.ndarray:
    images = IMAGES.astype(np.float32)
    images[3, 4, 5] = np.nan
    return images


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (IMAGES.astype(np.float32), f"is float32; {UINT8}: "),
        (IMAGES.astype(np.int64), f"is int64; {UINT8}: "),
        (with_nan(), f"holds NaN or infinite values; {UINT8}"),
        ((IMAGES > 0), f"is bool; {UINT8}: "),
        ((IMAGES > 0).astype(np.uint8), "its largest value is 1; must go from 0 to 255: "),
        (IMAGES[:, :27], "has the shape 30 x 27 x 28; must be N x 28 x 28 or N x 1 x 28 x 28"),
        (IMAGES[:, None].repeat(4, 1), "has the shape 30 x 4 x 28 x 28; must be N x 28 x 28"),
        (IMAGES[0], "has the shape 28 x 28; must be N x 28 x 28"),
        (IMAGES.reshape(30, -1), "has the shape 30 x 784; must be N x 28 x 28"),
        (IMAGES[:0], "holds no images"),
        (np.array([Evil()]), "cannot be read: it holds pickled objects, which could execute code"),
        (np.array(["text"]), "is <U4; must be uint8"),
    ],
)
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_arrays_that_cannot_be_scored(command: Command, workdir: Path, array: Any, line: str, form: str) -> None:
    path = f"theirs.{form}"
    (np.save if form == "npy" else np.savez)(path, array)
    refuse(command, workdir, path, line)


def refuse(command: Command, workdir: Path, path: str, line: str, *words: str) -> None:
    before = sorted(workdir.rglob("*"))
    result = command("evaluate", f"samples={path}", *words)
    assert result.code == 1
    assert result.out == ""
    (printed,) = result.err.splitlines()
    assert printed.startswith(f"error: samples={path}"), printed
    assert line in printed
    assert sorted(workdir.rglob("*")) == before  # nothing written, nothing executed


def test_files_that_cannot_be_scored(command: Command, workdir: Path) -> None:
    np.save("few.npy", IMAGES)
    refuse(command, workdir, "few.npy", "holds 30 images, fid_digits_test_10k needs 10000; num_samples=30 makes it")
    refuse(command, workdir, "few.npy", "cas=true needs their labels", "num_samples=30", "cas=true")
    refuse(command, workdir, "nowhere.npz", "no such file or folder")
    Path("text.txt").touch()
    refuse(command, workdir, "text.txt", "neither a folder of images nor .npz nor .npy")
    Path("broken.npz").write_bytes(b"PK\x03\x04 and no more")
    refuse(command, workdir, "broken.npz", "cannot be read")
    Path("empty.npy").touch()
    refuse(command, workdir, "empty.npy", "cannot be read")
    Path("page.npy").write_text("<html>not found</html>")
    refuse(command, workdir, "page.npy", "cannot be read: not a NumPy file")
    with zipfile.ZipFile("text.npz", "w") as archive:
        archive.writestr("images", "text")
    refuse(command, workdir, "text.npz", "cannot be read: images in it is no array")
    assert command("evaluate", "samples=few.npy", "metrics=inception").err.startswith(
        "error: metrics=inception: knows any data set; say which one, as in data.name=mnist"
    )
    assert command("evaluate", "samples=few.npy", "metrics.weights=x").err.startswith(
        "error: metrics.weights: say which metrics it belongs to, as in metrics=<option> metrics.weights=..."
    )
    assert command("evaluate", "samples=few.npy", "data=mnist").err == (
        "error: data: takes no option here; it has the keys data.name, data.root, data.folder\n"
    )
    np.savez("labelled.npz", images=IMAGES, labels=np.arange(30))
    for words, line in (
        (["num_samples=30"], "samples=labelled.npz: holds the label 29; cas=true knows 0 to 9"),
        (["num_samples=30", "metrics=stacked"], "samples=labelled.npz: has the shape"),
    ):
        assert command("evaluate", "samples=labelled.npz", "cas=true", *words).err.startswith(f"error: {line}")
    np.savez("labelled.npz", images=IMAGES, labels=np.arange(30) % 10)
    refused = command("evaluate", "samples=labelled.npz", "cas=true", "num_samples=30")
    assert refused.err == "error: num_samples=30: cas=true needs at least 200 to train on\n"
    np.savez("two.npz", a=IMAGES, b=IMAGES)
    refuse(command, workdir, "two.npz", "it holds a, b; name the array images")
    np.savez("labels.npz", images=IMAGES, labels=np.arange(29))
    line = "cas=true needs their labels, as whole numbers in an array named labels in an .npz; they must be 30 whole"
    refuse(command, workdir, "labels.npz", line, "cas=true", "num_samples=30")
    np.savez("pickled_labels.npz", images=IMAGES, labels=np.array([Evil()] * 30))
    for labels, why in (("pickled_labels", "it holds pickled objects"), ("text", "they are text")):
        np.savez("text.npz", images=IMAGES, labels=np.arange(30).astype(str))
        line = f"cas=true needs their labels, as whole numbers in an array named labels in an .npz; {why}"
        refuse(command, workdir, f"{labels}.npz", line, "cas=true", "num_samples=30")
    assert not Path("executed").exists()


def test_folders_that_cannot_be_scored(command: Command, workdir: Path) -> None:
    Path("none").mkdir()
    Path("none/notes.txt").touch()
    refuse(command, workdir, "none", "holds no images (")
    Path("mixed").mkdir()
    Image.fromarray(IMAGES[0]).save("mixed/a.png")
    Image.fromarray(IMAGES[0][:20]).save("mixed/b.png")
    refuse(command, workdir, "mixed", "images of different sizes: 28x28 (a.png) and 28x20 (b.png)")
    Path("unreadable").mkdir()
    Image.fromarray(IMAGES[0]).save("unreadable/a.png")
    content = Path("unreadable/a.png").read_bytes()
    Path("unreadable/a.png").write_bytes(content[: len(content) // 2])
    refuse(command, workdir, "unreadable", "a.png: cannot be read as an image (")
    Path("clear").mkdir()
    Image.fromarray(np.stack([IMAGES[0], IMAGES[0] // 2], -1)).save("clear/a.png")
    refuse(command, workdir, "clear", "a.png: cannot be read as an image (it is transparent in part")
    Path("deep").mkdir()
    Image.fromarray(IMAGES[0].astype(np.uint16) * 200).save("deep/a.png")
    refuse(command, workdir, "deep", "a.png: cannot be read as an image (its mode is I;16; save it with 8 bits)")
    Path("oblong").mkdir()
    Image.fromarray(np.full((32, 28), 200, dtype=np.uint8)).save("oblong/a.png")
    refuse(command, workdir, "oblong", "has the shape 1 x 32 x 28; must be N x 28 x 28")
