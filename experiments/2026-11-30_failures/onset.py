"""When a run began to fail: from outside the monitor, by dense evaluations of its live generator against healthy runs.

Written before any monitor was run on these traces. In words, with the constants below:

1. *Controls* of an architecture are the runs on MNIST without a cause whose last evaluation shows at least ``MOST``
   classes (of ``SHARE`` of the samples each) or as many as the median of those runs, and a FID within ``FACTOR`` times
   the median's: a recipe that does not learn in this budget is no control.
2. *Learned* is the first evaluation at which nine in ten controls have a FID below ``LEARNED`` times the one that they
   end with. Nothing before it is a failure, but what is not finite.
3. An evaluation is *bad* if, at that step,
   - its FID is more than ``FACTOR`` times the worst control's,
   - or it shows at most half as many classes as the worst control,
   - or its coverage is less than half of the worst control's and its FID is above every control's,
   - or it is conditional and obeys less than half as many labels as the worst conditional run without a cause, at a
     step from which on that one obeys at least ``OBEYED``,
   - or it was trained on few images and its FID, against *all* of MNIST's training images, is above ``RISE`` times its
     lowest one before: what it draws leaves the data again,
   - or it is not finite.
4. A run *fails* if an evaluation from *learned* on is bad and so are at least ``LASTING`` of it and those that follow,
   two at least; or if it stops because something is not finite. The *onset* is the first such evaluation, or the step
   at which it stopped; for a run that never learned that is *learned*.
5. On Fashion-MNIST, of which there are healthy runs only, an evaluation of the second half is bad if its FID is above
   ``FACTOR`` times its lowest one before, or half of the classes are missing.
6. A run without a cause that fails counts as failing, with no cause to name. One with a cause that does not fail counts
   as nothing: neither as a failure nor as healthy.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FACTOR, LEARNED, MOST, SHARE, RISE, LASTING = 2.0, 4.0, 8, 0.01, 1.5, 0.75
OBEYED = 0.3

Evaluation = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What the rule is told of a run."""

    id: str
    cause: str
    architecture: str
    data: str  # mnist, fashion_mnist or few
    evaluations: Sequence[Evaluation]
    steps: int
    stopped: bool  # because something was not finite


def fid_of(evaluation: Evaluation) -> float:
    return float(evaluation["fid"])  # "nan" is a word there


def classes_of(evaluation: Evaluation) -> int:
    counts = evaluation["classes"]
    return sum(count >= SHARE * max(1, sum(counts)) for count in counts)


@dataclass(frozen=True)
class Controls:
    """The healthy runs of one architecture, step by step."""

    learned: int
    runs: list[Run]
    conditional: list[Run]  # without a cause, be they good or not

    @classmethod
    def of(cls, runs: Sequence[Run], architecture: str) -> "Controls":
        some = [run for run in runs if not run.cause and run.architecture == architecture and run.data == "mnist"]
        some = [run for run in some if run.evaluations and not run.stopped]
        last = [run.evaluations[-1] for run in some]
        fid = statistics.median(fid_of(one) for one in last)
        classes = min(MOST, statistics.median(classes_of(one) for one in last))
        good = [
            run
            for run, one in zip(some, last, strict=True)
            if fid_of(one) <= FACTOR * fid and classes_of(one) >= classes
        ]
        conditional = [run for run in some if run.evaluations[-1].get("obeyed") is not None]
        return cls(_learned(good), good, conditional)

    def at(self, step: int) -> list[Evaluation]:
        """Their evaluations at a step; where all have ended, their last ones."""
        found = [one for run in self.runs for one in run.evaluations if one["step"] == step]
        return found or [run.evaluations[-1] for run in self.runs]

    def obeyed(self, step: int) -> float:
        """The least of what conditional runs obey at a step, if it is enough from there on; else 0."""
        found = [one for run in self.conditional for one in run.evaluations if one["step"] >= step]
        if not found or min(one["obeyed"] for one in found) < OBEYED:
            return 0.0
        return float(min(one["obeyed"] for one in found if one["step"] == min(one["step"] for one in found)))


def _learned(controls: Sequence[Run]) -> int:
    last = {run.id: fid_of(run.evaluations[-1]) for run in controls}
    for step in sorted({one["step"] for run in controls for one in run.evaluations}):
        there = [fid_of(one) / last[run.id] for run in controls for one in run.evaluations if one["step"] == step]
        if sum(ratio < LEARNED for ratio in there) >= 0.9 * len(there):
            return step
    raise ValueError("the controls never learned")


def bad(run: Run, i: int, controls: Controls) -> str | None:  # noqa: PLR0911
    """What is bad of evaluation ``i``; None: nothing."""
    one = run.evaluations[i]
    fid, classes = fid_of(one), classes_of(one)
    if not math.isfinite(fid):
        return "not finite"
    if run.data == "fashion_mnist":
        lowest = min(fid_of(other) for other in run.evaluations[: i + 1])
        return "fid" if fid > FACTOR * lowest else "classes" if classes <= 5 else None
    there = controls.at(one["step"])
    worst = max(map(fid_of, there))
    if fid > FACTOR * worst:
        return "fid"
    if classes <= min(map(classes_of, there)) / 2:
        return "classes"
    if one["coverage"] < min(other["coverage"] for other in there) / 2 and fid > worst:
        return "coverage"
    if one.get("obeyed") is not None and one["obeyed"] < controls.obeyed(one["step"]) / 2:
        return "labels"
    before = [fid_of(other) for other in run.evaluations[:i]]
    return "rise" if run.data == "few" and before and fid > RISE * min(before) else None


@dataclass(frozen=True)
class Onset:
    step: int
    why: str


def onset(run: Run, controls: Controls) -> Onset | None:
    """When it began to fail; None: it did not."""
    learned = run.evaluations[0]["step"] if run.data == "fashion_mnist" and run.evaluations else controls.learned
    found = [(one["step"], bad(run, i, controls)) for i, one in enumerate(run.evaluations) if one["step"] >= learned]
    if run.data == "fashion_mnist":
        found = found[len(found) // 2 :]
    for i, (step, why) in enumerate(found):
        rest = [bool(other) for _, other in found[i:]]
        if why and len(rest) >= 2 and sum(rest) >= LASTING * len(rest) and sum(rest) >= 2:
            return Onset(min(step, run.steps), why)
    return Onset(run.steps, "not finite") if run.stopped else None
