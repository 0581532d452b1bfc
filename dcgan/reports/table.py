"""The tables that an evaluation prints."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dcgan.metrics.protocol import rank

JUDGES = "judges, by which nothing is chosen"
SHOWN = 3  # pairs of runs in a line
FORMS = {
    "fid": "{:.2f}",
    "kid": "{:.4f}",
    "inception_score": "{:.3f}",
    "precision": "{:.3f}",
    "recall": "{:.3f}",
    "density": "{:.3f}",
    "coverage": "{:.3f}",
    "class_kl": "{:.4f}",
    "modes": "{:.0f}",
    "confident": "{:.3f}",
}


def describe(records: Sequence[Mapping[str, Any]]) -> str:
    """The table of one evaluation: the first space with intervals, what real images score, and the judges."""
    rows = cells(records)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*heading(records), "", *lines, "", *(f"  {note}" for note in notes(records))])


def heading(records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What was evaluated, and against what."""
    first = records[0]
    return (
        first.get("samples") or f"{first['run']}  step {first['step']} ({first['checkpoint']})",
        f"{first['num_fake']:,} samples against the {first['num_real']:,} images of "
        f"{first['data']}'s {first['split']} split; [95 % interval]",
    )


def cells(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The table, its first row the header: a row for each metric."""
    first, *others = [record for record in records if "measures" in record]
    protocol = first["metric"].removeprefix("fid")
    known = [name for name in FORMS if name in first["measures"]]
    names = [*known, *(name for name in first["measures"] if name not in FORMS)]
    plain = {"real images": first["real"], halves_title(first): first["halves"]}
    for other in others:
        plain[other["extractor"]] = {name: measure["value"] for name, measure in other["measures"].items()}
    columns = [
        ["", *(f"{name}{protocol}" for name in names)],
        ["", *(_with_interval(name, first["measures"][name]) for name in names)],
        *([title, *(_plain(name, values) for name in names)] for title, values in plain.items()),
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def halves_title(record: Mapping[str, Any]) -> str:
    """How many real images were compared with how many: ``5000 v. 5000``."""
    return " v. ".join(map(str, record["halves_of"]))


def notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the numbers mean, and what else was found."""
    first = records[0]
    other_split = {"test": "training", "train": "test"}[first["split"]]
    found = ["±: the standard deviation over subsets of the samples"]
    if first["real"]:
        found.append(f"real images: as many {other_split} images in place of the samples")
    else:
        reason = "they take the data set itself, and as many images in its other split"
        found.append(f"real images: not known for {first['num_fake']:,} samples; {reason}")
    found.append(f"{halves_title(first)}: so many {first['split']} images against as many others, another protocol")
    if "class_kl" in first["measures"]:
        floor = first["measures"]["class_kl"]["sampling_floor"]
        found.append(f"class_kl of {first['num_fake']:,} images with exactly the right frequencies: {floor:.4f}")
    if first.get("needed", 0) > min(first["num_fake"], first["num_real"]):
        found.append(
            f"fid: of fewer than {first['needed']:,} samples and real images its size means little here; "
            "kid does not grow with their want"
        )
    judges = [record for record in records if "measures" in record and record is not first]
    if judges:
        found.append(f"{', '.join(record['extractor'] for record in judges)}: {JUDGES}{_floors([first, *judges])}")
    of_label = [f"{_of_label(r['label_accuracy'])} ({r['extractor']})" for r in records if r.get("label_accuracy")]
    if of_label:
        found.append(f"samples of the label that they were asked for, mean over labels: {'; '.join(of_label)}")
    for record in records:
        if record["metric"].startswith("copies_"):
            verdict = "copies training images" if record["accused"] else "no sign of copied training images"
            found.append(
                f"{record['metric']}  {record['share']:.2%} (test images {record['real_share']:.2%}, "
                f"p = {record['p_value']:.2g}): {verdict}; median distance to the nearest training image "
                f"{record['median_distance']:.2f} (test images {record['real_median_distance']:.2f})"
            )
        if record["metric"].startswith("cas_"):
            found.append(
                f"{record['metric']}  {record['value']:.2%} of real test images right, "
                f"{record['held_out']:.2%} of held-out samples"
            )
    found.append(f"extractor {first['extractor']} ({first['extractor_sha256'][:12]}), {first['seconds']} s")
    return found


def _floors(records: Sequence[Mapping[str, Any]]) -> str:
    """The FID of real images by each extractor, where it is known of all: they are not of one size."""
    if not all(record.get("real") for record in records):
        return ""
    return "; FID of real images " + ", ".join(f"{r['real']['fid']:.2f} ({r['extractor']})" for r in records)


def _of_label(shares: Sequence[float | None]) -> str:
    known = {label: share for label, share in enumerate(shares) if share is not None}
    worst = min(known, key=known.__getitem__)
    return f"{sum(known.values()) / len(known):.1%}, fewest of {worst}, {known[worst]:.1%}"


def _with_interval(name: str, measure: Mapping[str, float]) -> str:
    form = _form(name).format
    text = form(measure["value"])
    if "deviation" in measure:
        text += f" ± {form(measure['deviation'])}"
    return f"{text}  [{form(measure['low'])}, {form(measure['high'])}]" if "low" in measure else text


def _plain(name: str, values: Mapping[str, float] | None) -> str:
    return _form(name).format(values[name]) if values and name in values else "-"


def _form(name: str) -> str:
    return FORMS.get(name, "{:.4f}")


def compare(records: Sequence[Mapping[str, Any]], *, health: Mapping[str, str] | None = None) -> str:
    """One line for each run, the best first, with what its judges say; then the pairs that a judge orders differently.

    In the order given, and said so, where protocols differ.

    Args:
        records: of each run its own, then those of its judges.
        health: of each run what went wrong in it while it trained; empty: nothing.
    """
    runs: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        if "measures" in record:
            runs.setdefault(record["run"], {})[record["extractor"]] = record
    firsts = [next(iter(found.values())) for found in runs.values()]
    try:
        firsts = rank(firsts)
        places: Sequence[str] = [str(place) for place in range(1, len(firsts) + 1)]
        notes = list(_disagreements([runs[first["run"]] for first in firsts]))
    except ValueError as error:
        notes, places = [str(error)], ["-"] * len(firsts)
    lines = [
        f"  {place:>2}  {first['metric']}  {_with_interval('fid', first['measures']['fid'])}"
        f"{_by_judges(list(runs[first['run']].values())[1:])}  {first['run']}"
        f"{_noted((health or {}).get(first['run'], ''))}"
        for place, first in zip(places, firsts, strict=True)
    ]
    return "\n".join([*lines, *notes])


def _by_judges(records: Sequence[Mapping[str, Any]]) -> str:
    found = ", ".join(f"{record['extractor']} {record['value']:.2f}" for record in records)
    return f"  [{found}]" if found else ""


def _noted(health: str) -> str:
    return f"  ({health})" if health else ""


def _disagreements(ranked: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """One line for each judge that orders two runs otherwise than their own extractor does, its widest gaps first.

    Args:
        ranked: the records of each run by extractor, its own first; the best run first.
    """
    first, *others = ranked[0]
    for judge in [name for name in others if all(name in run for run in ranked)]:
        pairs = [
            (worse[judge], better[judge])
            for better, worse in itertools.combinations(ranked, 2)
            if better[first]["value"] < worse[first]["value"] and worse[judge]["value"] < better[judge]["value"]
        ]
        pairs.sort(key=lambda pair: pair[0]["value"] - pair[1]["value"])
        if pairs:
            shown = "; ".join(
                f"{one['run']} ({one['value']:.2f}) before {other['run']} ({other['value']:.2f})"
                for one, other in pairs[:SHOWN]
            )
            more = f"; and {len(pairs) - SHOWN} pairs more" if len(pairs) > SHOWN else ""
            yield f"{judge} orders differently than {first}: {shown}{more}"
