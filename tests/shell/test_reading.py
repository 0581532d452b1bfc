"""The small files of a run folder that is a stranger's: no traceback, no words for a terminal, no memory filled."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import config
from PIL import Image

from dcgan.metrics.protocol import read_records
from dcgan.models import MODELS
from dcgan.models.base import Shape
from dcgan.reports.pictures import opened, whole
from dcgan.runs.load import Loaded
from dcgan.runs.rewind import rewind
from dcgan.runs.run import record_finished
from dcgan.sharing.card import card
from dcgan.shell.status import owned, read_status, shown_results
from dcgan.shell.versions import of_this_version, version_of

DEEP = "[" * 100_000
RED = "\x1b[31m\n"


@pytest.fixture(params=["deep", "pipe", "endless", "terabyte", "bytes", "cut"])
def strange(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What nobody's run wrote, in place of any of its files."""
    path = tmp_path / "strange"
    kind = request.param
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "terabyte":
        path.touch()
        os.truncate(path, 2**40)
    else:
        path.write_bytes({"deep": DEEP.encode(), "bytes": b"\xff\xfe\0", "cut": b'{"state": "fin'}[kind])
    return path


def test_files_that_are_none(strange: Path, tmp_path: Path) -> None:
    for name in ("status.json", "provenance.jsonl"):
        (tmp_path / name).symlink_to(strange)
    assert read_status(tmp_path) == {}
    assert version_of(tmp_path) is None
    with pytest.raises(ValueError, match="was made by a dcgan before"), of_this_version(str(tmp_path), None):
        raise ValueError
    for read in (read_records, lambda path: rewind(path.parent, step=1)):
        (tmp_path / "metrics.jsonl").unlink(missing_ok=True)
        (tmp_path / "metrics.jsonl").symlink_to(strange)
        try:
            assert not read(tmp_path / "metrics.jsonl")
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"results": {"steps": 4, "x": [1], "y": "z", "fid": None}}, "steps 4  fid nan"),
        ({"results": {"steps": 10**400}}, ""),
        ({"results": {RED: 4.0}}, "?[31m 4"),
        ({"error": RED, "results": {}}, ""),
        ({"state": RED}, ""),
        ({"state": "running", "process": {"host": socket.gethostname(), "pid": 10**400, "boot": None}}, ""),
    ],
)
def test_a_status_is_no_words_for_a_terminal(status: dict[str, Any], line: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "finished", **status}))
    found = read_status(tmp_path)
    assert shown_results(found) == line
    assert f"{found['state']}{found.get('error', '')}".isprintable()


def test_a_holders_name_is_no_words_for_a_terminal(tmp_path: Path) -> None:
    process = {"host": RED, "pid": RED}
    (tmp_path / "status.json").write_text(json.dumps({"state": "running", "process": process}))
    with pytest.raises(ValueError, match="is training in it") as error:
        owned(tmp_path).__enter__()
    assert str(error.value).isprintable()


LINES = [
    *("[1]", "null", DEEP, '{"split": "train"}', '{"split": "train", "metric": "m", "value": null}'),
    *('{"split": "train", "metric": [1], "value": 1}', '{"split": "train", "metric": "m", "value": "1"}'),
    '{"split": "train", "metric": "fid", "value": 7.5, "step": 2, "extractor": "digits"}',
]


def test_lines_that_are_no_evaluations_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.jsonl").write_text("\n".join(LINES) + "\n")
    assert record_finished(tmp_path, {"steps": 2}) == {"steps": 2, "fid": 7.5, "best/fid": 7.5}
    assert "finished already (steps 2  fid 7.5  best/fid 7.5)" in capsys.readouterr().out
    rewind(tmp_path, step=1)
    assert DEEP not in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    "changed",
    [{"extractor": None}, {"measures": [1]}, {"measures": {"fid": [1]}}, {"real": [1]}, {"histogram": {"a": 1}}],
)
def test_a_card_of_lines_that_are_no_evaluations(changed: dict[str, Any], tmp_path: Path) -> None:
    made = config("metrics=none")
    generator = MODELS[made.model.name].generator(made.model, Shape.of(made))
    line = {"split": "test", "step": 2, "extractor": "digits", "metric": "fid", "value": 1.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({**line, "measures": {"fid": {"value": 1.0}}, **changed}))
    (tmp_path / "provenance.jsonl").write_text('{"packages": "torch", "git_commit": 4}')
    with pytest.raises(ValueError, match="holds a line that is no evaluation's; remove it"):
        card(Loaded(generator, made, "last", 2), tmp_path, form="safetensors", agreement="")


def refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be read: |pixels") as error:
        opened(path)
    assert str(error.value).isprintable()
    assert whole(path) is None


def test_grids_that_are_none(strange: Path) -> None:
    refused(strange)


def test_a_grid_fills_no_memory_and_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for height in (10_000, 20_000):
        Image.new("1", (10_000, height)).save(tmp_path / "a.png")
        refused(tmp_path / "a.png")
    monkeypatch.setattr("subprocess.check_call", lambda *_: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n%%EOF\n"
    )
    refused(tmp_path / "a.png")
