import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, config

from dcgan.runs.checkpoints import AtomicCheckpointIO, is_whole, load_checkpoint
from dcgan.runs.load import load, save_generator
from dcgan.training.build import build_gan


def test_what_is_saved_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"config": {}, "state_dict": {"a": torch.ones(2)}}, tmp_path / "x" / "a.ckpt")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["a.ckpt"]
    assert torch.equal(load_checkpoint(tmp_path / "x" / "a.ckpt")["state_dict"]["a"], torch.ones(2))


@pytest.mark.parametrize("failing", ["save", "fsync", "replace"])
def test_a_failure_at_any_moment_leaves_the_old_file_whole(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ckpt"
    old, new = ({"config": {}, "state_dict": {"a": torch.full((2,), value)}} for value in (1.0, 2.0))
    AtomicCheckpointIO().save_checkpoint(old, path)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(*{"save": (torch, "save"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[failing], fail)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint(new, path)
    monkeypatch.undo()
    assert torch.equal(load_checkpoint(path)["state_dict"]["a"], torch.ones(2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ckpt"]


class Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("executed",))


def test_files_that_are_no_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.ckpt"
    torch.save({"config": {}, "state_dict": {}, "more": Evil()}, path)
    with pytest.raises(ValueError, match=r"a\.ckpt is not a readable checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"a\.ckpt is not a readable checkpoint"):
        load_checkpoint(path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"a\.ckpt is not a checkpoint of this package"):
        load_checkpoint(path)


def test_a_digest_knows_a_file_that_was_cut_or_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"config": {}, "state_dict": {"a": torch.ones(2000)}}, path)
    whole = path.read_bytes()
    assert is_whole(whole)
    assert torch.equal(torch.load(path, weights_only=True)["state_dict"]["a"], torch.ones(2000))  # a plain file
    for at in range(0, len(whole), 97):
        assert not is_whole(whole[:at])
        assert not is_whole(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(ValueError, match=r"a\.ckpt is not a readable checkpoint"):
        load_checkpoint(path)
    torch.save({"config": {}, "state_dict": {}}, path)
    assert is_whole(path.read_bytes())  # of one that was never sealed nobody can tell


def test_a_generator_that_was_changed_is_refused(tmp_path: Path) -> None:
    settings = config("model.width=4")
    generator = build_gan(settings).generator
    path = tmp_path / "checkpoints" / "last.generator.safetensors"
    path.parent.mkdir()
    save_generator(generator, path, config=asdict(settings), step=3)
    assert load(tmp_path, checkpoint="last", device="cpu").step == 3
    content = bytearray(path.read_bytes())
    content[-100] ^= 1  # of a weight, which stays a number
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it is not as it was written: its digest differs"):
        load(tmp_path, checkpoint="last", device="cpu")


@pytest.mark.parametrize(("keep", "steps"), [("false", []), ("2", [8, 10]), ("true", [2, 4, 6, 8, 10])])
def test_as_many_are_kept_as_were_asked_for(keep: str, steps: list[int], command: Any, workdir: Path) -> None:
    words = ["metrics=none", "logger=none", "trainer.max_steps=10", "checkpoints.every=2", f"checkpoints.keep={keep}"]
    assert command("train", *TINY, *words, "name=N", "resume=auto").code == 0
    found = {path.name for path in (workdir / "outputs" / "N" / "checkpoints").glob("*")}
    kept = {f"step_{step:06d}{suffix}" for step in steps for suffix in (".ckpt", ".generator.safetensors")}
    assert found == {"last.ckpt", "last.generator.safetensors", "previous.ckpt", *kept}
    refused = command("train", *TINY, "checkpoints.keep=few")
    assert refused.err == "error: checkpoints.keep=few: must be true (all), false (none), or how many\n"
