"""The finished runs, read back: what was seen of each, when it began to fail, and which half it belongs to."""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from cases import ARCHITECTURES, CAUSES, HEALTHY, LATE
from one_run import read_trace
from onset import Controls, Onset, Run, onset

from dcgan.runs.signals import Reference, Signals

HERE = Path(__file__).parent
TUNE, JUDGE, AFTER, FRESH = "tune", "judge", "late", "fresh"


@dataclass
class Traced:
    """One run."""

    result: dict[str, Any]

    @cached_property
    def lines(self) -> dict[str, list[dict[str, Any]]]:
        kinds: dict[str, list[dict[str, Any]]] = {}
        for line in read_trace(HERE / "traces" / f"{self.id}.jsonl.xz"):
            kinds.setdefault(line.pop("kind"), []).append(line)
        return kinds

    @property
    def id(self) -> str:
        return str(self.result["id"])

    @property
    def cause(self) -> str:
        return str(self.result["cause"])

    @property
    def architecture(self) -> str:
        return str(self.result["architecture"])

    @property
    def half(self) -> str:
        """By cause and architecture; healthy runs by recipe; what fails late was run when both halves were done.

        The fresh runs, by their seed, when that was done too.
        """
        if self.result["seed"]:
            return FRESH
        if self.cause in LATE:
            return AFTER
        if self.cause:
            cell = list(CAUSES).index(self.cause) + list(ARCHITECTURES).index(self.architecture)
        else:
            cell = list(HEALTHY[self.architecture]).index(self.result["variant"])
        return TUNE if cell % 2 == 0 else JUDGE

    @property
    def signals(self) -> list[Signals]:
        """Every look; with the FID of the evaluations that a run has, every 500 steps."""
        looks = self.lines.get("signals", [])
        if "distance" not in looks[0]:  # of the first runs it was measured later
            looks = [{**look, "distance": one} for look, one in zip(looks, distances()[self.id], strict=True)]
        return [_signals(line, self.lines.get("evaluation", [])) for line in looks]

    @property
    def reference(self) -> Reference:
        (line,) = self.lines["reference"]
        return Reference(**{**line, "classes": tuple(line["classes"])})

    @property
    def run(self) -> Run:
        words = " ".join(self.result["words"])
        data = "few" if "data=folder" in words else "fashion_mnist" if "fashion" in words else "mnist"
        return Run(
            self.id,
            self.cause,
            self.architecture,
            data,
            self.lines.get("evaluation", []),
            self.result["steps"],
            self.result["error"] is not None,
        )


@cache
def distances() -> dict[str, list[float | None]]:
    """Of the first runs, look by look."""
    lines = (json.loads(line) for line in (HERE / "distances.jsonl").read_text().splitlines())
    return {line["id"]: line["distances"] for line in lines}


def _signals(line: dict[str, Any], evaluations: list[dict[str, Any]]) -> Signals:
    values = {name: float(value) if isinstance(value, str) else value for name, value in line.items()}
    classes = tuple(values["classes"]) if values["classes"] is not None else None
    known = [float(one["fid"]) for one in evaluations if one["step"] <= line["step"] and one["step"] % 500 == 0]
    return Signals(**{**values, "classes": classes, "fid": known[-1] if known else None})


@dataclass(frozen=True)
class Judged:
    """A run, and what the onset rule says of it."""

    traced: Traced
    onset: Onset | None

    @property
    def kind(self) -> str:
        """``failing``, ``healthy``, or ``unbroken``: it has a cause that broke nothing."""
        return "failing" if self.onset else "unbroken" if self.traced.cause else "healthy"


def read_all() -> list[Judged]:
    """Every finished run."""
    results = [json.loads(line) for line in (HERE / "results.jsonl").read_text().splitlines()]
    traced = [Traced(result) for result in results]
    return [one for some in (False, True) for one in _judged([one for one in traced if (one.half == FRESH) == some])]


def _judged(traced: list[Traced]) -> list[Judged]:
    """What the onset rule says of each, its controls being the others."""
    runs = [one.run for one in traced]
    controls = {}
    for name in ARCHITECTURES:
        if any(not run.cause and run.architecture == name and run.data == "mnist" for run in runs):
            controls[name] = Controls.of(runs, name)
    return [
        Judged(one, onset(run, controls[one.architecture]))
        for one, run in zip(traced, runs, strict=True)
        if one.architecture in controls
    ]


def main() -> None:
    """What the onset rule says of each run."""
    for one in read_all():
        run = one.traced.run
        last = run.evaluations[-1] if run.evaluations else {"fid": None, "classes": [], "coverage": None}
        why = f"{one.onset.step} {one.onset.why}" if one.onset else ""
        facts = f"{last['fid']} cov {last['coverage']} classes {last['classes']}"
        print(f"{one.kind:9} {one.traced.half:5} {run.id:60} {why:14} {facts}")


if __name__ == "__main__":
    main()
