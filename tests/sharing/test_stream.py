import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from synthetic import write_generators

from dcgan.models.base import Generator
from dcgan.sharing import stream


@pytest.fixture
def run(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stream, "CHUNK", 10)
    return write_generators(Path("run"), "model.conditional=true")


def stopped(monkeypatch: pytest.MonkeyPatch, command: Any, words: list[str], *, after: int) -> None:
    """As by Ctrl-C, when so many chunks are there."""
    draw, drawn = Generator.draw, []

    def until(generator: Generator, *inputs: Any) -> Any:
        drawn.append(None)
        if len(drawn) > after:
            raise KeyboardInterrupt
        return draw(generator, *inputs)

    with monkeypatch.context() as patched:
        patched.setattr(Generator, "draw", until)
        assert command("generate", *words).code == 130


def cut(partial: Path) -> None:
    """The last thing that a killed process wrote is half of what it was to be."""
    pictures = sorted((partial / "images").glob("*"))
    path = pictures[-1] if pictures else partial / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def content(out: Path) -> Any:
    return {one.name: one.read_bytes() for one in out.iterdir()} if out.is_dir() else out.read_bytes()


@pytest.mark.parametrize("form", ["npz", "png"])
@pytest.mark.parametrize("damage", [cut, lambda partial: None])
def test_what_was_stopped_goes_on_and_ends_as_if_it_had_not_been(
    form: str, damage: Callable[[Path], None], run: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run=run", "checkpoint=last", "n=15", "seed=[1,2,3]", f"format={form}"]
    assert command("generate", *words, "out=whole").code == 0
    ending = {"npz": ".npz", "png": ""}[form]
    stopped(monkeypatch, command, [*words, "out=parts"], after=3)
    partial = Path(f"parts{ending}.partial")
    assert not Path(f"parts{ending}").exists()
    damage(partial)
    going_on = command("generate", *words, "out=parts")
    assert going_on.code == 0, going_on.err
    there = 20 if damage is cut or form == "png" else 30  # the last picture may always be half of one
    assert going_on.err == f"note: {there} of 45 are there ({partial}); going on\n"
    assert content(Path(f"parts{ending}")) == content(Path(f"whole{ending}"))
    assert not partial.exists()


def test_an_array_is_as_numpy_reads_it(run: Path, command: Any) -> None:
    assert command("generate", "run=run", "checkpoint=last", "n=23", "format=npz", "out=a").code == 0
    with zipfile.ZipFile("a.npz") as archive:
        assert archive.testzip() is None
    arrays = np.load("a.npz", allow_pickle=False)
    assert set(arrays) == {"images", "labels"}
    assert (arrays["images"].shape, arrays["images"].dtype) == ((23, 28, 28), np.uint8)
    assert arrays["labels"].tolist() == [i % 10 for i in range(23)]


def test_another_line_takes_nothing_of_what_was_begun(run: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run=run", "checkpoint=last", "n=25", "format=npz", "out=a"]
    stopped(monkeypatch, command, words, after=1)
    line = (
        "error: out=a.npz: a.npz.partial was begun by another line; type that one to go on, choose another, "
        "or overwrite=true\n"
    )
    assert command("generate", *words, "seed=5").err == line
    write_generators(Path("other"), "model.conditional=true", steps=(7,))
    assert command("generate", "run=other", *words[1:]).err == line  # other weights
    assert json.loads(Path("a.npz.partial/asked.json").read_text())["seed"] == [0]
    with FileLock("a.npz.partial/.lock"):
        assert "another process is drawing it" in command("generate", *words).err
    anew = command("generate", *words, "seed=5", "overwrite=true")
    assert (anew.code, anew.err) == (0, "")
    assert command("generate", *words[:-1], "seed=5", "out=b").code == 0
    assert content(Path("a.npz")) == content(Path("b.npz"))
