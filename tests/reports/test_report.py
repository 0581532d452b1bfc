"""``python -m dcgan.report``: what a folder of runs says, on folders written by hand; nothing trains here."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import DIVERGED, configuration, write_run, write_sweep

from dcgan.reports.files import write_report
from dcgan.reports.sweep import Report, build_report
from dcgan.reports.varied import label, varied_keys

LOSSES = {"hinge": 1.0, "least_squares": 1.5}
COMPOSED = ("loss=hinge",)


def fids(loss: str, seed: int) -> float | None:
    return LOSSES[loss] * (1 + 0.02 * seed)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "sweep", {"loss.name": [*LOSSES]}, fids, words=COMPOSED)


def reasons(report: Report) -> dict[str, str]:
    return {one.folder.name: one.reason for one in report.listed}


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "report.csv").read_text().splitlines()))


# --- what is read


def test_seeds_are_folded_and_the_answer_stands_first(sweep: Path, command: Callable[..., Any]) -> None:
    result = command("report", f"run={sweep}")
    assert result.code == 0, result.err
    assert result.out.startswith("hinge is better than least_squares with 3 seeds (its FID is 33 % lower")
    text = (sweep / "report.md").read_text()
    assert "**hinge is better than least_squares" in text
    assert "| 1 | hinge | 1.02 | 0.97 to 1.07 | 3 | 0 | 1.02 | 200 | 0.900 |" in text
    assert "python -m dcgan.train loss=least_squares seed=2" in text
    assert "digits_residual, the judge of another make, has not seen every run; this line adds one: python -m" in text
    found = rows(sweep)
    assert len(found) == 6
    assert found[0]["loss.name"] == "hinge"
    assert float(found[0]["value"]) == pytest.approx(1.0)
    assert float(found[0]["cpu_seconds"]) == 200
    again = command("report", f"run={sweep}")  # its own files are no runs
    assert again.out == result.out


def test_runs_are_found_at_any_depth_and_one_run_is_a_lead(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a/b/c/run", {}, fid=2.0)
    for where in (tmp_path, folder):
        assert build_report(where).headline == "all runs: FID 2.00 with one seed: a lead, not a claim."


def test_runs_that_diverged_or_collapsed_are_outcomes(tmp_path: Path) -> None:
    def found(loss: str, seed: int) -> float | None:
        return None if (loss, seed) == ("least_squares", 1) else fids(loss, seed)

    write_sweep(tmp_path, {"loss.name": [*LOSSES]}, found, words=COMPOSED)
    lost = tmp_path / "least_squares_seed-2"
    lines = [json.loads(line) for line in (lost / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["measures"]["modes"]["value"] = 3
    (lost / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report = build_report(tmp_path)
    (board,) = report.boards
    _, second = board.rows
    assert [one.value is None for one in second.outcomes] == [False, True, False]
    assert second.outcomes[1].why == DIVERGED
    assert second.mean("cpu_seconds") == 200  # of those that finished
    assert second.outcomes[2].why == "collapsed to 3 classes"
    assert "Failed: least_squares in 1 of 3 runs; its mean is of the others alone." in board.sentences
    assert "Collapsed, most classes missing at the end: least_squares in 1 of 3 runs." in board.sentences
    assert reasons(report) == {"least_squares_seed-1": f"failed: {DIVERGED}"}


def test_a_value_that_is_not_finite_is_a_failure(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"loss.name": ["hinge"]}, fids, words=COMPOSED)
    path = tmp_path / "hinge_seed-0" / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["value"] = float("nan")  # as older versions wrote it
    path.write_text("\n".join(map(json.dumps, lines)))
    (row,) = build_report(tmp_path).boards[0].rows
    assert [one.why for one in row.outcomes] == ["its FID is not finite", "", ""]


def test_what_is_no_run_or_not_over_is_listed_with_the_reason(sweep: Path, command: Callable[..., Any]) -> None:
    for state in ("running", "interrupted", "pruned"):
        write_run(sweep / state, {}, fid=1.0, state=state)
    write_run(sweep / "unevaluated", {}, fid=1.0)
    (sweep / "unevaluated/metrics.jsonl").unlink()
    write_run(sweep / "silent", {}, fid=1.0)
    (sweep / "silent/status.json").write_text('{"sta')
    (sweep / "empty").mkdir()
    (sweep / "refused").mkdir()
    (sweep / "refused/status.json").write_text('{"state": "failed", "error": "model.width=0: must be at least 1"}')
    contents = {
        "cut": "data:\n  name: mn",
        "binary": "\0\1\2\x89PNG",
        "list": "[1, 2]",
        "foreign": "model: resnet50\ndata: imagenet",
        "aliases": "a: &a [x]\nb: [*a, *a]",
        "deep": "[" * 5000,
        "keys": "data: {name: [mnist]}\nmetrics: {name: digits}\nseed: 0",
    }
    for name, text in contents.items():
        (sweep / name).mkdir()
        (sweep / name / "config.yaml").write_text(text)
    (sweep / "folder/config.yaml").mkdir(parents=True)
    (sweep / "records").mkdir()
    (sweep / "records/metrics.jsonl").write_text("{}\n")
    result = command("report", f"run={sweep}")
    assert result.code == 0, result.err
    assert result.out.startswith("hinge is better than least_squares with 3 seeds")
    found = reasons(build_report(sweep))
    assert found["running"].startswith("died before its end: its process is gone; python -m dcgan.train resume=")
    assert found["interrupted"].startswith("was stopped before its end; python -m dcgan.train resume=")
    assert found["pruned"] == "was pruned by its search before its end"
    assert found["unevaluated"].startswith("was never evaluated; python -m dcgan.evaluate run=")
    assert found["silent"] == "does not say what became of it (no status.json that can be read)"
    assert found["empty"] == "is empty"
    assert found["refused"] == "failed before it began: model.width=0: must be at least 1"
    assert found["records"] == found["folder"] == "has no config.yaml: no run of dcgan.train"
    assert found["aliases"] == "has a config.yaml with YAML aliases, which is no run's"
    assert found["binary"].startswith("has a config.yaml that is no YAML")
    assert found["deep"].startswith("has a config.yaml that is no")
    assert found["foreign"] == found["keys"] == "has a config.yaml that is no run's"
    assert set(contents) <= set(found)
    listed = {Path(row["run"]).name: row["reason"] for row in rows(sweep) if row["reason"]}
    assert listed == found
    assert all(reason in (sweep / "report.md").read_text() for reason in found.values())


def test_lines_that_are_no_evaluations_are_passed_over(sweep: Path) -> None:
    before = build_report(sweep).headline
    strange = ["null", "[1]", '{"metric": 3}', '{"metric": "fid_x", "split": "train", "step": "a", "extractor": "x"}']
    strange += ['{"metric": "cas_mnist_test_10k", "value": 1}', '{"half', "\x00"]
    with (sweep / "hinge_seed-0/metrics.jsonl").open("a") as file:
        file.write("\n".join(strange))
    (sweep / "hinge_seed-1/provenance.jsonl").write_bytes(b"\xff\xfe{")
    assert build_report(sweep).headline == before


def test_a_configuration_that_ran_twice_counts_once(sweep: Path) -> None:
    again = write_run(sweep / "again", {"loss.name": "hinge"}, fid=50.0, seed=1, words=COMPOSED)
    lines = json.loads((again / "provenance.jsonl").read_text())
    (again / "provenance.jsonl").write_text(json.dumps(lines | {"started": "2026-11-28T00:00:00+00:00"}))
    report = build_report(sweep)
    assert [len(row.outcomes) for row in report.boards[0].rows] == [3, 3]
    assert report.headline.startswith("hinge is better")
    assert reasons(report)["again"] == f"repeats {sweep / 'hinge_seed-1'}, which counts: started later"


def test_where_nothing_is_over_that_is_said(tmp_path: Path, command: Callable[..., Any]) -> None:
    write_run(tmp_path / "sweep/run", {}, fid=1.0, state="interrupted")
    result = command("report", f"run={tmp_path / 'sweep'}")
    assert result.code == 0, result.err
    assert result.out.startswith("No run has come to a result yet.\n\nfailed, or not counted: 1\n")
    for suffix in ("md", "html"):
        text = (tmp_path / f"sweep/report.{suffix}").read_text()
        assert "No run has come to a result yet." in text
        assert "was stopped before its end; python -m dcgan.train resume=" in text


# --- what is compared


def test_what_a_key_does_whatever_else_was_chosen_is_told_apart_by_all_runs(tmp_path: Path) -> None:
    """Three seeds of eight groups: no two of them are told apart, but the rates are."""
    rng = np.random.default_rng(0)

    def found(rate: float, steps: int, seed: int) -> float:
        return float(np.exp(0.15 * rng.normal() + (0.5 if rate == 1e-3 else 0)))

    write_sweep(tmp_path, {"optimizer.lr": [1e-4, 1e-3], "d_steps": [1, 2, 3, 4]}, found)
    first, *others = build_report(tmp_path).boards[0].sentences
    assert "cannot be told apart with 3 seeds" in first
    (effect,) = [text for text in others if "better" in text]
    assert effect.startswith("Whatever else was chosen, lr=0.0001 is better than lr=0.001 (its FID is 37 % lower")
    assert effect.endswith("12 pairs).")


def test_different_protocols_are_not_ranked_together(sweep: Path) -> None:
    write_sweep(sweep / "other", {"loss.name": ["minimax"]}, lambda *_: 0.1, words=COMPOSED)
    for path in (sweep / "other").glob("*/metrics.jsonl"):
        path.write_text(path.read_text().replace("fid_digits_train_2k", "fid_digits_train_500"))
    report = build_report(sweep)
    assert [board.objective.metric for board in report.boards] == ["fid_digits_train_2k", "fid_digits_train_500"]
    assert report.notes == [
        "Runs were measured in 2 ways, which are not ranked together: fid_digits_train_2k (6 runs); "
        "fid_digits_train_500 (3 runs)."
    ]
    assert "minimax" not in report.headline
    text = write_report(report, sweep)[-1].read_text()
    assert '<a href="#b1">fid_digits_train_500</a>: all runs: FID 0.10 in the mean of 3 seeds' in text


def test_the_test_split_is_taken_where_all_have_it_and_the_judge_is_heard(tmp_path: Path) -> None:
    for i, (loss, judged) in enumerate({"hinge": 9.0, "least_squares": 3.0}.items()):
        for seed in range(3):
            tests = {"digits": (i + 1) * (1 + 0.01 * seed), "digits1": 1.0, "digits_residual": judged}
            name, found = f"{loss}-{seed}", {"loss.name": loss}
            write_run(tmp_path / name, found, fid=5 - i, seed=seed, tests=tests, words=COMPOSED)
    report = build_report(tmp_path)
    (board,) = report.boards
    assert board.objective.metric == "fid_digits_test_10k"  # which orders them otherwise than the training split does
    assert report.headline.startswith("hinge is better than least_squares")
    assert board.sentences[-1].startswith("digits_residual, the judge of another make, orders them the other way")
    assert board.is_judged()
    assert board.rows[0].mean("coverage") == pytest.approx(0.6)
    train = build_report(tmp_path, metric="fid_digits_train_2k")
    assert train.headline.startswith("least_squares is better than hinge")
    write_run(tmp_path / "late", {"loss.name": "minimax"}, fid=4.0, words=COMPOSED)
    assert build_report(tmp_path).boards[0].objective.metric == "fid_digits_train_2k"
    assert reasons(build_report(tmp_path, metric="fid_digits_test_10k")) == {"late": "has no fid_digits_test_10k"}


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ([{"optimizer.lr": 1e-3}, {"optimizer.lr": 2e-3}], ["optimizer.lr"]),  # not also that of each network
        ([{"optimizer.generator.lr": 1e-3}, {"optimizer.generator.lr": 2e-3}], ["optimizer.generator.lr"]),
        ([{"name": "a"}, {"name": "b", "trainer.gpus": 1, "samples.every": 7, "metrics.every": 3}], []),
        (
            [{"optimizer.lr": a, "model.width": b} for a in (1e-3, 2e-3) for b in (4, 8)],
            ["model.width", "optimizer.lr"],
        ),
        ([{"optimizer.lr": 1e-3, "d_steps": 1}, {"optimizer.lr": 2e-3, "d_steps": 2}], ["d_steps", "optimizer.lr"]),
    ],
)
def test_what_varied_is_what_differs_and_follows_no_other_key(settings: Any, keys: list[str]) -> None:
    from dcgan.runs.compared import hyperparameters

    assert varied_keys([hyperparameters(configuration(one, seed=i)) for i, one in enumerate(settings)]) == keys


def test_an_option_brings_its_keys() -> None:
    none, r1 = {"penalty.name": "none"}, {"penalty.name": "r1", "penalty.gamma": 1.0}
    other = {"penalty.name": "r1", "penalty.gamma": 2.5}
    assert varied_keys([none, r1]) == ["penalty.name"]
    assert varied_keys([none, r1, other]) == ["penalty.name", "penalty.gamma"]
    assert label(other, ["penalty.name", "penalty.gamma"]) == "penalty=r1 gamma=2.5"
    recipes = [{"experiment": "a", "d_steps": 1}, {"experiment": "b", "d_steps": 2}, {"experiment": "b", "d_steps": 2}]
    assert varied_keys(recipes) == ["experiment"]


# --- what is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=nothing"], "error: run=nothing: no such folder"),
        (["run=."], "error: run=.: no run folder, nor a folder of them"),
        (["run=sweep", "metric=fid_x"], "error: metric=fid_x: no run here has it; there are fid_digits_train_2k"),
        (["run=sweep", "metric=fid_digits_residual_test_10k"], "no run here has it"),  # nothing is chosen by a judge
        (["run=sweep", "out=file/deeper"], "error: out=file/deeper: is no folder that can be written to"),
        (
            ["run=sweep", "out=page.html"],
            "error: out=page.html: names a file, and a folder is written; leave out its ending",
        ),
        (["run=file"], "error: run=file: is a file; name a folder of runs"),
        (["run=a,b"], "error: run=a,b: several values; quote a path with a comma: 'run=\"a,b\"'"),
        ([], "error: run: no value; give it as run=..."),
        (["run=sweep", "outt=x"], "error: outt: no such key; did you mean out?"),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(
    words: list[str], message: str, command: Callable[..., Any], workdir: Path
) -> None:
    Path("file").touch()
    if "run=sweep" in words:
        write_run(workdir / "sweep/run", {}, fid=1.0, tests={"digits_residual": 3.0})
    result = command("report", *words)
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert message in result.err
    assert not list(workdir.rglob("report.*"))


def test_help_and_mistakes_load_no_heavy_library(tmp_path: Path) -> None:
    heavy = ("torch", "pandas", "matplotlib", "scipy", "jinja2")
    code = f"import sys, dcgan.report, dcgan.shell.cli; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_torch_is_not_needed_to_report(sweep: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from dcgan.reports.files import write_report
from dcgan.reports.sweep import build_report
write_report(build_report(Path({str(sweep)!r})), Path({str(sweep)!r}))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_values_scatter_as_written(sweep: Path) -> None:
    """What the helper of these tests writes is what a run writes: the reader takes a real run's configuration."""
    (row, _) = build_report(sweep).boards[0].rows
    assert [one.run.seed for one in row.outcomes] == [0, 1, 2]
    assert np.exp(row.group.logs) == pytest.approx([1.0, 1.02, 1.04])


def test_runs_that_did_not_go_well_are_named(sweep: Path, command: Callable[..., Any]) -> None:
    first, second, *_ = sorted(path.parent for path in sweep.glob("*/status.json"))
    health, slower = {"state": "class_collapse", "since": 350}, [{"slower": "discriminator"}] * 2
    words = "class collapse since step 350; optimizer.discriminator.lr halved 2x by health=act"
    (first / "status.json").write_text(json.dumps({"state": "finished", "health": health, "rollbacks": slower}))
    for other in ({"state": "healthy", "since": 0}, "?", {"since": 3}):  # of which nothing is said
        (second / "status.json").write_text(json.dumps({"state": "finished", "health": other, "rollbacks": other}))
        result = command("report", f"run={sweep}")
        assert f"1 of 6 runs did not go well: {first}: {words}\n" in result.out
    told = {row["run"]: row["health"] for row in rows(sweep)}
    assert [told[str(run)] for run in (first, second)] == [words, ""]
