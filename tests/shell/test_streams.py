"""What was computed is kept and called so, wherever the printed words go."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, printed_run

from dcgan.features import train_classifier
from dcgan.shell.streams import forgiving
from dcgan.shell.sweep import SweepSummary

QUICK = [*TINY, "metrics=none", "trainer.max_steps=2", "samples.every=2"]


class Broken(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def full(opened: ExitStack) -> Any:
    """What is written fails when it is written out; closing tries that once more."""
    stream = Path("/dev/full").open("w")  # noqa: SIM115

    def close() -> None:
        with suppress(OSError):
            stream.close()

    opened.callback(close)
    return stream


STREAMS: dict[str, Callable[[ExitStack], Any]] = {
    "ascii": lambda _: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
    "broken": lambda _: Broken(),
    "closed": lambda _: None,
    "full": full,
}


@pytest.fixture
def run(command: Any, workdir: Path) -> Path:
    trained = command("train", *QUICK)
    assert trained.code == 0, trained.err
    return Path(printed_run(trained.out))


@pytest.mark.parametrize("kind", STREAMS)
def test_a_result_is_recorded_wherever_its_table_goes(
    kind: str, run: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as opened, monkeypatch.context() as patched:
        out, err = (STREAMS[kind](opened) for _ in range(2))
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        assert command("evaluate", f"run={run}", "num_samples=20").code == 0
        assert command("generate", f"run={run}", "n=4", "out=four.png").code == 0
        assert command("train", *QUICK, "hydra.run.dir=again", "trainer.enable_progress_bar=true").code == 0
        if kind == "ascii":
            out.seek(0)
            assert r"\xb1: the standard deviation" in out.read()
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["extractor"] == "digits"
    assert len(list(run.glob("evaluation_*.html"))) == 1
    assert Path("four.png").is_file()
    assert json.loads(Path("again/status.json").read_text())["state"] == "finished"


def test_a_full_disk_that_is_printed_to_is_told_once(run: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as opened, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full(opened))
        scored = command("evaluate", f"run={run}", "num_samples=20")
    assert scored.code == 0
    assert scored.err.count("note: the disk is full: what is printed is lost; the work goes on\n") == 1


def test_a_mistake_is_a_mistake_where_nobody_reads(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    assert command("train", "seed=-1").code == 1


@pytest.mark.fault("closed and full streams")
@pytest.mark.parametrize("redirection", [">/dev/full 2>/dev/full", pytest.param(">&- 2>&-", marks=pytest.mark.trials)])
def test_a_process_without_streams_ends_well(redirection: str, workdir: Path) -> None:
    """Python itself ends with 120 where it cannot write out what was printed."""
    words = " ".join([*QUICK, "trainer.enable_progress_bar=true", "hydra.run.dir=run"])
    ended = subprocess.run(["sh", "-c", f"{sys.executable} -m dcgan.train {words} {redirection}"], check=False)
    assert ended.returncode == 0
    assert json.loads(Path("run/status.json").read_text())["state"] == "finished"


def test_a_page_that_fails_is_one_note(run: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no\nfonts")

    monkeypatch.setattr("dcgan.reports.page.write_page", fail)
    scored = command("evaluate", f"run={run}", "num_samples=20")
    assert scored.code == 0
    (note,) = [line for line in scored.err.splitlines() if "figures" in line]
    assert note.startswith(
        f"note: {run}/evaluation_digits_test_20_step_000002.html: no figures (RuntimeError: no fonts)"
    )
    assert scored.out.endswith(f"  recorded in {run}/metrics.jsonl\n")
    assert "fid_digits_test_20 " in scored.out
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


def test_numbers_that_cannot_be_recorded_are_printed(run: Path, command: Any) -> None:
    (run / "metrics.jsonl").mkdir()
    scored = command("evaluate", f"run={run}", "num_samples=20")
    assert scored.code == 1
    assert "fid_digits_test_20 " in scored.out
    assert scored.err.splitlines()[-1] == f"error: [Errno 21] Is a directory: '{run}/metrics.jsonl'"


def test_a_sweep_goes_on_where_nobody_reads(command: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SweepSummary, "ended", False)
    monkeypatch.setattr(sys, "stdout", Broken())
    assert command("train", "-m", *QUICK, "seed=0,1").code == 0
    states = [json.loads(path.read_text())["state"] for path in workdir.glob("outputs/sweeps/*/*/status.json")]
    assert states == ["finished"] * 2


def test_the_maker_of_an_extractor_goes_on_where_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(**arguments: Any) -> None:
        print("epoch 1", flush=True)
        made.append(arguments["out"])

    monkeypatch.setattr(train_classifier, "train_classifier", make)
    monkeypatch.setattr(sys, "argv", ["train_classifier", "--out", str(tmp_path / "x.safetensors")])
    monkeypatch.setattr(sys, "stdout", Broken())
    train_classifier.main()
    assert made == [tmp_path / "x.safetensors"]


def test_streams_are_as_before_afterwards(capsys: Any) -> None:
    before = sys.stdout
    with forgiving() as out:
        print("read")
        assert sys.stdout is out
        assert out.encoding == before.encoding
    assert sys.stdout is before
    assert not out.lost
    assert capsys.readouterr().out == "read\n"
