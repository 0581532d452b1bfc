"""Files are whole, by the umask and named as they were typed; JSON has no NaN; a full disk is called so."""

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, printed_run
from filelock import FileLock, Timeout

from dcgan.metrics.protocol import append_record
from dcgan.shell.status import write_status
from dcgan.shell.sweep import SweepSummary
from dcgan.shell.writing import alone, replacing, to_json

QUICK = [*TINY, "metrics=none", "trainer.max_steps=4", "samples.every=2", "checkpoints.every=2"]
FULL = OSError(errno.ENOSPC, "No space left on device")
WORDS = "No space left on device; free some space, or write elsewhere"


def no_constants(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_json_has_no_nan(tmp_path: Path, capsys: Any) -> None:
    value = {"a": math.nan, "b": [1.5, math.inf, (-math.inf, np.float64("nan"))], "c": {"d": None, "e": "NaN", "f": 1}}
    finite = {"a": None, "b": [1.5, None, [None, None]], "c": {"d": None, "e": "NaN", "f": 1}}
    assert no_constants(to_json(value)) == finite
    append_record(tmp_path / "metrics.jsonl", value)
    assert no_constants((tmp_path / "metrics.jsonl").read_text()) == finite
    write_status(tmp_path / "run", state="finished", results={"fid": math.nan, "steps": 4})
    assert no_constants((tmp_path / "run" / "status.json").read_text())["results"] == {"fid": None, "steps": 4}
    config: Any = type("", (), {"hydra": type("", (), {"sweep": type("", (), {"dir": str(tmp_path)})})})
    SweepSummary().on_multirun_end(config)
    assert "run  fid nan  steps 4\n" in capsys.readouterr().out


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(OSError, match=rf"No space left on device: '{target}'"), replacing(target) as temporary:
        temporary.write_text("ha")
        raise FULL
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"
    line = rf"No such file or directory: '{tmp_path}/nowhere/x'"
    with pytest.raises(OSError, match=line), replacing(tmp_path / "nowhere" / "x") as temporary:
        temporary.write_text("ha")


def test_everything_in_a_run_folder_is_readable_by_whom_the_umask_lets_in(command: Any, workdir: Path) -> None:
    before = os.umask(0o002)
    try:
        run = printed_run(command("train", *QUICK, "logger=csv").out)
        for words in (["out=a.npz", "format=npz"], ["out=grid.png"], ["out=folder", "format=png"]):
            assert command("generate", f"run={run}", "n=2", *words).code == 0
        assert command("evaluate", f"run={run}", "num_samples=20", "out=scores").code == 0
    finally:
        os.umask(before)
    for path in workdir.rglob("*"):
        assert oct(path.stat().st_mode & 0o777) == ("0o775" if path.is_dir() else "0o664"), path


def test_a_lock_is_for_whom_the_umask_lets_in_and_nobody_is_kept_out_by_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, lock = os.umask(0o002), tmp_path / ".lock"
    try:
        with alone(lock), pytest.raises(Timeout), FileLock(lock, timeout=0):
            pass
        with alone(lock):
            assert oct(lock.stat().st_mode & 0o777) == "0o664"
    finally:
        os.umask(before)

    def refused(*args: Any, **kwargs: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(lock))

    monkeypatch.setattr(os, "open", refused)
    with alone(lock):
        pass


@pytest.mark.parametrize("name", ["samples", "provenance.jsonl"])
def test_a_run_folder_does_not_choose_what_is_written_to(name: str, command: Any, workdir: Path) -> None:
    """Such as the one that somebody hands on."""
    run, mine = Path("outputs/mine"), Path("precious")
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    mine.touch()
    (run / name).symlink_to(mine.absolute())
    refused = command("train", *QUICK, "name=mine", "resume=auto")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert refused.err.startswith(f"error: {run / name}: is a link; ")
    with pytest.raises(ValueError, match="is a link"):
        append_record(run / name, {"metric": "fid"})
    assert mine.read_text() == ""


def raise_full(*_: Any, **__: Any) -> None:
    raise FULL


@pytest.mark.fault("disk full: checkpoint")
def test_training_on_a_full_disk_says_so_and_keeps_what_it_had(
    command: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, []

    def at_first(path: Path, content: bytes) -> None:
        written.extend([path] if ".ckpt" in path.name else [])
        (raise_full if len(written) == 2 else write)(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", at_first)
        failed = command("train", *QUICK, "hydra.run.dir=run")
    assert (failed.code, failed.err) == (1, f"error: disk full: run/checkpoints/last.ckpt: {WORDS}\n")
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"
    assert torch.load("run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    there = {"last.ckpt", "previous.ckpt", "last.generator.safetensors"}
    assert {path.name for path in Path("run/checkpoints").iterdir()} == there


@pytest.mark.fault("disk full: samples, generator, records, events")
@pytest.mark.parametrize(
    ("what", "place"),
    [
        ("dcgan.data.images.encode_png", "run/samples/real.png"),
        ("dcgan.runs.load.save", "run/checkpoints/last.generator.safetensors"),
        ("dcgan.shell.writing.to_json", "run/provenance.jsonl"),
        ("torch.utils.tensorboard.SummaryWriter.add_image", "run"),
        ("tensorboard.summary.writer.record_writer.RecordWriter.write", "run"),  # in its thread, between two flushes
    ],
)
def test_a_full_disk_is_named_wherever_it_is_met(
    what: str, place: str, command: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what, raise_full)
    failed = command("train", *QUICK, "hydra.run.dir=run")
    assert (failed.code, failed.err) == (1, f"error: disk full: {place}: {WORDS}\n")


@pytest.mark.fault("disk full: metrics, drawn images")
def test_what_is_drawn_or_scored_on_a_full_disk_is_named_as_it_was_typed(
    command: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = printed_run(command("train", *QUICK).out)
    monkeypatch.setattr("dcgan.sharing.stream.Arrays.add", raise_full)
    monkeypatch.setattr("dcgan.sharing.writing.encode_png", raise_full)
    monkeypatch.setattr("dcgan.data.images.encode_png", raise_full)
    for words in (["out=a.npz", "format=npz"], ["out=grid.png"], ["out=folder", "format=png"]):
        failed = command("generate", f"run={run}", "n=2", *words)
        place = words[0].removeprefix("out=")
        assert (failed.code, failed.err.splitlines()[-1]) == (1, f"error: disk full: {place}: {WORDS}")
    monkeypatch.setattr("dcgan.shell.writing.to_json", raise_full)
    failed = command("evaluate", f"run={run}", "num_samples=20", "out=scores")
    assert (failed.code, failed.err.splitlines()[-1]) == (1, f"error: disk full: scores/metrics.jsonl: {WORDS}")
    assert "fid_digits_test_20 " in failed.out


@pytest.mark.fault("a folder that is read-only")
def test_a_folder_that_cannot_be_written_to_is_named_as_it_was_typed(
    command: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = printed_run(command("train", *QUICK).out)

    def denied(path: Path, *_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", denied)
    failed = command("generate", f"run={run}", "n=2", "out=grid.png")
    assert failed.err.splitlines()[-1] == "error: [Errno 13] Permission denied: 'grid.png'"


def test_a_status_finds_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_status(tmp_path, state="running", note="a long one, of which nothing is left")
    monkeypatch.setattr(os, "fsync", raise_full)
    write_status(tmp_path, state="failed")
    assert json.loads((tmp_path / "status.json").read_text()) == {"state": "failed"}
