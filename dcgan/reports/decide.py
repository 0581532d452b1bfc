"""Which of several groups of runs is better, by how much, and whether that can be trusted: in numbers and in words."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dcgan.reports.statistics import MOST_SEEDS, Array, holm, improvement, p_value, seeds_needed, student

SIGNIFICANCE = 0.05
NAMED = 3  # groups in a sentence
SMALL = 0.01  # of an FID: a difference that nobody sees
FLOOR = 1e-6  # of an FID, whose logarithm is taken


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed."""

    name: str
    values: Mapping[Hashable, float | None]  # the FID of each seed, lower is better; None: the run failed
    collapsed: int = 0  # of those that have a value
    judged: float | None = None  # the mean FID by a judge of another make

    @property
    def logs(self) -> Array:
        """Of the runs that have a value, (n,)."""
        found = [value for value in self.values.values() if value is not None]
        return np.log(np.maximum(np.array(found, dtype=np.float64), FLOOR))

    @property
    def failures(self) -> int:
        """Runs without a value."""
        return sum(value is None for value in self.values.values())

    def summary(self) -> tuple[float, float | None, float | None]:
        """The geometric mean of the FID with its 95 % interval; infinite where every run failed."""
        if not len(self.logs):
            return math.inf, None, None
        mean, low, high = (None if one is None else float(np.exp(one)) for one in student(self.logs))
        assert mean is not None
        return mean, low, high


@dataclass(frozen=True)
class Comparison:
    """Two groups on the seeds that both have finished. ``difference`` is the mean of log(lower / higher), 0 at most."""

    lower: Group
    higher: Group
    shared: int  # seeds; below 2 nothing is known of the scatter, and the rest is None
    difference: float = 0.0
    low: float | None = None
    high: float | None = None
    p_value: float | None = None  # adjusted for all comparisons of the report
    alone: float | None = None  # the p-value of this one by itself
    probability: float | None = None  # that a run of ``lower`` ends lower than one of ``higher``
    needed: int | None = None  # seeds; None: more than anybody trains

    @property
    def told_apart(self) -> bool:
        """Whether ``lower`` may be called better: not by chance, and not by the runs that it lost."""
        return self.significant and self.fails_no_more

    @property
    def significant(self) -> bool:
        """Whether the runs that finished differ by more than chance."""
        return self.p_value is not None and self.p_value < SIGNIFICANCE

    @property
    def is_small(self) -> bool:
        """Whether the difference is too small to matter, whatever its sign, as far as the interval goes."""
        bound = math.log1p(SMALL)
        return self.low is not None and self.high is not None and -bound < self.low < self.high < bound

    @property
    def fails_no_more(self) -> bool:
        """Whether ``lower`` lost no larger share of its runs than ``higher``."""
        mine, theirs = (group.failures / len(group.values) for group in (self.lower, self.higher))
        return mine <= theirs


def ranked(groups: Sequence[Group]) -> list[Group]:
    """The lowest mean first; behind all others those that failed in most of their runs."""

    def place(group: Group) -> tuple[bool, float]:
        return 2 * group.failures > len(group.values), group.summary()[0]

    return sorted(groups, key=place)


def compare(*families: Sequence[Group]) -> list[list[Comparison]]:
    """Every pair within each family. All of them count in Holm's procedure: what is best was not known before."""
    pairs = [[(one, other, *_shared(one, other)) for one, other in combinations(groups, 2)] for groups in families]
    tested = [pair for found in pairs for pair in found if len(pair[2]) >= 2]
    alone = [float(p_value(first - second)) for _, _, first, second in tested]
    found = iter(zip(alone, holm(np.array(alone)).tolist() if alone else [], strict=True))

    def compared(pair: tuple[Group, Group, Array, Array]) -> Comparison:
        if len(pair[2]) < 2:
            return _untested(*pair)
        by_itself, adjusted = next(found)
        return _compared(*pair, alone=by_itself, adjusted=adjusted, comparisons=len(tested))

    return [[compared(pair) for pair in family] for family in pairs]


def _shared(one: Group, other: Group) -> tuple[Array, Array]:
    """The logs of both on the seeds that both have finished."""
    found = []
    for seed, mine in one.values.items():
        theirs = other.values.get(seed)
        if mine is not None and theirs is not None:
            found.append((max(mine, FLOOR), max(theirs, FLOOR)))
    logs = np.log(np.array(found, dtype=np.float64).reshape(-1, 2))
    return logs[:, 0], logs[:, 1]


def _untested(one: Group, other: Group, first: Array, second: Array) -> Comparison:
    """Of one seed, or none, only the order is known."""
    turned = first.mean() > second.mean() if len(first) else one.summary()[0] > other.summary()[0]
    lower, higher = (other, one) if turned else (one, other)
    difference = -abs(float(first.mean() - second.mean())) if len(first) else 0.0
    return Comparison(lower, higher, len(first), difference)


def _compared(
    one: Group, other: Group, first: Array, second: Array, *, alone: float, adjusted: float, comparisons: int
) -> Comparison:
    if first.mean() > second.mean():
        one, other, first, second = other, one, second, first
    mean, low, high = student(first - second)
    assert low is not None
    assert high is not None
    deviation = float((first - second).std(ddof=1))
    return Comparison(
        lower=one,
        higher=other,
        shared=len(first),
        difference=float(mean),
        low=float(low),
        high=float(high),
        p_value=adjusted,
        alone=alone,
        probability=float(improvement(_with_failures(one), _with_failures(other))),
        needed=seeds_needed(float(mean), deviation, comparisons=comparisons),
    )


def _with_failures(group: Group) -> Array:
    return np.array([math.inf if value is None else value for value in group.values.values()])


# --- in words


def decide(
    groups: Sequence[Group],
    comparisons: Sequence[Comparison],
    *,
    effects: Sequence[Sequence[Comparison]] = (),
    judge: str = "",
) -> list[str]:
    """Sentences, the answer first.

    Args:
        groups: as ``ranked`` orders them.
        comparisons: of them, by ``compare``.
        effects: for each key that varied beside others those of its values, over all else.
        judge: the extractor of another make that ``Group.judged`` is by.
    """
    if not any(len(group.logs) for group in groups):
        return ["No run came to a result: all failed." if groups else "No run has come to a result yet."]
    if len(groups) == 1:
        return [_alone(groups[0]), *_failures(groups)]
    first = groups[0]
    of_first = [one for one in comparisons if first in (one.lower, one.higher)]
    overall = [sentence for family in effects for sentence in _effect(family)]
    return [*_verdict(first, of_first), *overall, *_failures(groups), *_by_judge(groups, judge)]


def _alone(group: Group) -> str:
    mean, low, high = group.summary()
    n = len(group.logs)
    if low is None or high is None:
        return f"{group.name}: FID {number(mean)} with one seed: a lead, not a claim."
    interval = f"95 % interval {number(low)} to {number(high)}"
    return f"{group.name}: FID {number(mean)} in the mean of {n} seeds ({interval}). Nothing else varied."


def _verdict(first: Group, comparisons: Sequence[Comparison]) -> list[str]:
    """What can be said of the group with the lowest mean, against each of the others."""
    better = [one for one in comparisons if one.told_apart and one.lower is first]
    losers = [one for one in comparisons if one.told_apart and one.higher is first]
    untested = [one for one in comparisons if one.p_value is None]
    unsettled = [one for one in comparisons if one not in [*better, *losers, *untested]]
    failed = [one for one in untested if not len(_other(one, first).logs)]
    leads = [one for one in untested if one not in failed]
    sentences = []
    if better:
        sentences.append(_better(first, better, all_others=len(better) == len(comparisons)))
    sentences += [
        f"{one.lower.name} is lower than {first.name} on the {one.shared} seeds that both finished "
        f"({_apart(one, one.lower)}), though not in the mean of all."
        for one in losers[:NAMED]
    ]
    if unsettled:
        sentences += _unsettled(first, unsettled)
    if leads:
        sentences.append(_lead(first, leads))
    if failed:
        names = _names([_other(one, first).name for one in failed])
        sentences.append(f"Of {names} no run came to a result, so {first.name} stands before.")
    return sentences


def _better(first: Group, comparisons: Sequence[Comparison], *, all_others: bool) -> str:
    if len(comparisons) == 1:
        (one,) = comparisons
        wins = f"a run of it ends lower than one of the other in {100 * (one.probability or 0):.0f} % of all pairs"
        return f"{first.name} is better than {one.higher.name} with {one.shared} seeds ({_apart(one, first)}; {wins})."
    nearest = max(comparisons, key=lambda one: one.difference)
    who = f"all {len(comparisons)} others" if all_others else _names([one.higher.name for one in comparisons])
    return (
        f"{first.name} is better than {who}; the nearest of them is {nearest.higher.name} ({_apart(nearest, first)})."
    )


def _unsettled(first: Group, comparisons: Sequence[Comparison]) -> list[str]:
    nearest, *others = sorted(comparisons, key=lambda one: abs(one.difference))
    other = _other(nearest, first).name
    needed = f"more than {MOST_SEEDS} seeds would be needed to settle it"
    if nearest.significant:
        needed = f"the runs that finished differ, but {nearest.lower.name} failed more often, which counts against it"
    elif nearest.is_small:
        needed = f"whichever is lower, it is by no more than {SMALL:.0%}".replace("%", " %")
    elif nearest.needed is not None:
        least = max(nearest.needed, nearest.shared + 1)
        needed = f"about {least} would settle it"
        if nearest.alone is not None and nearest.alone < SIGNIFICANCE:
            needed = f"by themselves they would be, but in a report of so many groups that much is chance; {needed}"
    apart = _apart(nearest, first).replace("its FID", "the FID of the first")
    text = f"{first.name} and {other} cannot be told apart with {nearest.shared} seeds ({apart}); {needed}."
    if not others:
        return [text]
    names = _names([_other(one, first).name for one in others])
    return [text, f"Nor can {first.name} be told from {names}."]


def _effect(comparisons: Sequence[Comparison]) -> list[str]:
    """What the best value of a key does whatever else was chosen, if that is more than chance."""
    told = [one for one in comparisons if one.told_apart]
    best = [one for one in told if not any(one.lower is other.higher for other in told)]
    if not best:
        return []
    first = max((one.lower for one in best), key=lambda group: sum(one.lower is group for one in best))
    found = [one for one in best if one.lower is first]
    nearest = max(found, key=lambda one: one.difference)
    whom = _names([one.higher.name for one in found])
    which = f"against {nearest.higher.name}, the nearest, " if len(found) > 1 else ""
    return [
        f"Whatever else was chosen, {first.name} is better than {whom} ({which}its FID is {ratio(nearest.difference)}, "
        f"95 % interval {interval(nearest)}, {nearest.shared} pairs)."
    ]


def _lead(first: Group, comparisons: Sequence[Comparison]) -> str:
    names = _names([_other(one, first).name for one in comparisons])
    if len(first.values) == 1:
        return f"{first.name} is lowest with one seed alone, which is a lead and not a claim: train more seeds of it."
    if any(len(_other(one, first).logs) > 1 for one in comparisons):
        return f"{first.name} shares fewer than two finished seeds with {names}: train both with the same seeds."
    return f"Of {names} there is one seed alone, which is a lead and not a claim."


def _other(comparison: Comparison, group: Group) -> Group:
    return comparison.higher if comparison.lower is group else comparison.lower


def _failures(groups: Sequence[Group]) -> list[str]:
    """What was lost, which a mean over those that finished would hide."""
    failed = [f"{one.name} in {one.failures} of {len(one.values)} runs" for one in groups if one.failures]
    collapsed = [f"{one.name} in {one.collapsed} of {len(one.values)} runs" for one in groups if one.collapsed]
    sentences = []
    if failed:
        words = "; its mean is of the others alone" if len(failed) == 1 else "; their means are of the others alone"
        sentences.append(f"Failed: {_names(failed)}{words}.")
    if collapsed:
        sentences.append(f"Collapsed, most classes missing at the end: {_names(collapsed)}.")
    return sentences


def _by_judge(groups: Sequence[Group], judge: str) -> list[str]:
    first, second = groups[:2]
    if first.judged is None or second.judged is None:
        return []
    text = f"{number(first.judged)} and {number(second.judged)}"
    if first.judged <= second.judged:
        return [f"{judge}, the judge of another make, orders {first.name} and {second.name} alike ({text})."]
    return [
        f"{judge}, the judge of another make, orders them the other way: {second.name} before {first.name} "
        f"({number(second.judged)} and {number(first.judged)}). What lies between them may be tuned to the extractor."
    ]


def _apart(one: Comparison, first: Group) -> str:
    """Of which the group ``first`` was named first."""
    whose = "its FID" if one.lower is first else f"the FID of {one.lower.name}"
    return f"{whose} is {ratio(one.difference)}, 95 % interval {interval(one)}"


def ratio(log: float) -> str:
    """A difference of logs in words: ``12 % lower``, and ``0.2 times as high`` where percents mislead."""
    if not _in_percents(log):
        return f"{number(math.exp(log))} times as high"
    percent = abs(math.expm1(log)) * 100
    return f"{percent:.0f} % {'lower' if log < 0 else 'higher'}" if percent >= 0.5 else "the same within 1 %"


def _in_percents(log: float) -> bool:
    return -math.log(10) < log < math.log(2)


def interval(one: Comparison) -> str:
    """Its 95 % interval, by itself, in the same words."""
    if one.low is None or one.high is None:
        return "unknown"
    if not (_in_percents(one.low) and _in_percents(one.high)):
        high = f"{number(math.exp(one.high))} times" if one.high < math.log(1000) else "more than 1000 times"
        return f"{number(math.exp(one.low))} to {high}"
    low, high = (f"{abs(math.expm1(end)) * 100:.0f} %" for end in (one.low, one.high))
    if one.high < 0:
        return f"{high} to {low} lower"
    return f"{low} lower to {high} higher"


def number(value: float | None) -> str:
    """An FID as it is printed: with digits that say something."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    form = ".0f" if size >= 100 else ".1f" if size >= 10 else ".2f" if size >= 0.1 else ".2g"
    return format(value, form)


def _names(names: Sequence[str]) -> str:
    """``a, b and c``; of many the first few."""
    shown = [*names] if len(names) <= NAMED + 1 else [*names[:NAMED], f"{len(names) - NAMED} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
