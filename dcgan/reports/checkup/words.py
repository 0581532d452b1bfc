"""A check-up in words: what a terminal shows, and the table of everything that is named."""

import csv
import io
from collections import Counter

from dcgan.config.rules import one_line
from dcgan.reports.checkup.finding import KINDS, Diagnosis, Finding, count
from dcgan.reports.checkup.seen import Seen

NAMED, WIDEST = 3, 80  # files of each kind, and letters of a column, in a terminal
Table = list[list[str]]  # its first row is the header


def headline(seen: Seen, found: Diagnosis) -> str:
    """The answer."""
    alarms = found.alarms
    if not alarms:
        return f"{seen.said}: nothing is wrong with these images"
    return f"{seen.said}: {count(len(alarms), 'kind')} of trouble"


def summary(seen: Seen) -> str:
    """What there is."""
    sides = Counter(seen.sides)
    given = "to test with" if any(seen.splits) else "that training holds out to test with"
    labels = f"{len(seen.classes)} classes" if seen.classes else "no labels"
    colour = "colour" if seen.small.shape[1] == 3 else "grey"
    sizes = Counter((one.width, one.height) for one in seen.glances if not one.reason)
    (width, height), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
    others = f" (most of {count(len(sizes), 'size')})" if len(sizes) > 1 else ""
    unreadable = f", {sides['']:,} unreadable" if sides[""] else ""
    return (
        f"{sides['train']:,} images to train on, {sides['test']:,} {given}{unreadable}; {labels}; {colour}, "
        f"{width} x {height} pixels{others}, trained on at {seen.resolution} x {seen.resolution}"
    )


def table(findings: list[Finding]) -> Table:
    """A row for each kind that was found."""
    rows = [["found", "how many", "the first", "what it does", "what to do"]]
    for one in findings:
        rows.append([one.kind, f"{len(one.files):,}", one_line(": ".join(one.files[0])), one.consequence, remedy(one)])
    return rows


def notes(found: Diagnosis) -> list[str]:
    """What else was looked for."""
    lines = [f"{len(found.clean)} of {len(KINDS)} kinds were looked for and not found: {', '.join(found.clean)}"]
    whys: dict[str, list[str]] = {}
    for kind, why in found.not_asked.items():
        whys.setdefault(why, []).append(kind)
    return lines + [f"not looked for: {', '.join(kinds)} ({why})" for why, kinds in whys.items()]


def console(seen: Seen, found: Diagnosis) -> str:
    """What a terminal shows."""
    lines = [headline(seen, found), f"  {summary(seen)}", ""]
    if found.findings:
        lines += [*_aligned([[_short(cell) for cell in row[:3]] for row in table(found.findings)]), ""]
    for one in found.findings:
        lines += [
            f"  {one.kind}{'' if one.alarm else ' (a note, no alarm)'}: {one.consequence}",
            f"    fix: {remedy(one)}",
        ]
        lines += [f"    {name}: {words}" for name, words in one.files[1:NAMED]]
        lines += [f"    and {len(one.files) - NAMED:,} more"] if len(one.files) > NAMED else []
    lines += [""] if found.findings else []
    return "\n".join([*lines, *(f"  {note}" for note in notes(found))])


def remedy(one: Finding) -> str:
    """What to do, and whether that can be left to us."""
    return f"{one.remedy}; fix=PATH {one.mended}" if one.mended else one.remedy


def _short(cell: str) -> str:
    return cell if len(cell) <= WIDEST else f"{cell[: WIDEST // 2]} ... {cell[-WIDEST // 2 :]}"


def _aligned(rows: Table) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def comma_separated(found: Diagnosis) -> str:
    """Every file that is named, with its kind and what is said of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "alarm", "file", "what"])
    writer.writerows([one.kind, one.alarm, name, words] for one in found.findings for name, words in one.files)
    return text.getvalue()
