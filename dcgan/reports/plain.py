"""A report as text: the tables that the page has too, Markdown, and a CSV file with a row for each run."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from dcgan.reports.decide import Comparison, interval, number, ratio
from dcgan.reports.sweep import Board, Outcome, Report, Row
from dcgan.reports.varied import shown_value
from dcgan.shell.words import pasted

Table = list[list[str]]  # its first row is the header
MOST_PAIRS = 15  # of which all are shown: six groups'


def leaderboard(board: Board) -> Table:
    """A row for each group; columns that nobody has a value for are left out."""
    judge = board.judge.replace("_", " ")  # which a narrow column may break
    header = ["", "group", "FID", "95 % interval", "runs", "lost", "best FID", "CPU-seconds", judge]
    header += ["confident", "coverage"]
    rows = [_cells(row) for row in board.rows]
    kept = [i for i in range(len(header)) if any(row[i] != "-" for row in rows)]
    return [[row[i] for i in kept] for row in (header, *rows)]


def _cells(row: Row) -> list[str]:
    mean, low, high = row.group.summary()
    seconds, confident, coverage = (row.mean(name) for name in ("cpu_seconds", "confident", "coverage"))
    lost = [f"{row.group.failures} failed"] if row.group.failures else []
    lost += [f"{row.group.collapsed} collapsed"] if row.group.collapsed else []
    return [
        str(row.place),
        row.name,
        number(mean),
        "-" if low is None else f"{number(low)} to {number(high)}",
        str(len(row.outcomes)),
        ", ".join(lost) or "0",
        number(row.mean("best")),
        "-" if seconds is None else f"{seconds:,.0f}",
        number(row.group.judged),
        "-" if confident is None else f"{confident:.3f}",
        "-" if coverage is None else f"{coverage:.3f}",
    ]


def pairs(board: Board) -> Table:
    """What each comparison says: all of few, else the first group against each of the others."""
    rows = [["lower", "higher", "seeds", "difference", "95 % interval", "ends lower", "p (Holm)", "verdict"]]
    shown = board.comparisons if len(board.comparisons) <= MOST_PAIRS else board.versus_first()
    places = {id(row.group): row.place for row in board.rows}
    for one in sorted(shown, key=lambda one: (places[id(one.lower)], places[id(one.higher)])):
        tested = one.p_value is not None
        rows.append(
            [
                one.lower.name,
                one.higher.name,
                str(one.shared),
                ratio(one.difference) if one.shared else "-",
                interval(one) if tested else "-",
                f"{one.probability:.0%}" if one.probability is not None else "-",
                _p(one),
                _verdict(one),
            ]
        )
    return rows


def _verdict(one: Comparison) -> str:
    if one.told_apart:
        return f"{one.lower.name} is better"
    if one.significant:
        return "lower, but failed more"
    return "a lead, no more" if one.p_value is None else "not told apart"


def _p(one: Comparison) -> str:
    if one.p_value is None:
        return "-"
    return f"{one.p_value:.3f}" if one.p_value >= 0.001 else "< 0.001"


def footnotes(board: Board) -> list[str]:
    """How to read the leaderboard."""
    notes = [
        f"FID: {board.objective.metric}, {board.objective.words}; lower is better. Mean over seeds: the geometric one, "
        "with Student's 95 % interval of its logarithm. Best: the lowest while training, the mean over seeds."
    ]
    tests = [one for family in (board.comparisons, *board.effects) for one in family if one.p_value is not None]
    if tests:
        notes.append(
            "Groups are compared by the logarithms of their FIDs, paired by seeds (Student's t). Each interval is of "
            f"that pair by itself; p is adjusted for the number of pairs, {len(tests)} (Holm), so that where all are "
            "equal a report calls one better in 5 % of cases at most. Ends lower: the share of all pairs of runs "
            "in which the first ends lower; one that failed loses."
        )
    if board.judge and not board.is_judged():
        first = next((one for row in board.rows for one in row.outcomes if one.judged is None and one.value), None)
        if first:
            images = first.run.config.get("data.folder")
            again = f" {pasted('data.folder', Path(str(images)))}" if images else ""
            line = f"python -m dcgan.evaluate {pasted('run', first.run.folder)}{again}"
            notes.append(
                f"{board.judge}, the judge of another make, has not seen every run; this line adds one: {line}"
            )
    return notes


# --- Markdown


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# {report.folder.resolve().name}", "", f"{report.num_runs} runs below `{report.folder}`.", ""]
    lines += [line for note in report.notes for line in (note, "")]
    lines += [] if report.boards else [f"**{report.headline}**", ""]
    for board in report.boards:
        lines += [f"## {board.objective.metric}", "", f"**{board.sentences[0]}**", ""]
        lines += [f"- {sentence}" for sentence in board.sentences[1:]] + [""]
        lines += [*_markdown_table(leaderboard(board)), ""]
        lines += [line for note in footnotes(board) for line in (note, "")]
        if len(board.rows) > 1:
            lines += [*_markdown_table(pairs(board)), ""]
        lines += ["The commands:", "", "```"]
        lines += [one.run.command or f"{one.run.folder}/config.yaml" for row in board.rows for one in row.outcomes]
        lines += ["```", ""]
    if report.listed:
        lines += ["## Failed, or not counted", "", *(f"- `{one.folder}` {one.reason}" for one in report.listed), ""]
    return "\n".join(lines)


def _markdown_table(table: Table) -> list[str]:
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    return [rows[0], "|" + "---|" * len(table[0]), *rows[1:]]


def console(report: Report) -> str:
    """What a terminal shows: the answer, and the first of the leaderboard."""
    lines = [*report.notes, *([] if report.boards else [report.headline, ""])]
    for board in report.boards:
        lines += [f"{board.objective.metric}:"] if len(report.boards) > 1 else []
        lines += [*board.sentences, "", *_aligned(leaderboard(board)[: TOP + 1])]
        if len(board.rows) > TOP:
            lines.append(f"  and {len(board.rows) - TOP} more")
        lines.append("")
    if report.listed:
        lines += [f"failed, or not counted: {len(report.listed)}"]
        lines += [f"  {one.folder}: {one.reason}" for one in report.listed[:TOP]]
        if len(report.listed) > TOP:
            lines.append(f"  and {len(report.listed) - TOP} more")
    return "\n".join(lines).rstrip()


TOP = 12


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    ]


# --- CSV


def comma_separated(report: Report) -> str:
    """A row for each run, also for what is on no leaderboard."""
    keys = list(dict.fromkeys(key for board in report.boards for key in board.keys))
    plain = ["value", "best", "best_step", "cpu_seconds", "judged", "confident", "coverage"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["run", "state", "metric", "place", "group", "seed", *keys, *plain, "judge", "reason", "health", "command"]
    )
    for board in report.boards:
        for row in board.rows:
            for one in row.outcomes:
                start = [one.run.folder, one.run.state, board.objective.metric, row.place, row.name, one.run.seed]
                settings = [shown_value(row.settings.get(key, "")) for key in keys]
                numbers = [_blank(getattr(one, name)) for name in plain]
                writer.writerow([*start, *settings, *numbers, board.judge, one.why, one.run.health, one.run.command])
    on_a_board = {one.run.folder for one in _outcomes(report)}
    for left in report.listed:
        if left.folder not in on_a_board:
            writer.writerow([left.folder, "", "", "", "", "", *["" for _ in [*keys, *plain]], "", left.reason, "", ""])
    return text.getvalue()


def _blank(value: float | None) -> str:
    return "" if value is None else repr(value)


def _outcomes(report: Report) -> Iterator[Outcome]:
    return (one for board in report.boards for row in board.rows for one in row.outcomes)
