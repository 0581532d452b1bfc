"""What people have under the right name: an error page, a pointer, half a file. Every reader tells what it is.

One table, of a reader and a wrong file in each row, and what must come of it: the line that is printed, or the number.
"""

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Result, config
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torchvision.datasets import MNIST

from dcgan.config.catalogue import CATALOGUE, DataSet
from dcgan.data.idx import read_idx
from dcgan.data.sources import prepare
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.metrics.protocol import append_record
from dcgan.metrics.reference import reference_of
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.train import train

Command = Callable[..., Result]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("executed"),))


# --- the wrong files, made of the right one's content where it matters


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((28, 28), 200, dtype=np.uint8)).save(file, "png")
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("0.png", picture())
    return file.getvalue()


def of_torch(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def of_numpy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda right: b"",
    "half": lambda right: right[: len(right) // 2],
    "zeros": lambda right: bytes(len(right)),
    "page": lambda right: b"\n<!DOCTYPE html>\n<html><title>Sign in</title></html>",
    "pointer": lambda right: b"version https://git-lfs.test/spec/v1\noid sha256:0\nsize 9\n",
    "gzip": gzip.compress,
    "picture": lambda right: picture(),
    "zip": lambda right: zipped(),
    "pickle": lambda right: pickle.dumps(Evil()),
    "state": lambda right: of_torch({"conv.weight": torch.zeros(2)}),
    "module": lambda right: of_torch(torch.nn.Linear(2, 2)),
    "evil": lambda right: of_torch({"state_dict": Evil(), "config": {}}),
    "tensor": lambda right: of_torch(torch.zeros(3)),
    "tensors": lambda right: save({"conv.weight": torch.zeros(2)}),
    "array": lambda right: of_numpy(np.full((12, 7, 7), 200, dtype=np.uint8)),
    "text": lambda right: "größer\n".encode(),
    "json": lambda right: b'{"message": "Not Found"}',
    "list": lambda right: b"[1, 2]\n",
    "UTF-16": lambda right: "seed: 1\n".encode("utf-16"),
    "BOM": lambda right: b"\xef\xbb\xbf" + right,
    "tab": lambda right: b"data:\n\troot: x\n",
    "noise": lambda right: b"\x07\xf3\xc1" * 50,
}


def put(path: Path, kind: str) -> None:
    """Put a wrong file in the place of the right one."""
    right = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("elsewhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        path.write_bytes(WRONG[kind](right))


# --- what the words are

IS = {
    "empty": "it is empty",
    "zeros": "it is all zeros: its space was reserved, but it was never written",
    "page": "it is a web page, such as a download's error or login page",
    "pointer": "it is a git-lfs pointer, not the file itself; 'git lfs pull' fetches that",
    "gzip": "it is packed with gzip; unpack it with gunzip",
    "picture": "it is a PNG picture",
    "zip": "it is a zip archive of 0.png; unpack it",
    "pickle": "it is a pickle, which could execute code",
    "state": "it is a file of PyTorch's",
    "module": "it is a file of PyTorch's",
    "tensors": "it is a safetensors file",
    "array": "it is a NumPy array",
    "text": "it is text",
    "json": "it is text",
    "UTF-16": "it is text in UTF-16",
    "folder": "it is a folder",
    "link": "it is a link that leads nowhere (elsewhere)",
}
CODE = "it holds more than tensors and plain containers, which could execute code"
END = "it is a zip archive without its end: damaged"


def table(form: str, *kinds: str, **others: str) -> dict[str, str]:
    """The words of a reader for each kind: its ``form`` around what the file is, or words of its own."""
    return {kind: form.format(IS[kind]) for kind in kinds} | others


ROWS: dict[str, dict[str, str]] = {
    "IDX": table(
        "t10k-labels-idx1-ubyte is not an IDX file of unsigned bytes; {}",
        *("empty", "zeros", "page", "pointer", "gzip", "picture", "zip", "pickle", "array", "text", "UTF-16"),
        *("folder", "link"),
        half="t10k-labels-idx1-ubyte holds 46 values, its header promises 100",
        noise="t10k-labels-idx1-ubyte is not an IDX file of unsigned bytes",
    ),
    "data set": {
        "empty": "files already there: t10k-labels-idx1-ubyte is damaged (wrong MD5); it is empty;",
        "half": "files already there: t10k-labels-idx1-ubyte is damaged (wrong MD5);",
        "page": "files already there: t10k-labels-idx1-ubyte is damaged (wrong MD5); it is a web page, such as",
        "pointer": "files already there: t10k-labels-idx1-ubyte is damaged (wrong MD5); it is a git-lfs pointer,",
        "folder": "files already there: t10k-labels-idx1-ubyte is a folder;",
        "link": "files already there: t10k-labels-idx1-ubyte is a link that leads nowhere (elsewhere);",
        "gzip": "taken",
    },
    "data set, packed": {
        "empty": "files already there: t10k-labels-idx1-ubyte.gz is damaged (wrong MD5); it is empty;",
        "half": "files already there: t10k-labels-idx1-ubyte.gz is damaged (wrong MD5);",
        "page": "files already there: t10k-labels-idx1-ubyte.gz is damaged (wrong MD5); it is a web page, such as",
        "unpacked": "taken",
    },
    "samples.npy": table(
        "error: samples=samples.npy: cannot be read: not a NumPy file; {}",
        *("empty", "zeros", "page", "pointer", "gzip", "picture", "pickle", "tensors", "text", "json", "UTF-16"),
        zip="error: samples=samples.npy: cannot be read: 0.png in it is no array; it is a zip archive of 0.png;",
        state="error: samples=samples.npy: cannot be read: it is a file of PyTorch's, not an .npz of arrays",
        half="error: samples=samples.npy: cannot be read: it holds 4640 bytes, its header promises 9408; it is damaged",
        array="error: samples=samples.npy: has the shape 12 x 7 x 7; must be N x 28 x 28 or N x 1 x 28 x 28",
        folder="error: samples=samples.npy: holds no images",
        link="error: samples=samples.npy: is a link that leads nowhere (elsewhere)",
    ),
    "samples.npz": table(
        "error: samples=samples.npz: cannot be read: not a NumPy file; {}",
        *("empty", "page", "pointer", "gzip", "picture", "pickle", "tensors", "text"),
        half=f"error: samples=samples.npz: cannot be read: {END}",
        module="error: samples=samples.npz: cannot be read: it is a file of PyTorch's, not an .npz of arrays",
        evil="error: samples=samples.npz: cannot be read: it is a file of PyTorch's, not an .npz of arrays",
    ),
    "folder/3.png": table(
        "error: samples=folder/3.png: cannot be read as an image ({})",
        *("empty", "zeros", "page", "pointer", "gzip", "zip", "pickle", "state", "array", "text", "UTF-16", "link"),
        half="error: samples=folder/3.png: cannot be read as an image (",
        noise="error: samples=folder/3.png: cannot be read as an image (it is damaged, or no image)",
        folder="error: samples=folder: holds 11 images, fid_digits_test_12 needs 12",
    ),
    "last.ckpt": table(
        "error: run/checkpoints/last.ckpt is not a readable checkpoint ({})",
        *("empty", "zeros", "page", "pointer", "gzip", "picture", "zip", "pickle", "tensors", "array", "text"),
        half=f"error: run/checkpoints/last.ckpt is not a readable checkpoint ({END})",
        module=f"error: run/checkpoints/last.ckpt is not a readable checkpoint ({CODE})",
        evil=f"error: run/checkpoints/last.ckpt is not a readable checkpoint ({CODE})",
        state="error: run/checkpoints/last.ckpt is not a checkpoint of this package",
        tensor="error: run/checkpoints/last.ckpt is not a checkpoint of this package",
        folder="error: resume=run: its checkpoints/last.ckpt is a folder",
        link="error: resume=run: its checkpoints/last.ckpt is a link that leads nowhere (elsewhere)",
        noise="error: run/checkpoints/last.ckpt is not a readable checkpoint (it is damaged)",
    ),
    "last.generator.safetensors": table(
        "error: run/checkpoints/last.generator.safetensors is not a readable generator ({})",
        *("empty", "zeros", "page", "pointer", "gzip", "picture", "zip", "pickle", "state", "module", "array", "text"),
        *("UTF-16", "folder", "link"),
        half="error: run/checkpoints/last.generator.safetensors is not a readable generator (",
        tensors="last.generator.safetensors is not a readable generator (its header has no 'recipe')",
    ),
    "metrics.weights": table(
        "metrics.weights=w.pth: not a file of plain tensors ({})",
        *("empty", "zeros", "page", "pointer", "gzip", "zip", "pickle", "tensors", "array", "text", "folder", "link"),
        half=f"metrics.weights=w.pth: not a file of plain tensors ({END})",
        module=f"metrics.weights=w.pth: not a file of plain tensors ({CODE})",
        evil=f"metrics.weights=w.pth: not a file of plain tensors ({CODE})",
        state="metrics.weights=w.pth: not the weights of torch-fidelity's Inception-v3",
        tensor="metrics.weights=w.pth: not the weights of torch-fidelity's Inception-v3",
    ),
    "cache": dict.fromkeys(("empty", "half", "zeros", "page", "pointer", "state", "tensors", "link"), "as without"),
    "config.yaml": table(
        "error: run/config.yaml: no YAML: {}",
        *("empty", "zeros", "page", "pointer", "gzip", "picture", "zip", "pickle", "state", "array", "UTF-16"),
        text="error: run: größer: no such key; --help lists them",
        json="error: run: message: no such key; --help lists them",
        list="error: run/config.yaml: holds a list, and is no run's configuration",
        tab="run/config.yaml, line 2, column 1: holds a tab; indent with spaces",
        noise="error: run/config.yaml: no YAML: not UTF-8",
        folder="error: resume=run: no run folder (it has no config.yaml)",
        BOM="error: resume=run: it stands at step 2 of trainer.max_steps=2; type a larger one",
    ),
    "provenance.jsonl": dict.fromkeys(
        ("half", "list", "noise"),
        "error: resume=run: it stands at step 2 of trainer.max_steps=2; type a larger one",
    ),
    "experiment": {
        "UTF-16": "/experiment/mine.yaml: no YAML: it is text in UTF-16; save it as text in UTF-8",
        "gzip": "/experiment/mine.yaml: no YAML: it is packed with gzip; unpack it with gunzip",
        "tab": "/experiment/mine.yaml, line 2, column 1: holds a tab; indent with spaces",
        "json": "error: experiment=mine: its file must begin with the line `# @package _global_`",
        "BOM": "error: experiment=mine: its file must begin with the line `# @package _global_`",
    },
}


def rows(*readers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("reader", "kind"), [(reader, kind) for reader in readers for kind in ROWS[reader]])


# --- the readers: each has its right file put in the place where it looks, and says what comes of the wrong one


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mnist_root: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(config("trainer.max_steps=2", "metrics=none", root=mnist_root), folder)
    return folder


@pytest.fixture
def run(trained: Path, workdir: Path) -> Path:
    shutil.copytree(trained, "run")
    return Path("run")


IDX = bytes([0, 0, 8, 1, 0, 0, 0, 100, *range(100)])
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)


def error_of(read: Callable[[], Any]) -> str:
    """The line that the shell prints of what a reader raises; what it returns."""
    try:
        return str(read())
    except (ValueError, OSError) as error:
        return str(error)


def read_data_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With no source but what lies there."""
    files = {"t10k-labels-idx1-ubyte": hashlib.md5(IDX).hexdigest()}
    record = DataSet(1, 10, "digits", folder="Tiny", files=files, torchvision="MNIST", package="npm:none@1")
    monkeypatch.setitem(CATALOGUE, "tiny", record)
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("PATH", "nowhere")
    line = error_of(lambda: prepare("tiny", Path("root")))
    return "taken" if (path.parent / "t10k-labels-idx1-ubyte").is_file() and line == str(path.parent) else line


def place(reader: str, right: bytes) -> Path:
    path = {
        "IDX": Path("t10k-labels-idx1-ubyte"),
        "data set": Path("root/Tiny/raw/t10k-labels-idx1-ubyte"),
        "data set, packed": Path("root/Tiny/raw/t10k-labels-idx1-ubyte.gz"),
        "metrics.weights": Path("w.pth"),
        "experiment": Path("mine/experiment/mine.yaml"),
    }.get(reader, Path(reader))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(right)
    return path


@rows("IDX", "data set", "data set, packed")
def test_data_files(reader: str, kind: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place(reader, gzip.compress(IDX) if reader.endswith("packed") else IDX)
    path.write_bytes(IDX) if kind == "unpacked" else put(path, kind)
    line = error_of(lambda: read_idx(path)) if reader == "IDX" else read_data_set(path, monkeypatch)
    check(line, ROWS[reader][kind])


def check(line: str, expected: str) -> None:
    """One line, that says what it should, and nothing was executed."""
    assert expected in line
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "weights_only" not in line
    assert not Path("executed").exists()


def refused(result: Result) -> str:
    assert (result.code, result.out) == (1, "")
    return result.err


@rows("samples.npy", "samples.npz", "folder/3.png")
def test_samples(reader: str, kind: str, command: Command) -> None:
    Path("folder").mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(f"folder/{i}.png")
    np.save("samples.npy", IMAGES)
    np.savez("samples.npz", images=IMAGES)
    put(Path(reader), kind)
    result = command("evaluate", f"samples={reader.removesuffix('/3.png')}", "num_samples=12")
    check(refused(result), ROWS[reader][kind])
    assert not Path("outputs").exists()


@rows("last.ckpt", "config.yaml", "provenance.jsonl")
def test_what_is_resumed(reader: str, kind: str, command: Command, run: Path) -> None:
    path = next(run.rglob(reader))
    put(path, kind)
    if reader == "last.ckpt" and path.is_file() and kind != "half":  # the whole command takes a second
        check(f"error: {error_of(lambda: load_checkpoint(path))}", ROWS[reader][kind])
        return
    steps = "trainer.max_steps=3" if reader == "last.ckpt" else "trainer.max_steps=2"
    check(refused(command("train", "resume=run", steps)), ROWS[reader][kind])
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("kind", ROWS["last.generator.safetensors"])
def test_what_is_drawn_from(kind: str, command: Command, run: Path) -> None:
    put(run / "checkpoints" / "last.generator.safetensors", kind)
    line = refused(command("generate", "run=run", "n=1", "checkpoint=last"))
    check(line, ROWS["last.generator.safetensors"][kind])
    assert not (run / "generated").exists()


@pytest.mark.parametrize("kind", ROWS["metrics.weights"])
def test_weights(kind: str, workdir: Path) -> None:
    path = place("metrics.weights", of_torch({"a": torch.zeros(9)}))
    put(path, kind)
    check(error_of(lambda: load_feature_space("inception", weights=str(path))), ROWS["metrics.weights"][kind])


@pytest.mark.parametrize("kind", ROWS["cache"])
def test_the_cache_of_the_real_images(kind: str, workdir: Path, digits: FeatureSpace) -> None:
    images = torch.from_numpy(IMAGES)[:, None]
    fresh = reference_of(digits, images, with_features=True, cache=Path("cache"))
    (path,) = Path("cache").iterdir()
    put(path, kind)
    for _ in range(2):
        again = reference_of(digits, images, with_features=True, cache=Path("cache"))
        assert all(map(torch.equal, again.moments, fresh.moments)), ROWS["cache"][kind]
    assert load_file(path).keys() >= {"features"}


@pytest.mark.parametrize("kind", ROWS["experiment"])
def test_experiments_of_ones_own(kind: str, command: Command) -> None:
    put(place("experiment", b"# @package _global_\nseed: 7\n"), kind)
    check(refused(command("train", "experiment=mine", "hydra.searchpath=[file://mine]")), ROWS["experiment"][kind])


# --- what only one reader meets


def test_weights_of_another_network_do_not_fit(command: Command, run: Path) -> None:
    path = run / "checkpoints" / "last.generator.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    wrong = {name: value.repeat(2) if value.ndim == 1 else value for name, value in load_file(path).items()}
    save_file(wrong, path, metadata={"recipe": metadata["recipe"]})  # and no digest, which would tell
    line = refused(command("generate", "run=run", "n=1", "checkpoint=last"))
    check(line, f"error: {path}: its weights do not fit its configuration")


def test_a_record_is_a_line_of_its_own_after_half_a_line(workdir: Path) -> None:
    for before, lines in ((b"", 1), (b'{"metric": "fid"}\n', 2), (b'{"metric": "fid_dig', 2)):
        Path("metrics.jsonl").write_bytes(before)
        append_record(Path("metrics.jsonl"), {"metric": "größe"})
        written = Path("metrics.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(written) == lines
        assert json.loads(written[-1]) == {"metric": "größe"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["samples.npy", "last.ckpt", "last.generator.safetensors"])
def test_a_file_that_may_not_be_read(name: str, command: Command, run: Path) -> None:
    np.save("samples.npy", IMAGES)
    next(Path().rglob(name)).chmod(0)
    words = {
        "samples.npy": ["evaluate", "samples=samples.npy"],
        "last.ckpt": ["train", "resume=run", "trainer.max_steps=3"],
        "last.generator.safetensors": ["generate", "run=run", "checkpoint=last"],
    }[name]
    line = refused(command(*words))
    assert "denied" in line
    check(line, name)


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert sum(map(len, ROWS.values())) >= 60
