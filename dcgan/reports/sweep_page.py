"""The page of a report: the answer, the leaderboard, figures, pictures, and a card for each group."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from os.path import relpath
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure

from dcgan.reports import figures, frames, pictures
from dcgan.reports.decide import FLOOR, number
from dcgan.reports.html import Embedded, embed, render
from dcgan.reports.plain import footnotes, leaderboard, pairs
from dcgan.reports.sweep import MOST_VALUES, Board, Outcome, Report, Row

MOST_ROWS = 20  # of a leaderboard, the others folded away
MOST_GRIDS = 12  # of the best groups, whole; of the others a corner, which a page of hundreds has room for
MOST_STRIPS = 8
IN_STRIP = 6  # steps
CORNER = 4  # images to a side
MOST_EFFECTS = 8
MOST_INTERACTIONS = 6
MANY = 12  # groups, from which on lines say more than bars
POINTS = 60  # of a line in a card

Values = dict[str, Any]


def page(report: Report, out: Path) -> str:
    """The whole page.

    Args:
        out: the folder that it will lie in, for links to run folders.
    """
    return render(
        "report.html",
        title=f"Report: {report.folder.resolve().name}",
        subtitle=_subtitle(report),
        headline=report.headline,
        notes=report.notes,
        boards=[_board(board, out, index=i) for i, board in enumerate(report.boards)],
        listed=[
            {"name": _name(one.folder, report.folder), "link": _link(one.folder, out), "reason": one.reason}
            for one in report.listed
        ],
    )


def _subtitle(report: Report) -> str:
    groups = sum(len(board.rows) for board in report.boards)
    keys = dict.fromkeys(key.removesuffix(".name") for board in report.boards for key in board.keys)
    varied = f"; {', '.join(keys)} varied" if keys else ""
    text = f"{_count(report.num_runs, 'run')} in {_count(groups, 'group')}{varied}. "
    return text + (
        "FID: how far the features of generated images are from those of real ones, by a classifier of such images; "
        "0 would be equal. A group is what differs in nothing but the seed."
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _name(folder: Path, below: Path) -> str:
    return str(folder.relative_to(below)) if folder != below else folder.name


def _link(path: Path, out: Path) -> str:
    """Relative, so that it holds wherever the folders are moved together; empty: there is no such file."""
    return quote(relpath(path.resolve(), out.resolve())) if path.exists() else ""


def _board(board: Board, out: Path, *, index: int) -> Values:
    header, *cells = leaderboard(board)
    ids = [f"b{index}-g{row.place}" for row in board.rows]
    rows = [_row(row, out, id_=id_, cells=line) for row, id_, line in zip(board.rows, ids, cells, strict=True)]
    corners = f" Beyond the first {MOST_GRIDS} a corner of the last grid is here, the whole in the run's folder."
    return {
        "id": f"b{index}",
        "metric": board.objective.metric,
        "sentences": board.sentences,
        "header": header,
        "rows": rows,
        "at_first": MOST_ROWS,
        "footnotes": footnotes(board),
        "pairs": pairs(board) if len(board.rows) > 1 else [],
        "sections": list(_sections(board)),
        "strips": list(_strips(board, ids)),
        "strip_seed": _common_seed(board),
        "extremes": list(_extremes(board)),
        "cards_text": "Seeds link to their run folders, which must lie where they did when this page was made."
        + (corners if len(rows) > MOST_GRIDS else ""),
    }


# --- figures


def _sections(board: Board) -> Iterator[Values]:
    frame = frames.evaluations(board)
    if len(frame):
        yield _section("While training", _curves(frame), text=_colours(board))
    groups = frames.groups(board)
    if len(groups) > 1:
        if effects := list(_effects(board, groups)):
            text = "One point a group; the line goes through the means, whatever else varied."
            yield _section("What each key does", effects, text=text)
        if heat := list(_interactions(board, groups)):
            yield _section("What keys do together", heat)
        if len(groups) > MANY and len(board.keys) > 1:
            titles = {key: key.removesuffix(".name") for key in board.keys[:MOST_EFFECTS]}
            caption = "Each line is a group: its value of every key, and its FID; the darkest are the lowest."
            one = _embedded(figures.parallel(groups, titles), caption)
            yield _section("All groups at once", [one], wide=True)
    scalars = frames.dashboard(board, places=figures.COLOURED)
    if len(scalars):
        text = "Means over seeds. They say whether a run was healthy, not how good its samples are: look at the FID."
        yield _section("Losses and accuracies", list(_scalars(scalars)), text=text)


def _section(title: str, found: list[Embedded], *, text: str = "", wide: bool = False) -> Values:
    return {"title": title, "figures": found, "text": text, "wide": wide}


def _embedded(figure: Figure, caption: str) -> Embedded:
    return embed(figures.png(figure), caption)


def _colours(board: Board) -> str:
    others = f"; the other {len(board.rows) - figures.COLOURED} are grey" if len(board.rows) > figures.COLOURED else ""
    return f"Lines: geometric means over seeds; bands: from the lowest seed to the highest{others}."


def _curves(frame: Any) -> list[Embedded]:
    folded = frames.over_seeds(frame)
    found = [_embedded(figures.curves(folded, x="step", title="step"), "FID against generator steps.")]
    if folded["cpu_seconds"].notna().any():
        figure = figures.curves(folded, x="cpu_seconds", title="CPU-seconds of training")
        found.append(_embedded(figure, "FID against what it cost."))
    return found


def _effects(board: Board, groups: Any) -> Iterator[Embedded]:
    for key in board.keys[:MOST_EFFECTS] if len(board.keys) > 1 or len(groups) > 2 else []:
        title = key.removesuffix(".name")
        yield _embedded(figures.effect(groups, key, title), f"FID by {title}.")


def _interactions(board: Board, groups: Any) -> Iterator[Embedded]:
    few = [key for key in board.keys if 1 < groups[key].nunique() <= MOST_VALUES]
    for one, other in list(combinations(few, 2))[:MOST_INTERACTIONS]:
        titles = one.removesuffix(".name"), other.removesuffix(".name")
        figure = figures.interaction(groups, (one, other), titles)
        yield _embedded(figure, f"FID by {titles[0]} and {titles[1]}: the lighter, the lower; white: no run.")


def _scalars(frame: Any) -> Iterator[Embedded]:
    for titles, caption in (
        (frames.LOSSES, "Losses; those of different objectives are not of one size."),
        (frames.ACCURACIES, "What the discriminator gets right: near 1 for both it has won, near 0.5 it is lost."),
    ):
        part = frame[frame["tag"].isin(titles)]
        if len(part):
            yield _embedded(figures.scalars(part, titles), caption)


# --- pictures


def _common_seed(board: Board) -> int:
    """That which most groups have, so that their pictures are of the same latents."""
    seeds = Counter(one.run.seed for row in board.rows for one in row.outcomes)
    return min(seeds, key=lambda seed: (-seeds[seed], seed))


def _pictured(board: Board) -> list[Row]:
    """The first groups and the last."""
    first = board.rows[:MOST_STRIPS]
    return first if len(board.rows) <= MOST_STRIPS else [*first[:-1], board.rows[-1]]


def _strips(board: Board, ids: Sequence[str]) -> Iterator[Values]:
    seed = _common_seed(board)
    for row in _pictured(board):
        outcome = next((one for one in row.outcomes if one.run.seed == seed), row.shown)
        there = pictures.grids(outcome.run.folder)
        found = [
            embed(content, f"step {step:,}", kind=kind, pixels=True)
            for step in pictures.evenly(sorted(there), IN_STRIP)
            for content, kind in _corner(outcome, there[step])
        ]
        if found:
            title = f"{row.place}. {row.name}, seed {outcome.run.seed}"
            yield {"id": ids[row.place - 1], "title": title, "figures": found}


def _corner(outcome: Outcome, path: Path) -> list[tuple[bytes, str]]:
    resolution = outcome.run.config.get("data.resolution")
    found = pictures.corner(path, resolution=resolution if isinstance(resolution, int) else 28, columns=CORNER)
    return [found] if found else []


def _grid(outcome: Outcome, caption: str, *, whole: bool = True) -> Embedded | None:
    """The last grid of a run, or a corner of it."""
    there = pictures.grids(outcome.run.folder)
    if not there:
        return None
    path, caption = there[max(there)], f"{caption} at step {max(there):,}"
    if not whole:
        return next((embed(content, caption, kind=kind, pixels=True) for content, kind in _corner(outcome, path)), None)
    found = pictures.whole(path)
    return embed(found[0], caption, kind=found[1]) if found else None


def _extremes(board: Board) -> Iterator[Embedded]:
    """Real images, and the last grids of the runs with the lowest and with the highest FID."""
    there = [(row, one) for row in board.rows for one in row.outcomes if one.value is not None]
    if not there:
        return
    order = sorted(there, key=lambda pair: pair[1].value or 0)
    real = pictures.whole(order[0][1].run.folder / "samples" / "real.png")
    if real:
        yield embed(real[0], "Real images.", kind=real[1])
    ends = [("Best", order[0]), ("Worst that finished", order[-1])][: len(order)]
    for word, (row, one) in ends:
        found = _grid(one, f"{word}: {row.name}, seed {one.run.seed}, FID {number(one.value)},")
        if found:
            yield found


# --- cards


def _row(row: Row, out: Path, *, id_: str, cells: list[str]) -> Values:
    return {
        "id": id_,
        "place": row.place,
        "name": row.name,
        "cells": cells,
        "summary": _summary(row),
        "curve": _curve(row),
        "grid": _grid(row.shown, f"Seed {row.shown.run.seed}", whole=row.place <= MOST_GRIDS),
        "runs": [_run(one, out) for one in row.outcomes],
    }


def _summary(row: Row) -> str:
    mean, low, high = row.group.summary()
    text = f"FID {number(mean)}" if len(row.group.logs) else "no result"
    text += "" if low is None else f" ({number(low)} to {number(high)})"
    text += f", {_count(len(row.outcomes), 'seed')}"
    text += f", {row.group.failures} failed" if row.group.failures else ""
    return text + (f", {row.group.collapsed} collapsed" if row.group.collapsed else "")


def _run(one: Outcome, out: Path) -> Values:
    machine = one.run.origin.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, dict) else None
    commit = str(one.run.origin.get("git_commit") or "")[:12]
    origin = [f"commit {commit}" if commit else "", str(cpu or ""), str(one.run.origin.get("started") or "")]
    return {
        "seed": one.run.seed,
        "fid": number(one.value),
        "best": number(one.best),
        "best_step": "-" if one.best_step is None else f"{one.best_step:,}",
        "seconds": "-" if one.cpu_seconds is None else f"{one.cpu_seconds:,.0f}",
        "why": one.why,
        "command": one.run.command or f"# it does not say; its configuration is {one.run.folder}/config.yaml",
        "origin": ", ".join(word for word in origin if word),
        "link": _link(one.run.folder, out),
    }


def _curve(row: Row) -> Values:
    """Lines of a small drawing, 264 by 70 from (34, 6): FIDs on a logarithmic scale."""
    lines = [
        [(one["step"], one["value"]) for one in outcome.run.curve if one["value"] is not None and one["value"] > FLOOR]
        for outcome in row.outcomes
    ]
    points = [point for line in lines for point in line]
    if not points:
        return {"lines": []}
    last = max(step for step, _ in points) or 1
    low, high = (end(math.log(value) for _, value in points) for end in (min, max))

    def drawn(step: int, value: float) -> str:
        return f"{34 + 264 * step / last:.0f},{76 - 70 * (math.log(value) - low) / (high - low or 1):.1f}"

    return {
        "low": number(math.exp(low)),
        "high": number(math.exp(high)),
        "last": f"{last:,}",
        "lines": [" ".join(drawn(*line[i]) for i in _indices(len(line))) for line in lines if line],
    }


def _indices(n: int) -> list[int]:
    return pictures.evenly(range(n), POINTS)
