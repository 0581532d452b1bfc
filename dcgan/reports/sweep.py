"""What many runs say together: leaderboards of groups, each of one protocol, and the answer in words."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dcgan.metrics.protocol import SAME
from dcgan.reports import decide
from dcgan.reports.decide import Comparison, compare, ranked
from dcgan.reports.reading import Record, Run, Unread, has_collapsed, is_judge, measured, newest, read_runs
from dcgan.reports.varied import ABSENT, labels, short_names, shown_value, varied_keys

MOST_VALUES = 12  # of a key that are compared with each other
MOST_UNWELL = 10  # runs that a note names
LAST = "last"  # of the evaluations while training


@dataclass(frozen=True)
class Objective:
    """What runs are compared by: an FID of one protocol, of one checkpoint."""

    metric: str
    checkpoint: str = LAST

    def record(self, run: Run) -> Record | None:
        """The evaluation of a run that it names."""
        if (self.metric, self.checkpoint) in run.tests:
            return run.tests[self.metric, self.checkpoint]
        return run.curve[-1] if run.curve and run.curve[-1]["metric"] == self.metric else None

    @property
    def words(self) -> str:
        """Where in the run it was measured."""
        if "_test_" in self.metric:
            return f"on the test split, of the {self.checkpoint} checkpoint"
        return "on the training split, at the end of training"


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    run: Run
    value: float | None  # None: it failed
    why: str = ""  # it failed, or how it collapsed
    collapsed: bool = False
    best: float | None = None
    best_step: int | None = None
    cpu_seconds: float | None = None
    judged: float | None = None
    confident: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Row:
    """A group on its leaderboard."""

    place: int
    settings: dict[str, Any]  # what varied, by the key
    group: decide.Group
    outcomes: list[Outcome]  # by seed

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return self.group.name

    def mean(self, name: str) -> float | None:
        """Of a number of its runs, over those that did not fail and have it."""
        there = [one for one in self.outcomes if one.value is not None] or self.outcomes
        found = [value for one in there if (value := getattr(one, name)) is not None]
        return sum(found) / len(found) if found else None

    @cached_property
    def shown(self) -> Outcome:
        """The run whose pictures stand for the group: of the lowest seed that came to a number."""
        return min(self.outcomes, key=lambda one: (one.value is None, one.run.seed))


@dataclass(frozen=True)
class Board:
    """Groups that were measured in the same way."""

    objective: Objective
    keys: list[str]  # what varied
    rows: list[Row]  # ranked
    comparisons: list[Comparison]
    effects: list[list[Comparison]]  # of the values of each key, over all else
    judge: str

    @property
    def sentences(self) -> list[str]:
        """The answer in words, then what adds to it."""
        groups = [row.group for row in self.rows]
        return decide.decide(groups, self.comparisons, effects=self.effects, judge=self.judge)

    def versus_first(self) -> list[Comparison]:
        """The first against each of the others, in their order."""
        first = self.rows[0].group
        found = {
            id(one.higher if one.lower is first else one.lower): one
            for one in self.comparisons
            if first in (one.lower, one.higher)
        }
        return [found[id(row.group)] for row in self.rows[1:]]

    def is_judged(self) -> bool:
        """Whether there is a judge of another make, and every run that has a number has one by it."""
        there = [one for row in self.rows for one in row.outcomes if one.value is not None]
        return bool(self.judge) and all(one.judged is not None for one in there)


@dataclass
class Report:
    """All that was found below a folder."""

    folder: Path
    boards: list[Board]
    listed: list[Unread]  # what is on no leaderboard, with the reason
    num_runs: int
    notes: list[str] = field(default_factory=list)

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        if not self.boards:
            return "No run has come to a result yet."
        return self.boards[0].sentences[0]


def build_report(folder: Path, *, metric: str | None = None) -> Report:
    """Read what is below ``folder`` and compare it.

    Args:
        metric: the FID to compare by; None: on the test split, where all runs have that, else the last while training.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: no run has that metric.
    """
    runs, unread = read_runs(folder)
    wanted = _objective(runs, metric)
    over, listed = [], list(unread)
    for run in runs:
        reason = run.unfinished or run.unmeasured
        if not reason and run.state == "finished" and _record(run, wanted) is None:
            reason = f"has no {wanted.metric}" if wanted else "was only evaluated by another's features"
        if reason:
            listed.append(Unread(run.folder, reason))
        else:
            over.append(run)
    boards, homeless = _boards(over, wanted)
    listed += homeless + [Unread(run.folder, f"failed: {run.error}") for run in over if run.state == "failed"]
    report = Report(folder, boards, sorted(listed, key=lambda one: one.folder), len(runs))
    if len(boards) > 1:
        report.notes.append(_apart(boards))
    if unwell := [run for run in runs if run.health]:
        report.notes.append(_unwell(unwell, len(runs)))
    return report


def _objective(runs: Sequence[Run], metric: str | None) -> Objective | None:
    """What was asked for; else an evaluation on the test split that all that finished have; else None."""
    finished = [run for run in runs if run.state == "finished" and run.records]
    tests = [{key for key, one in run.tests.items() if not is_judge(one)} for run in finished]
    if metric is None:
        common = sorted(set.intersection(*tests), key=lambda key: key[1] != "best") if tests else []
        return Objective(*common[0]) if common else None
    there = {one["metric"] for run in runs for one in run.records if not is_judge(one)}
    if metric not in there:
        known = f"there are {', '.join(sorted(there))}" if there else "no run was evaluated"
        raise ValueError(f"metric={metric}: no run here has it; {known}")
    found = [key for keys in tests for key in keys if key[0] == metric]
    return Objective(*max(found, key=found.count)) if found else Objective(metric)


def _record(run: Run, wanted: Objective | None) -> Record | None:
    if wanted is not None:
        return wanted.record(run)
    return run.curve[-1] if run.curve else None


def _boards(runs: Sequence[Run], wanted: Objective | None) -> tuple[list[Board], list[Unread]]:
    """One for each protocol, the largest first; and what repeats another or can stand on none."""
    by_protocol: dict[tuple[Any, ...], list[Run]] = {}
    lost = []
    for run in runs:
        record = _record(run, wanted)
        if record is None or run.state == "failed":
            lost.append(run)
        else:
            by_protocol.setdefault(tuple(str(record.get(key)) for key in SAME), []).append(run)
    listed = []
    for run in lost:
        home = next((there for there in by_protocol.values() if run.setting == there[0].setting), None)
        if home is None and len(by_protocol) == 0:
            home = by_protocol.setdefault(("",), [])
        if home is not None:
            home.append(run)
    for there in by_protocol.values():
        there[:], repeated = _without_repeats(there)
        listed += repeated
    boards = [_board(there, wanted) for there in by_protocol.values()]
    return sorted(boards, key=lambda board: -sum(len(row.outcomes) for row in board.rows)), listed


def _without_repeats(runs: Sequence[Run]) -> tuple[list[Run], list[Unread]]:
    """A configuration that was run twice with one seed is one run, not two: that which was started last."""
    same: dict[str, list[Run]] = {}
    for run in runs:
        same.setdefault(repr((run.seed, run.experiment, sorted(run.config.items()))), []).append(run)
    kept = [newest(there) for there in same.values()]
    again = [(run, newest(there)) for there in same.values() for run in there if run is not newest(there)]
    return kept, [Unread(run.folder, f"repeats {other.folder}, which counts: started later") for run, other in again]


def _board(runs: Sequence[Run], wanted: Objective | None) -> Board:
    configs = [{"experiment": run.experiment, **run.config} for run in runs]
    keys = varied_keys(configs)
    objective = wanted or Objective(next((run.curve[-1]["metric"] for run in runs if run.curve), runs[0].protocol))
    grouped: dict[tuple[str, ...], list[tuple[Run, dict[str, Any]]]] = {}
    for run, config in zip(runs, configs, strict=True):
        grouped.setdefault(tuple(str(config.get(key)) for key in keys), []).append((run, config))
    rows = []
    names = labels([members[0][1] for members in grouped.values()], keys)
    for name, members in zip(names, grouped.values(), strict=True):
        config = members[0][1]
        outcomes = sorted((_outcome(run, objective) for run, _ in members), key=lambda one: one.run.seed)
        settings = {key: config[key] for key in keys if key in config}
        rows.append(Row(0, settings, _group(name, outcomes), outcomes))
    order = {id(group): place for place, group in enumerate(ranked([row.group for row in rows]), start=1)}
    rows = sorted((replace(row, place=order[id(row.group)]) for row in rows), key=lambda row: row.place)
    comparisons, *effects = compare([row.group for row in rows], *_by_values(rows, keys))
    return Board(objective, keys, rows, comparisons, effects, runs[0].judge)


def _by_values(rows: Sequence[Row], keys: Sequence[str]) -> list[list[decide.Group]]:
    """For each of several keys the groups of its values: their runs paired by seed and by all else that varied."""
    families = []
    for key in keys if len(keys) > 1 else ():
        found: dict[str, dict[Hashable, float | None]] = {}
        for row in rows:
            others = tuple(sorted((other, str(value)) for other, value in row.settings.items() if other != key))
            name = f"{short_names(keys)[key]}={shown_value(row.settings.get(key, ABSENT))}"
            values = found.setdefault(name, {})
            values |= {(others, one.run.seed): one.value for one in row.outcomes}
        families.append([decide.Group(name, values) for name, values in found.items()])
    return [family for family in families if len(family) <= MOST_VALUES]


def _group(name: str, outcomes: Sequence[Outcome]) -> decide.Group:
    judged = [one.judged for one in outcomes if one.judged is not None]
    return decide.Group(
        name,
        {one.run.seed: one.value for one in outcomes},
        collapsed=sum(one.collapsed for one in outcomes),
        judged=sum(judged) / len(judged) if judged else None,
    )


def _outcome(run: Run, objective: Objective) -> Outcome:
    record, last = objective.record(run), run.curve[-1] if run.curve else None
    failed = run.state == "failed" or record is None or record["value"] is None
    found = Outcome(run, None if failed or record is None else record["value"])
    found = replace(
        found,
        why=(run.error or "its FID is not finite") if failed else "",
        cpu_seconds=last.get("cpu_seconds") if last else None,
        confident=measured(record or last, "confident"),
        coverage=measured(record, "coverage"),
        judged=_judged(run, objective),
    )
    if not failed and record is not None and has_collapsed(record, data=run.data):
        found = replace(found, collapsed=True, why=f"collapsed to {measured(record, 'modes'):.0f} classes")
    values = [one for one in run.curve if one["value"] is not None]
    if values:
        best = min(values, key=lambda one: one["value"])
        found = replace(found, best=best["value"], best_step=best["step"])
    return found


def _judged(run: Run, objective: Objective) -> float | None:
    """The FID by the judge of another make, of the checkpoint that is compared, or of the best."""
    found = {checkpoint: one["value"] for (_, checkpoint), one in run.tests.items() if one["extractor"] == run.judge}
    return found.get(objective.checkpoint if "_test_" in objective.metric else "best")


def _unwell(unwell: Sequence[Run], num_runs: int) -> str:
    shown = "; ".join(f"{run.folder}: {run.health}" for run in unwell[:MOST_UNWELL])
    more = f"; and {len(unwell) - MOST_UNWELL} more" if len(unwell) > MOST_UNWELL else ""
    return f"{len(unwell)} of {num_runs} runs did not go well: {shown}{more}"


def _apart(boards: Sequence[Board]) -> str:
    names = "; ".join(
        f"{board.objective.metric} ({sum(len(row.outcomes) for row in board.rows)} runs)" for board in boards
    )
    return f"Runs were measured in {len(boards)} ways, which are not ranked together: {names}."
