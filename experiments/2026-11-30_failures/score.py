"""How well the monitor and each baseline name failing runs: the table of the study, as Markdown.

python experiments/2026-11-30_failures/score.py tune     # thresholds of the baselines are fixed on this half
python experiments/2026-11-30_failures/score.py judge    # and judged on this one
python experiments/2026-11-30_failures/score.py fresh    # of the second attempt, fixed on all runs before
"""

import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from cases import CAUSES, LATE
from cases import FRESH as FRESH_CAUSES
from detectors import BASELINES, Said, Series, Threshold, monitor, thresholds
from traces import AFTER, FRESH, JUDGE, TUNE, Judged, Traced, read_all

ALL = {**CAUSES, **LATE, **FRESH_CAUSES}


@dataclass(frozen=True)
class Alarm:
    """The first word on a failing run that holds at the onset or comes after it."""

    delay: int
    state: str


def alarm(said: Sequence[Said], one: Judged) -> Alarm | None:
    """None: it was missed. What stopped because something was not finite has said so itself."""
    assert one.onset is not None
    began: Said | None = None
    for word in said:
        began = (began or word) if word.state else None
        if began and word.step >= one.onset.step:
            return Alarm(began.step - one.onset.step, word.state)
    if one.traced.result["error"]:
        return Alarm(one.traced.result["steps"] - one.onset.step, "diverging")
    return None


@dataclass(frozen=True)
class Score:
    """Of one detector on one half."""

    alarms: dict[str, Alarm | None]  # of failing runs
    false: list[str]  # healthy runs with a word on them
    num_healthy: int
    right: list[str]
    with_cause: list[str]  # failing ones that were noticed
    unbroken: int  # words on runs whose cause broke nothing

    @property
    def recall(self) -> float:
        return sum(one is not None for one in self.alarms.values()) / max(1, len(self.alarms))

    @property
    def delay(self) -> float:
        delays = [one.delay for one in self.alarms.values() if one]
        return statistics.median(delays) if delays else float("nan")


def score(runs: Sequence[Judged], detector: Callable[[Traced], list[Said]]) -> Score:
    said = {one.traced.id: detector(one.traced) for one in runs}
    failing = [one for one in runs if one.kind == "failing"]
    healthy = [one for one in runs if one.kind == "healthy"]
    alarms = {one.traced.id: alarm(said[one.traced.id], one) for one in failing}
    found = [one for one in failing if one.traced.cause and alarms[one.traced.id]]
    return Score(
        alarms,
        [one.traced.id for one in healthy if any(word.state for word in said[one.traced.id])],
        len(healthy),
        [one.traced.id for one in found if alarms[one.traced.id].state in ALL[one.traced.cause].states],
        [one.traced.id for one in found],
        sum(any(word.state for word in said[one.traced.id]) for one in runs if one.kind == "unbroken"),
    )


def best_threshold(runs: Sequence[Judged], series: Callable[[Traced], Series], *, false: int) -> Threshold:
    """Of those with at most so many false alarms the one with the best recall, then the shortest delay."""
    kept = {one.traced.id: list(series(one.traced)) for one in runs}
    found: list[tuple[float, float, Threshold]] = []
    for threshold in thresholds([value for values in kept.values() for _, value in values]):
        one = score(runs, lambda traced, t=threshold: t.said(kept[traced.id]))
        if len(one.false) <= false:
            found.append((one.recall, -one.delay if one.delay == one.delay else -1e9, threshold))
    return max(found, key=lambda row: row[:2])[2]


@cache
def parts() -> dict[str, list[Judged]]:
    """Both halves, and what fails late, beside which the judged half's healthy runs stand."""
    runs = read_all()
    found = {half: [one for one in runs if one.traced.half == half] for half in (TUNE, JUDGE, AFTER, FRESH)}
    found[AFTER] += [one for one in found[JUDGE] if one.kind == "healthy"]
    return found


def row(name: str, one: Score, cost: str) -> str:
    found = sum(alarm is not None for alarm in one.alarms.values())
    named = f"{len(one.right)}/{len(one.with_cause)}" if name == "monitor" else "-"
    numbers = f"{found}/{len(one.alarms)} ({one.recall:.0%}) | {len(one.false)}/{one.num_healthy} | {one.delay:+.0f}"
    return f"| {name} | {numbers} | {named} | {cost} |"


def share_of(runs: Sequence[Judged], what: str) -> str:
    shares = []
    for one in runs:
        of, total = one.traced.result["cpu_of"], one.traced.result["cpu_seconds"]
        shares.append(of[what] / (total - sum(of.values())))
    return f"{statistics.median(shares):.1%}"


COSTS = {"duality gap": "gap", "FID above its lowest": "evaluations"}


def table(half: str) -> str:
    tuning, runs = parts()[TUNE], parts()[half]
    if half == FRESH:
        tuning = [*tuning, *parts()[JUDGE], *[one for one in parts()[AFTER] if one.traced.cause]]
    false = max(1, len(score(tuning, monitor).false))
    ours = score(runs, monitor)
    lines = [
        "| | recall | false alarms | steps from onset | right cause | cost |",
        "|---|---|---|---|---|---|",
        row("monitor", ours, share_of(runs, "looks")),
    ]
    for name, series in BASELINES.items():
        threshold = best_threshold(tuning, series, false=false)
        found = score(runs, lambda traced, s=series, t=threshold: t.said(s(traced)))
        cost = share_of(runs, COSTS.get(name, "singular")) if name in COSTS or "singular" in name else "none"
        bound = f" > {threshold.bound:.3g} from step {threshold.warmup}, {threshold.patience} times"
        lines.append(row(name + bound, found, cost))
    return "\n".join(lines)


def confusion(half: str) -> str:
    """What was said of each cause: the first word at or after the onset."""
    runs = parts()[half]
    ours = score(runs, monitor)
    lines = ["| cause | runs | said |", "|---|---|---|"]
    for cause in [*ALL, ""]:
        states = Counter(
            alarm.state if (alarm := ours.alarms[one.traced.id]) else "nothing"
            for one in runs
            if one.kind == "failing" and one.traced.cause == cause
        )
        if states:
            words = ", ".join(f"{state} {n}" for state, n in states.most_common())
            lines.append(f"| {cause or 'no cause'} | {sum(states.values())} | {words} |")
    return "\n".join(lines)


def details(half: str) -> str:
    runs = parts()[half]
    ours = score(runs, monitor)
    lines = [f"false alarm: {name}" for name in ours.false]
    for one in runs:
        if one.kind == "failing":
            found = ours.alarms[one.traced.id]
            right = "" if one.traced.id in ours.right else "WRONG " if found else "MISSED "
            lines.append(f"{right}{one.traced.id}: onset {one.onset.step} ({one.onset.why}), {found}")
    return "\n".join(lines)


def main() -> None:
    half = sys.argv[1]
    print(table(half), confusion(half), sep="\n\n")
    if "-v" in sys.argv:
        print(details(half))


if __name__ == "__main__":
    main()
