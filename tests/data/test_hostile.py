"""Files made to do harm: to fill the memory, to reach out of their folder, to run something, to never end.

Each is refused in one line that names it. What would fill the memory is read in a process that is given little of it:
a reader that allocates first, and looks then, fails.
"""

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import config
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from dcgan.data.files import read_samples
from dcgan.data.idx import read_idx
from dcgan.data.plain import load_plain
from dcgan.models import MODELS
from dcgan.models.base import Shape
from dcgan.runs.load import load, save_generator

TERA = 2**40
LITTLE = 2**27  # bytes that a reader may take on top of what Python and its libraries have
DIGIT = np.zeros((28, 28), dtype=np.uint8)
DIGIT[6:22, 8:20] = np.random.default_rng(0).integers(0, 256, (16, 12), dtype=np.uint8)
DIGIT[14, 14] = 255


# --- what each file is


def idx(*shape: int, magic: tuple[int, ...] = (0, 0, 8)) -> bytes:
    return bytes([*magic, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def header(shape: str, dtype: str = "|u1") -> bytes:
    """Of an .npy file."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def bomb(head: bytes, size: int) -> bytes:
    """An .npz of one array, whose directory says that it unpacks to ``size`` bytes."""
    content = bytearray(zipped(images=head + bytes(2**20)))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", min(size, 2**32 - 2))
    return bytes(content)


def png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """A valid picture, all black: a thousand times smaller than its pixels. Or the first rows of one."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    row = bytes(1 + width)
    pixels = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def refused(read: Callable[[], Any]) -> str:
    """The one line."""
    with pytest.raises((ValueError, OSError)) as error:
        read()
    line = str(error.value)
    assert line.isprintable(), line
    assert len(line) < 1500
    return line


def samples(path: Path) -> str:
    return refused(lambda: read_samples(path, channels=1))


# --- IDX


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx(2**31, 28, 28), "holds 0 values, its header promises 1683627180032"),
        (idx(2**32 - 1), "holds 0 values, its header promises 4294967295"),  # -1, where the format has signs
        (idx(2**16, 2**16, 2**16, 2**16), "holds 0 values, its header promises 18446744073709551616"),  # 0 in 64 bits
        (idx(0, 2**32 - 1, 2**32 - 1), "holds 0 values, must hold 1 to"),
        (idx(*[1] * 255) + b"x", "has 255 dimensions, must have 1 to 4"),
        (idx() + b"x", "has 0 dimensions, must have 1 to 4"),
        (idx(2)[:6], "ends inside its header"),
        (idx(3) + b"1234", "holds 4 values, its header promises 3"),
        (idx(1, magic=(0, 0, 0x0E)) + b"12345678", "is not an IDX file of unsigned bytes"),
    ],
)
def test_headers_of_idx_are_held_against_the_file(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(content)
    line = refused(lambda: read_idx(tmp_path / "images"))
    assert line.startswith(f"{tmp_path / 'images'} {words}")
    assert "not an IDX" in line or line.endswith("; it is damaged: fetch it again")


# --- arrays


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (header(f"({TERA}, 28, 28)"), "its header promises 862017116176384; it is damaged"),
        (header(f"({2**32}, {2**32})"), "its header promises 18446744073709551616; it is damaged"),  # 0 in 64 bits
        (header("(-1, 28, 28)"), "its header promises -784; it is damaged"),
        (header("(-2, -392)"), "its header promises 784; it is damaged"),
        (header("(2, 28, 28)", f"|V{2**31 - 1}"), "its header promises"),
        (header("(1, 28, 28)", "|O"), "it holds pickled objects, which could execute code"),
        (header("(" * 5000), "cannot be read"),
        (header("(1, 28, 28)", "no type"), "cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "cannot be read"),
        (b"\x93NUMPY\x09\x00\xff\xff{", "its format is 9.0; save it as a plain array"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "cannot be read"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_headers_of_arrays_are_held_against_the_file(head: bytes, words: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    content = head + DIGIT.tobytes()
    path.write_bytes(zipped(images=content) if packed else content)
    line = samples(path)
    assert line.startswith(f"samples={path}: cannot be read: ")
    assert words in line


def test_labels_that_are_a_bomb_are_left_with_a_word(tmp_path: Path) -> None:
    images = io.BytesIO()
    np.save(images, DIGIT[None])
    (tmp_path / "a.npz").write_bytes(zipped(images=images.getvalue(), labels=header(f"({TERA},)", "<i8")))
    found = read_samples(tmp_path / "a.npz", channels=1)
    assert found.labels is None
    assert f"its header promises {8 * TERA}" in found.why_unlabelled


def test_names_in_an_archive_are_no_words_for_a_terminal(tmp_path: Path) -> None:
    for names in (["\x1b[31m\n"], ["\x1b[31m\nred", "other"], ["x" * 60_000, "y"]):
        (tmp_path / "a.npz").write_bytes(zipped(**dict.fromkeys(names, b"no array")))
        assert "cannot be read" in samples(tmp_path / "a.npz")


# --- pictures


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "samples", tmp_path / "secret.png"
    (folder / "deeper").mkdir(parents=True)
    for path in (outside, folder / "a.png"):
        Image.fromarray(DIGIT).save(path)
    (folder / "deeper" / "b.png").symlink_to("../a.png")
    (tmp_path / "linked").symlink_to(folder)
    for within in (folder, tmp_path / "linked"):
        assert len(read_samples(within, channels=1).images) == 2
    for target in ("../secret.png", str(outside), "/dev/zero", "../samples/../secret.png", "deeper/hop"):
        (folder / "c.png").unlink(missing_ok=True)
        (folder / "c.png").symlink_to(target)
        (folder / "deeper" / "hop").unlink(missing_ok=True)
        (folder / "deeper" / "hop").symlink_to(outside)
        line = samples(folder)
        assert line == f"samples={folder}/c.png: is a link out of the folder; put the picture itself there"
    (folder / "c.png").unlink()
    (folder / "up").symlink_to(tmp_path)
    assert len(read_samples(folder, channels=1).images) == 2


def test_a_program_is_not_started_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "check_call", lambda *_: pytest.fail("a program was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *_: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n%%EOF\n"
    )
    assert samples(tmp_path) == f"samples={tmp_path}/a.png: cannot be read as an image (it is text)"


@pytest.mark.parametrize("reader", ["samples", "folder", "idx", "plain", "generator"])
def test_a_pipe_is_not_waited_for(reader: str, tmp_path: Path) -> None:
    path = tmp_path / ("checkpoints/last.generator.safetensors" if reader == "generator" else "a.png")
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    reads: dict[str, Callable[[], Any]] = {
        "samples": lambda: read_samples(path, channels=1),
        "folder": lambda: read_samples(tmp_path, channels=1),
        "idx": lambda: read_idx(path),
        "plain": lambda: load_plain(path),
        "generator": lambda: load(tmp_path, checkpoint="last", device="cpu"),
    }
    assert "is a pipe or a device, not a file" in refused(reads[reader])


def test_names_in_a_folder_are_no_words_for_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m\nred.png").write_bytes(b"none")
    assert "?[31m red.png: cannot be read as an image (it is text)" in samples(tmp_path)
    (tmp_path / "\x1b[31m\nred.png").rename(tmp_path / "a.x\x1b[31m\n")
    assert "holds no images" in samples(tmp_path)


# --- checkpoints


def checkpoint(path: Path, content: Any, *, pack: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    """``content`` as ``torch.save`` writes it, with some of its entries exchanged, packed anew."""
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        there = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", pack) as archive:
        for name, value in there.items():
            archive.writestr(name, entries.get(name.rpartition("/")[2], value))
    return path


def test_checkpoints_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    weights = torch.zeros(4)
    doubled: Any = [weights]
    for _ in range(40):
        doubled = [doubled, doubled]
    deep: Any = weights
    for _ in range(200):
        deep = {"a": deep}
    for content in (doubled, deep):
        torch.save(content, path)
        assert refused(lambda: load_plain(path)) == "it holds containers in containers without end; it is no checkpoint"
    torch.save(torch.zeros(1).expand(TERA), path)
    assert "holds a tensor larger than its values in the file" in refused(lambda: load_plain(path))
    for strange in (weights.to_sparse(), weights.to("meta")):
        torch.save(strange, path)
        assert "holds tensors that are sparse" in refused(lambda: load_plain(path))
    checkpoint(path, weights, pack=zipfile.ZIP_DEFLATED)
    assert "is packed as PyTorch does not" in refused(lambda: load_plain(path))
    assert torch.equal(load_plain(checkpoint(path, weights)), weights)


# --- generators


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the smallest generator, and what its header says."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "checkpoints").mkdir()
    made = config("trainer.max_steps=2", "metrics=none")
    generator = MODELS[made.model.name].generator(made.model, Shape.of(made))
    save_generator(generator, folder / FILE, config=asdict(made), step=2)
    return folder


FILE = "checkpoints/last.generator.safetensors"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header, and its values."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put_together(path: Path, head: bytes, values: bytes = b"", *, length: int | None = None) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(struct.pack("<Q", len(head) if length is None else length) + head + values)
    return path.parents[1]


def drawn_from(run: Path) -> str:
    return refused(lambda: load(run, checkpoint="last", device="cpu"))


def with_recipe(run: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The run's generator, with another recipe, and no digest that would tell."""
    head, values = parts(run / FILE)
    del head["__metadata__"]["sha256"]
    recipe = json.loads(head["__metadata__"]["recipe"])
    changed = change(recipe)
    head["__metadata__"]["recipe"] = changed if isinstance(changed, str) else json.dumps(recipe)
    return put_together(folder / FILE, json.dumps(head).encode(), values)


@pytest.mark.parametrize("length", [2**31, TERA, 2**63, 2**64 - 1, 0])
def test_a_header_that_claims_gigabytes(length: int, tmp_path: Path) -> None:
    assert "is not a readable generator" in drawn_from(put_together(tmp_path / FILE, b'{"a":1}', length=length))


def test_headers_whose_tensors_are_not_in_the_file(run: Path, tmp_path: Path) -> None:
    head, values = parts(run / FILE)
    name = next(key for key in head if key != "__metadata__")
    for change in ({"shape": [TERA]}, {"data_offsets": [0, TERA]}, {"data_offsets": [-4, 0]}, {"dtype": "X9"}):
        changed = json.dumps(head | {name: head[name] | change}).encode()
        assert "is not a readable generator" in drawn_from(put_together(tmp_path / FILE, changed, values))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.width", 10**6, "its weights do not fit its configuration"),
        ("model.width", 10**15, "is of no network that can be built"),
        ("model.latent_dim", 10**12, "its weights do not fit its configuration"),
        ("model.depth", 10**9, "model.depth=1000000000: must be at least 1, 16 at most"),
        ("model.base_convs", 10**9, "model.base_convs=1000000000: must be at least 0, 16 at most"),
        ("data.resolution", 2**60, "must be a multiple of 4, 1024 at most"),
        ("model.generator.norm", "none", "its weights do not fit its configuration"),
        ("model.name", "../../evil", "model.name=../../evil: unknown"),
        ("model", {"_target_": "os.system", "command": "touch executed"}, "no such key"),
        ("data.name", "/etc/passwd", "data=/etc/passwd: unknown"),
        ("name", "../../evil", "name=../../evil: must be letters"),
        ("name", "${oc.env:HOME}", "its recipe is no plain configuration"),
        ("name", "\n\x1b[31m", "name= ?[31m: must be letters"),
        ("seed", 10**400, "seed="),
        ("trainer.plugins", [[[[["x" * 1000] * 50] * 3] * 3] * 3], None),
    ],
)
def test_recipes_are_held_against_the_weights(
    run: Path, tmp_path: Path, key: str, value: Any, words: str | None
) -> None:
    def change(recipe: dict[str, Any]) -> None:
        *groups, last = key.split(".")
        inner = recipe["config"]
        for group in groups:
            inner = inner[group]
        inner[last] = value

    folder = with_recipe(run, tmp_path, change)
    if words is None:
        assert load(folder, checkpoint="last", device="cpu").step == 2
        return
    line = drawn_from(folder)
    assert words in line
    assert line.startswith(str(folder))


@pytest.mark.parametrize(
    "recipe",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[]",
        "null",
        '"text"',
        '{"config": "seed: 1", "step": 1}',
        '{"config": [], "step": 1}',
        '{"config": {}, "step": 1e999}',
        '{"config": {}, "step": "one"}',
        '{"config": {}, "step": 1}',
        '{"config": {"name": ' + '{"a":' * 900 + "1" + "}" * 900 + '}, "step": 1}',
        '{"config": {"a": "\\u0024{b}"}, "step": 1}',
        '{"config": {}, "step": 1, "version": {"a": "\\n"}}',
        '{"config": {}, "step": 1, "version": "\\n\\u001b[31m"}',
        '{"config": {}, "step": ' + "9" * 5000 + "}",
    ],
)
def test_recipes_that_are_none(run: Path, tmp_path: Path, recipe: str) -> None:
    assert str(tmp_path) in drawn_from(with_recipe(run, tmp_path, lambda _: recipe))


def test_weights_of_another_type_are_not_taken(run: Path, tmp_path: Path) -> None:
    with safe_open(run / FILE, "pt") as file:
        metadata, weights = file.metadata(), {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118
    (tmp_path / "checkpoints").mkdir()
    save_file(weights, tmp_path / FILE, metadata={"recipe": metadata["recipe"]})
    assert drawn_from(tmp_path) == f"{tmp_path / FILE}: its weights do not fit its configuration"


# --- with little memory: one process for all of them, as the imports take the time

READ_ALL = f"""
import json, resource, sys
from pathlib import Path
import torch
from dcgan.data.files import read_samples
from dcgan.data.idx import read_idx
from dcgan.data.plain import load_plain
from dcgan.runs.load import load
from PIL import Image
import PIL.PngImagePlugin, PIL.JpegImagePlugin, PIL.WebPImagePlugin, PIL.TiffImagePlugin

READERS = {{
    "idx": read_idx,
    "samples": lambda path: read_samples(path, channels=1),
    "plain": load_plain,
    "generator": lambda path: load(path, checkpoint="last", device="cpu"),
}}
torch.zeros(9).sum()
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {LITTLE},) * 2)
for word in sys.argv[1:]:
    reader, _, path = word.partition("=")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        READERS[reader](Path(path))
        line = "taken"
    except (ValueError, OSError) as error:
        line = str(error)
    except BaseException as error:
        line = f"{{type(error).__name__}}: {{error}}"
    print(json.dumps([line, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file of ``size`` bytes that takes no space."""
    path.write_bytes(head)
    os.truncate(path, size)
    return path


def test_nothing_is_allocated_before_it_was_looked_at(run: Path, tmp_path: Path) -> None:
    files: dict[str, tuple[str, Path, str]] = {}

    def add(reader: str, words: str, name: str, content: bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        files[name] = reader, path if "/" not in name else path.parent, words
        return path

    add("idx", "its header promises", "header.idx", idx(2**20, 28, 28))
    head = idx(2**30, 28, 28)
    sparse(add("idx", "must hold 1 to", "sparse.idx"), head, len(head) + 2**30 * 784)
    add("samples", "its header promises", "header.npy", header(f"({2**30}, 28, 28)"))
    head = header(f"({2**30}, 28, 28)")
    sparse(add("samples", "2147483648 at most are read", "sparse.npy"), head, len(head) + 2**30 * 784)
    add("samples", "its header promises", "header.npz", zipped(images=header(f"({2**30}, 28, 28)") + bytes(10)))
    head = header(f"({2**32 // 784 - 1}, 28, 28)")
    add("samples", "2147483648 at most are read", "bomb.npz", bomb(head, 2**32))
    add("samples", "it has more than 16777216 pixels; scale it down", "large/a.png", png(10_000, 10_000))
    add("samples", "it has more than 16777216 pixels; scale it down", "huge/a.png", png(2**16, 2**16, rows=9))
    add("samples", "2147483648 at most are read; take fewer", "many/0.png", png(2048, 2048))
    for i in range(1, 200):
        (tmp_path / "many" / f"{i}.png").symlink_to("0.png")
    checkpoint(
        add("plain", "is packed as PyTorch does not", "a.ckpt"), torch.zeros(5 * 2**23), pack=zipfile.ZIP_DEFLATED
    )
    torch.save({"a": torch.zeros(1).expand(TERA)}, add("plain", "holds a tensor larger", "expanded.ckpt"))
    wide = with_recipe(run, tmp_path / "wide", lambda recipe: recipe["config"]["model"].update(width=2000))
    files["wide"] = "generator", wide, "its weights do not fit its configuration"
    head = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (TERA, TERA)
    huge = put_together(tmp_path / "huge_tensor" / FILE, head)
    os.truncate(huge / FILE, 8 + len(head) + TERA)
    files["huge"] = "generator", huge, "is not a readable generator"

    words = [f"{reader}={path}" for reader, path, _ in files.values()]
    result = subprocess.run(
        [sys.executable, "-c", READ_ALL, *words], capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    for (name, (_, _, words_)), (line, kilobytes) in zip(files.items(), lines, strict=True):
        assert words_ in line, name
        assert line.isprintable(), name
        assert kilobytes * 1024 < LITTLE, name
