"""What holds for any file and any configuration: it is read as what it is, or refused in one line.

Hypothesis makes the same examples each time, and keeps nothing.
"""

import atexit
import copy
import io
import json
import math
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed, config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import load as load_safetensors
from torch import nn

from dcgan.config.check import check
from dcgan.config.schema import SCHEMAS, known_keys
from dcgan.data.files import read_samples
from dcgan.data.idx import read_idx
from dcgan.models import MODELS
from dcgan.models.base import Shape
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.load import load, save_generator

Found = tuple[Any, str]


# It keeps notes on the source even so, from when tests are collected: not in the project.
NOTES = tempfile.mkdtemp()
atexit.register(shutil.rmtree, NOTES, ignore_errors=True)
set_hypothesis_home_dir(NOTES)


def examples(number: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=number, derandomize=True, database=None, deadline=None, suppress_health_check=checks)


def outcome(read: Callable[[], Any]) -> Found:
    """What a reader returns, and the line that it refuses with; anything else that it raises fails the test."""
    found, line = None, ""
    try:
        found = read()
    except (ValueError, OSError) as error:
        line = str(error)
    assert line.isprintable(), line
    assert (found is None) == bool(line)
    return found, line


# --- damage: cut short, made longer, bits turned over, bytes exchanged


def bytes_after(*starts: bytes) -> st.SearchStrategy[bytes]:
    """Anything, behind what makes a reader go on."""
    return st.tuples(st.sampled_from([b"", *starts]), st.binary(max_size=60)).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn, content: bytes, *, head: int) -> bytes:
    """Half of the damage falls upon the first ``head`` bytes."""
    result = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        within = min(len(result), draw(st.sampled_from([head, len(content)])))
        at = draw(st.integers(0, max(0, within - 1)))
        kind = draw(st.sampled_from(["flip", "flip", "flip", "write", "cut", "longer", "drop"]))
        some = draw(st.binary(min_size=1, max_size=8))
        if kind == "flip" and result:
            result[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "write":
            result[at : at + len(some)] = some
        elif kind == "cut":
            del result[at:]
        elif kind == "longer":
            result += some
        else:
            del result[at : at + len(some)]
    return bytes(result)


def saved(write: Callable[[Any], None]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
LABELS = np.array([3, 1, 4])
OF_IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", *IMAGES.shape) + IMAGES.tobytes()
OF_NPY = saved(lambda file: np.save(file, IMAGES))
OF_NPZ = saved(lambda file: np.savez(file, images=IMAGES, labels=LABELS))
PACKED = saved(lambda file: np.savez_compressed(file, images=IMAGES, labels=LABELS))
CHECKPOINT = {
    "config": {"seed": 0},
    "state_dict": {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)},
    "global_step": 1,
}
OF_TORCH = saved(lambda file: torch.save(CHECKPOINT, file))
OF_OLD_TORCH = saved(lambda file: torch.save(CHECKPOINT, file, _use_new_zipfile_serialization=False))


# --- readers


@examples(150)
@given(content=st.one_of(damaged(OF_IDX, head=16), bytes_after(b"\0\0\x08", b"\0\0\x08\x01\0\0\0")))
def test_idx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    values, line = outcome(lambda: read_idx(path))
    assert line.startswith(str(path)) or values.numpy().tobytes() == content[4 + 4 * content[3] :]


@examples(150)
@given(
    shape=st.lists(st.one_of(st.integers(0, 4), st.integers(0, 2**32 - 1)), max_size=6), num_values=st.integers(0, 70)
)
def test_idx_holds_what_its_header_promises(shape: list[int], num_values: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(num_values))
    values, _ = outcome(lambda: read_idx(path))
    fits = 1 <= len(shape) <= 4 and math.prod(shape) == num_values > 0
    assert fits == (values is not None)
    assert values is None or list(values.shape) == shape


@examples(300)
@given(
    content=st.one_of(
        *(damaged(content, head=128) for content in (OF_NPY, OF_NPZ, PACKED)),
        bytes_after(b"\x93NUMPY", b"\x93NUMPY\x01\x00\x20\x00", b"PK\x03\x04"),
    )
)
def test_arrays(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    found, line = outcome(lambda: read_samples(path, channels=1))
    assert line.startswith(f"samples={path}: ") or found.images.dtype == torch.uint8
    if found is not None and content.startswith(b"PK"):  # which has checksums
        assert torch.equal(found.images.flatten(), torch.from_numpy(IMAGES).flatten())
        assert found.labels is None or found.labels.tolist() == LABELS.tolist()


DTYPES = ["|u1", "<f4", ">f2", "|b1", "|O", "<U3", "|S0", "<c16", "<M8[s]", "|V0", "|V9", "<i8", "nonsense"]


@examples(150)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.one_of(st.sampled_from([0, 1, 2, 4, 28]), st.integers(-(2**70), 2**70)), max_size=5),
    fortran=st.booleans(),
    content=st.binary(max_size=64),
)
def test_arrays_of_any_header(dtype: str, shape: list[int], fortran: bool, content: bytes, tmp_path: Path) -> None:
    text = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {tuple(shape)}}}".encode()
    path = tmp_path / "file"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content)
    found, line = outcome(lambda: read_samples(path, channels=1))
    assert line.startswith(f"samples={path}: ") or found.images.numel() <= len(content)


@examples(120)
@given(
    content=st.one_of(
        damaged(OF_TORCH, head=600),
        damaged(OF_OLD_TORCH, head=600),
        bytes_after(b"\x80\x02", b"PK\x03\x04"),
    )
)
def test_checkpoints(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    found, line = outcome(lambda: load_checkpoint(path))
    assert line.startswith(str(path)) or found.keys() >= {"config", "state_dict"}
    if found is not None and content.startswith(b"PK"):  # which has checksums
        assert found["config"] == CHECKPOINT["config"]
        assert all(torch.equal(found["state_dict"][key], value) for key, value in CHECKPOINT["state_dict"].items())


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The smallest generator's file."""
    made = config(
        "model=mlp", "model.width=1", "model.latent_dim=1", "model.depth=1", "data.resolution=4", "metrics=none"
    )
    path = tmp_path_factory.mktemp("generator") / "a"
    save_generator(MODELS[made.model.name].generator(made.model, Shape.of(made)), path, config=asdict(made), step=2)
    return path.read_bytes()


@examples(150)
@given(data=st.data())
def test_generators(data: st.DataObject, generator: bytes, tmp_path: Path) -> None:
    length = struct.unpack("<Q", generator[:8])[0]
    content = data.draw(st.one_of(damaged(generator, head=length), bytes_after(b"\x20\0\0\0\0\0\0\0{")))
    path = tmp_path / "checkpoints" / "last.generator.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found, line = outcome(lambda: load(tmp_path, checkpoint="last", device="cpu"))
    assert line.startswith(str(tmp_path)) or equal_weights(found.generator, generator)


def equal_weights(found: nn.Module, content: bytes) -> bool:
    """Whether what was damaged was of no consequence."""
    expected = load_safetensors(content)
    return all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())


@examples(30)
@given(data=st.data())
def test_recipes(data: st.DataObject, generator: bytes, tmp_path: Path) -> None:
    """A whole file, of which the recipe says anything."""
    length = struct.unpack("<Q", generator[:8])[0]
    head = json.loads(generator[8 : 8 + length])
    recipe = json.loads(head["__metadata__"]["recipe"])
    del head["__metadata__"]["sha256"]  # which would tell
    recipe["config"] = data.draw(mangled(recipe["config"], "train", JSON))
    head["__metadata__"]["recipe"] = json.dumps(
        recipe | data.draw(st.sampled_from([{}, {"step": None}, {"version": [9]}]))
    )
    changed = json.dumps(head).encode()
    path = tmp_path / "checkpoints" / "last.generator.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + generator[8 + length :])
    found, line = outcome(lambda: load(tmp_path, checkpoint="last", device="cpu"))
    assert line.startswith(str(tmp_path)) or found.config.seed >= 0


# --- configurations

STRANGE = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, math.nan, math.inf, -math.inf, 1e-320),
        *(
            "",
            "???",
            "${seed}",
            "${nope}",
            "${",
            "${name}${name}",
            "a\nb",
            "\x1b[31m",
            "\ud800",
            "\0",
            "~nobody/x",
            "x" * 5000,
        ),
        *("1e3", "null", "none", "adam", "batch", "../../x"),
        *([], {}, [[]], [1, 2], [0.5, 0.9], ["a"], {"name": "none"}, {"name": None}, {"name": ["x"]}, {"a": {"b": 1}}),
    ]
)
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON = st.one_of(
    STRANGE,
    st.recursive(
        LEAF,
        lambda one: st.one_of(st.lists(one, max_size=3), st.dictionaries(st.text(max_size=5), one, max_size=3)),
        max_leaves=5,
    ),
)
ANY = st.one_of(JSON, st.sampled_from([{1: 2}, {None: 1}, {True: {}}, b"x", Path("x")]))


@st.composite
def mangled(draw: st.DrawFn, values: dict[str, Any], entry: str, strange: st.SearchStrategy[Any]) -> dict[str, Any]:
    """``values`` with one or two of the keys that there are set to anything, taken away, or joined by another."""
    result = copy.deepcopy(values)
    for _ in range(draw(st.integers(1, 2))):
        *groups, last = draw(st.sampled_from(known_keys(SCHEMAS[entry]))).split(".")
        inner = result
        for group in groups:
            if not isinstance(inner.get(group), dict):
                inner[group] = {}
            inner = inner[group]
        kind = draw(st.sampled_from(["set", "set", "set", "take", "add"]))
        if kind == "take":
            inner.pop(last, None)
        else:
            inner[last if kind == "set" else draw(st.text(max_size=5))] = draw(strange)
    return result


@pytest.mark.parametrize(
    "words",
    [
        ("train", "experiment=best_conditional"),
        ("train", "optimizer=adamw"),
        ("evaluate", "run=x"),
        ("generate", "run=x"),
    ],
)
def test_configurations(words: tuple[str, ...]) -> None:
    entry, *others = words
    whole = OmegaConf.to_container(composed(*others, entry=entry), resolve=True)

    @examples(30)
    @given(values=mangled(whole, entry, ANY))
    def holds(values: dict[str, Any]) -> None:
        try:
            made = OmegaConf.create(values)
        except OmegaConfBaseException:  # which no YAML gets past
            return
        found, _ = outcome(lambda: check(made, SCHEMAS[entry]))
        if found is not None:  # what is valid stays so
            values = {key: value for key, value in asdict(found).items() if (key, value) != ("metrics", None)}
            again = check(OmegaConf.create(values), SCHEMAS[entry])
            assert repr(again) == repr(found)

    holds()
