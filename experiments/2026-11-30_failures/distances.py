"""What the first traces do not have: how far samples are from real images in the classifier's features.

    python experiments/2026-11-30_failures/distances.py     # a run that has its line is skipped

Each run once more, without the evaluations; every other number of its looks must be what its trace has, to the digit.
"""

import json
import os
import tempfile
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from bugs import broken
from cases import BASE, Case, cases
from lightning import Callback
from one_run import LOOK_EVERY, _rounded, read_trace, space_of
from run import HERE, ROOT, TRACES

from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.runs.called import nothing_left_behind
from dcgan.runs.health import NotFiniteError
from dcgan.runs.run import Run, build_run, fit
from dcgan.runs.signals import Probe
from dcgan.shell.composed import composed
from dcgan.shell.writing import append_json

FOUND = HERE / "distances.jsonl"


class Looks(Callback):
    def __init__(self, run: Run) -> None:
        space = space_of(run.config.data.name)
        self.probe = Probe(run.data, seed=run.config.seed, pack=run.gan.discriminator.pack, space=space)
        self.lines: list[dict[str, Any]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if (trainer.global_step + 1) % LOOK_EVERY == 0:
            self.probe.before_update(trainer, optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.probe.after_step(outputs)
        if trainer.global_step % LOOK_EVERY == 0:
            self.lines.append(_rounded(asdict(self.probe.look(trainer, pl_module))))


def looks_of(case: Case) -> list[dict[str, Any]]:
    words = [*BASE, *case.words, f"seed={case.seed}", f"data.root={ROOT}"]
    with nothing_left_behind(), broken(case.bug), tempfile.TemporaryDirectory() as folder:
        run = build_run(check(composed(words, entry="train"), TrainConfig, typed=words), Path(folder) / "run")
        looks = Looks(run)
        run.trainer.callbacks.insert(0, looks)  # type: ignore[attr-defined]
        with suppress(NotFiniteError):
            fit(run)
    return looks.lines


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    os.chdir(HERE.parents[1] / "outputs" / "failures")
    done = {json.loads(line)["id"] for line in FOUND.read_text().splitlines()} if FOUND.exists() else set()
    for case in sorted(cases(), key=lambda case: bool(case.cause)):  # healthy ones first
        path = TRACES / f"{case.id}.jsonl.xz"
        if case.seed or case.id in done or not path.exists():
            continue
        before = [line for line in read_trace(path) if line["kind"] == "signals"]
        after = looks_of(case)
        same = len(before) == len(after) and all(
            json.dumps(one[name]) == json.dumps(two[name])
            for one, two in zip(before, json.loads(json.dumps(after)), strict=True)
            for name in one
            if name not in ("kind", "fid")
        )
        assert same, case.id
        append_json(FOUND, {"id": case.id, "distances": [line["distance"] for line in after]})
        print(case.id, flush=True)


if __name__ == "__main__":
    main()
