"""The scripts behind the studies: they load, and their queue does not train twice."""

import ast
import inspect
import json
import runpy
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


SCRIPTS = sorted(path for path in EXPERIMENTS.rglob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_every_script_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(path.parent)  # as when it is started
    assert callable(runpy.run_path(str(path))["main"])


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.py")), ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_every_call_has_the_arguments_that_are_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is called by its name; a study is run once, and would only find out when its numbers are to be kept."""
    monkeypatch.syspath_prepend(path.parent)
    names = runpy.run_path(str(path))
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        called = names.get(call.func.id)
        unpacked = any(isinstance(one, ast.Starred) for one in call.args) or any(not one.arg for one in call.keywords)
        if inspect.isfunction(called) and not unpacked:
            given = {str(one.arg): None for one in call.keywords}
            inspect.signature(called).bind(*[None] * len(call.args), **given)


def test_a_measurement_is_recorded_with_what_it_was_made_with(tmp_path: Path) -> None:
    record = runpy.run_path(str(EXPERIMENTS / "speed" / "record.py"))["record"]
    record(tmp_path / "x.jsonl", {"seconds": 1.5})
    (line,) = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert line["seconds"] == 1.5
    assert line.keys() >= {"date", "git_commit", "packages", "machine", "load_average"}


def test_what_start_up_is_measured_by_still_runs(
    mnist_root: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS / "speed")
    imports, step = runpy.run_path(str(EXPERIMENTS / "speed" / "startup.py"))["first_step"](str(mnist_root))
    assert imports > 0
    assert step > 0


def test_a_run_that_has_its_line_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(EXPERIMENTS / "measure.py"))
    results, trained = tmp_path / "results.jsonl", []

    def measure(words: list[str], **_: object) -> dict[str, object]:
        trained.append(words)
        return {"command": script["command_of"](words)}

    monkeypatch.setitem(script["main"].__globals__, "measure", measure)
    for seeds in (["0"], ["0", "1"]):
        command = ["measure.py", "experiment=quick", "loss=hinge", "--seeds", *seeds, "--out", str(results)]
        monkeypatch.setattr(sys, "argv", command)
        script["main"]()
    assert trained == [["experiment=quick", "loss=hinge", "seed=0"], ["experiment=quick", "loss=hinge", "seed=1"]]
    assert [json.loads(line)["seed"] for line in results.read_text().splitlines()] == [0, 1]
