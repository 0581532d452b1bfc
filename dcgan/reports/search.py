"""What a search found: its best trial, or the Pareto front of several objectives, in a page, a table and a figure."""

import csv
import itertools
import math
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

import optuna
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from optuna.trial import FrozenTrial, TrialState

from dcgan.metrics.protocol import protocol
from dcgan.runs.search import ERROR, Plan, state_of
from dcgan.shell.space import Axis, Choice, Interval, words_of
from dcgan.shell.words import pasted
from dcgan.shell.writing import replacing

PAGE, TABLE, FIGURE = "best.md", "trials.csv", "search.png"
STATES = ("finished", "pruned", "failed", "running")
SHOWN = 10


def best_of(study: optuna.Study) -> list[FrozenTrial]:
    """The trial of the lowest value, or of several objectives those that no other beats in all, by the first.

    None, where none is finished.
    """
    finished = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(study.directions) == 1:
        return sorted(finished, key=lambda trial: (trial.value, trial.number))[:1]
    return sorted(study.best_trials, key=lambda trial: (trial.values, trial.number)) if finished else []


def has_failed(study: optuna.Study) -> bool:
    """Whether every trial failed; that some do is what a search finds out about its space."""
    return {state_of(trial) for trial in study.get_trials(deepcopy=False)} == {"failed"}


def describe(plan: Plan, study: optuna.Study) -> str:
    """What a person wants to know at the end."""
    trials, best = study.get_trials(deepcopy=False), best_of(study)
    where = f"  all      {plan.folder}/{{{PAGE},{TABLE},{FIGURE}}}"
    lines = [f"\nsearch {plan.folder}: {_counted(trials)}"]
    if not best:
        errors = [f"  trial {one.number}: {one.user_attrs[ERROR]}" for one in trials if ERROR in one.user_attrs]
        return "\n".join([*lines, *errors[:3], where])
    word = "best" if len(study.directions) == 1 else "front"
    for trial in best[:SHOWN]:
        lines.append(f"  {word:<8} {_valued(plan, trial)}, trial {trial.number}")
        lines.append(f"  again    {command(plan, trial)}")
        lines.append(f"  report   python -m dcgan.evaluate {pasted('run', plan.folder_of(trial))}")
    if len(best) > SHOWN:
        lines.append(f"  and {len(best) - SHOWN} more on the front")
    return "\n".join([*lines, where])


def command(plan: Plan, trial: FrozenTrial) -> str:
    """The line that trains a trial again, for a shell."""
    return shlex.join(["python", "-m", "dcgan.train", *plan.words, *words_of(plan.point_of(trial))])


def _counted(trials: Sequence[FrozenTrial]) -> str:
    counts = Counter(map(state_of, trials))
    words = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return f"{len(trials)} trial{'s' * (len(trials) != 1)}" + (f" ({words})" if words else "")


def _valued(plan: Plan, trial: FrozenTrial) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(plan.objectives, trial.values, strict=True))


# --- what is written


def write_tables(plan: Plan, study: optuna.Study) -> None:
    """All trials as CSV, and the page with the best ones."""
    rows = [_row(plan, trial) for trial in study.get_trials(deepcopy=False)]
    with replacing(plan.folder / TABLE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = ["trial", "state", *plan.objectives, *(axis.key for axis in plan.space), "run", "error"]
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    with replacing(plan.folder / PAGE) as temporary:
        temporary.write_text(_page(plan, study), encoding="utf-8")


def _row(plan: Plan, trial: FrozenTrial) -> dict[str, Any]:
    values = trial.values if trial.values and state_of(trial) != "failed" else [""] * len(plan.objectives)
    known = {"trial": trial.number, "state": state_of(trial), "error": trial.user_attrs.get(ERROR, "")}
    return {**known, **dict(zip(plan.objectives, values, strict=True)), **plan.point_of(trial)} | {
        "run": plan.folder_of(trial)
    }


def _page(plan: Plan, study: optuna.Study) -> str:
    trials, best = study.get_trials(deepcopy=False), best_of(study)
    name, number = plan.asked.get("metrics.name"), plan.asked.get("metrics.num_samples")
    fid = f" `fid`: {protocol(name, 'train', number)} of a run's best checkpoint." if name and number else ""
    parts = [f"# {plan.folder.name}\n", f"{_counted(trials)}; lowest {', '.join(plan.objectives)}.{fid}\n"]
    for trial in best:
        parts.append(f"## Trial {trial.number}: {_valued(plan, trial)}\n")
        parts.append(f"    {command(plan, trial)}\n")
        checkpoint = plan.folder_of(trial) / "checkpoints" / "best.ckpt"
        parts.append(f"Its checkpoint: `{checkpoint}`\n")
    if best:
        parts.append(
            "The number that chose among many flatters what it chose: report others, of the test split and by judges "
            f"that chose nothing, `python -m dcgan.evaluate {pasted('run', plan.folder_of(best[0]))}`.\n"
        )
        parts += [_ranking(plan, trials), f"\n![each trial, and each key against {plan.objectives[0]}]({FIGURE})\n"]
    failed = [f"- trial {one.number}: {one.user_attrs[ERROR]}" for one in trials if ERROR in one.user_attrs]
    return "\n".join([*parts, *(["Failed:\n", *failed, ""] if failed else [])])


def _ranking(plan: Plan, trials: Sequence[FrozenTrial]) -> str:
    """The best trials by the first objective, as a table."""
    finished = sorted((one for one in trials if one.state == TrialState.COMPLETE), key=lambda one: one.values)
    names = ["trial", *plan.objectives, *(axis.key for axis in plan.space)]
    lines = [names, ["---"] * len(names)]
    for one in finished[:SHOWN]:
        cells = [*one.values, *plan.point_of(one).values()]
        lines.append([str(one.number), *(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- figure


def write_figure(plan: Plan, study: optuna.Study) -> None:
    """Each trial in turn, or the Pareto front; and each key against the first objective."""
    trials = study.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not finished:
        return
    number = 1 + len(plan.space)
    columns = min(3, number)
    rows = math.ceil(number / columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    if len(plan.objectives) == 1:
        _history(panels[0], trials)
    else:
        _front(panels[0], finished, best_of(study), plan.objectives)
    for axes, axis in zip(panels[1:], plan.space, strict=False):
        _slice(axes, axis, finished)
    for axes in panels[:number]:
        axes.set_ylabel(plan.objectives[0])
        low, high = axes.dataLim.intervaly
        if 0 < 10 * low < high:
            axes.set_yscale("log")
            _label(axes.yaxis, low, high)
    for axes in panels[number:]:
        axes.remove()
    with replacing(plan.folder / FIGURE) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _label(axis: XAxis | YAxis, low: float, high: float) -> None:
    """Few numbers on a logarithmic axis, but some: Matplotlib's own overlap within a decade or two."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _history(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    """What came of each trial, and the best until then."""
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [(one.number, one.value) for one in trials if state_of(one) == "pruned" and one.value is not None]
    failed = [trial.number for trial in trials if state_of(trial) == "failed"]
    numbers, values = [one.number for one in finished], [one.values[0] for one in finished]
    axes.scatter(numbers, values, s=16, label="finished")
    axes.step(numbers, list(itertools.accumulate(values, min)), where="post", color="tab:orange", label="best")
    if pruned:
        x, y = zip(*pruned, strict=True)
        axes.scatter(x, y, s=16, facecolors="none", edgecolors="gray", label="pruned")
    for index, number in enumerate(failed):
        axes.axvline(number, color="tab:red", alpha=0.3, label=None if index else "failed")
    axes.set_xlabel("trial")
    axes.legend(fontsize="small")


def _front(axes: Axes, finished: Sequence[FrozenTrial], best: Sequence[FrozenTrial], objectives: Sequence[str]) -> None:
    """The second objective across, the first up."""
    axes.scatter([one.values[1] for one in finished], [one.values[0] for one in finished], s=16, color="tab:gray")
    axes.plot([one.values[1] for one in best], [one.values[0] for one in best], "o-", color="tab:orange")
    axes.set_xlabel(objectives[1])


def _slice(axes: Axes, axis: Axis, finished: Sequence[FrozenTrial]) -> None:
    """Every finished trial, by its value of one key."""
    places, values = [trial.params[axis.key] for trial in finished], [trial.values[0] for trial in finished]
    if isinstance(axis.values, Choice):
        choices = axis.values.values
        places = [choices.index(place) for place in places]
        axes.set_xticks(range(len(choices)), choices, rotation=30, ha="right", fontsize="small")
    axes.scatter(places, values, s=16)
    if isinstance(axis.values, Interval) and axis.values.log:
        axes.set_xscale("log")
        axes.set_xlim(0.9 * axis.values.low, 1.1 * axis.values.high)
        _label(axes.xaxis, axis.values.low, axis.values.high)
    axes.set_xlabel(axis.key)
