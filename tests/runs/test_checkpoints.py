import os
from pathlib import Path
from typing import Any

import pytest
import torch

from dcgan.runs.checkpoints import AtomicCheckpointIO, load_checkpoint


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
