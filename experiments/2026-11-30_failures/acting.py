"""What ``health=act`` makes of the judged half, and of what fails late: one line for each run in ``acted.jsonl``.

    python experiments/2026-11-30_failures/acting.py          # the queue; a run that has its line is skipped
    python experiments/2026-11-30_failures/acting.py table

Every run goes back to before it went wrong, at half the rate of the network to blame, three times at most, and is then
stopped; with checkpoints every 50 steps. Its first alarm is where ``health.action=stop`` would have ended it.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bugs import broken
from cases import BASE, FIRST, Case, cases
from one_run import Judge
from onset import Controls, bad
from run import HERE, ROOT
from traces import AFTER, FRESH, JUDGE, Judged, read_all

from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.runs.act import UnwellError
from dcgan.runs.called import nothing_left_behind
from dcgan.runs.health import NotFiniteError
from dcgan.runs.rollback import fit_or_go_back
from dcgan.runs.run import build_run, record_start
from dcgan.shell.composed import composed
from dcgan.shell.writing import append_json

ACTED = HERE / "acted.jsonl"
NOT_HERE = ("metrics=none", "checkpoints.every=100000", "trainer.enable_checkpointing=false", "health=off")
ACT = ["health=act", "health.action=rollback", "checkpoints.every=50"]


def words_of(case: Case) -> list[str]:
    """Classes are counted where there is a classifier, as in a run with metrics; only its last step is evaluated."""
    if "data=folder" in case.words:
        metrics = ["metrics=none"]
    else:
        fashion = ["metrics=fashion"] if "data=fashion_mnist" in case.words else []
        metrics = [*fashion, "metrics.every=100000", "metrics.num_samples=100"]
    return [*[word for word in BASE if word not in NOT_HERE], *case.words, *metrics, *ACT, f"seed={case.seed}"]


def acted(case: Case) -> dict[str, Any]:
    """Train one case until it ends or is stopped."""
    cpu, error = time.process_time(), None
    with nothing_left_behind(), broken(case.bug), tempfile.TemporaryDirectory() as folder:
        words = [*words_of(case), f"data.root={ROOT}"]
        run = build_run(check(composed(words, entry="train"), TrainConfig, typed=words), Path(folder) / "run")
        run.folder.mkdir()
        record_start(run, words)
        try:
            while (again := fit_or_go_back(run)) is not None:
                run = again
                record_start(run, words)
        except (UnwellError, NotFiniteError) as caught:
            error = str(caught)
        taken = json.loads(json.dumps(run.monitor.taken if run.monitor else []).replace(folder, "."))
        spent = time.process_time() - cpu
        return {
            "id": case.id,
            "taken": taken,
            "stopped": error and error.replace(folder, "."),
            "steps": run.trainer.global_step,
            "evaluation": {"step": run.trainer.global_step, **Judge(run, ROOT).score(run)},
            "cpu_seconds": round(spent, 1),
        }


def run_queue() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    os.chdir(HERE.parents[1] / "outputs" / "failures")
    some = [one.traced.id for one in read_all() if one.traced.half in (JUDGE, AFTER) and one.kind != "unbroken"]
    done = set(lines())
    for case in cases():
        if case.id in some and case.id not in done:
            line = acted(case)
            append_json(ACTED, line)
            print(case.id, len(line["taken"]), line["stopped"], line["evaluation"]["fid"], flush=True)


def lines() -> dict[str, dict[str, Any]]:
    found = map(json.loads, ACTED.read_text().splitlines()) if ACTED.exists() else ()
    return {line["id"]: line for line in found}


def table() -> str:
    """A row for each kind of run. *Well* is what the onset rule has nothing against in its last evaluation."""
    runs, done = read_all(), lines()
    first = [one for one in runs if one.traced.half != FRESH]
    controls = {name: Controls.of([one.traced.run for one in first], name) for name in FIRST}
    kinds = {
        "judged half, failing": [one for one in first if one.traced.half == JUDGE and one.kind == "failing"],
        "late failures": [one for one in first if one.traced.half == AFTER and one.kind == "failing"],
        "judged half, healthy": [one for one in first if one.traced.half == JUDGE and one.kind == "healthy"],
    }
    found = [
        "| | runs | acted on | well at the end: as they were | with `rollback` | stopped | CPU-seconds, of those "
        "without | steps that `stop` saves |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, some in kinds.items():
        there = [(one, done[one.traced.id]) for one in some if one.traced.id in done]
        found.append(f"| {name} | {len(there)} | {_row(there, controls)} |")
    return "\n".join(found)


def _row(there: Sequence[tuple[Judged, dict[str, Any]]], controls: dict[str, Controls]) -> str:
    noticed = [(one, line) for one, line in there if line["taken"] or line["stopped"]]
    whole = [one for one, _ in there if not one.traced.result["error"]]
    before = sum(_well(one, one.traced.run.evaluations[-1:], controls) for one in whole)
    after = sum(not line["stopped"] and _well(one, [line["evaluation"]], controls) for one, line in there)
    stopped = sum(bool(line["stopped"]) for _, line in there)
    cost = statistics.median(line["cpu_seconds"] / _bare(one.traced.result) for one, line in there)
    saved = [1 - _first(line) / _steps(one) for one, line in noticed]
    share = f"{statistics.mean(saved):.0%} ({min(saved):.0%} to {max(saved):.0%})" if saved else "-"
    return " | ".join([f"{len(noticed)}", f"{before}", f"{after}", f"{stopped}", f"{cost:.2f}", share])


def _well(one: Judged, evaluations: Sequence[dict[str, Any]], controls: dict[str, Controls]) -> bool:
    run = replace(one.traced.run, evaluations=evaluations)
    return bool(evaluations) and bad(run, 0, controls[run.architecture]) is None


def _bare(result: dict[str, Any]) -> float:
    """Of a run without what the study looked at."""
    return float(result["cpu_seconds"] - sum(result["cpu_of"].values()))


def _first(line: dict[str, Any]) -> int:
    return int(line["taken"][0]["at"] if line["taken"] else line["steps"])


def _steps(one: Judged) -> int:
    return int(next(word.partition("=")[2] for word in reversed(one.traced.result["words"]) if "max_steps" in word))


def main() -> None:
    if sys.argv[1:] == ["table"]:
        print(table())
    else:
        run_queue()


if __name__ == "__main__":
    main()
