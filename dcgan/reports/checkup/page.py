"""The page that a check-up leaves: its table, and the images that it names. One file, no scripts."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcgan.data.images import encode_png
from dcgan.reports.checkup.finding import KINDS, Diagnosis, Finding, count
from dcgan.reports.checkup.seen import Seen
from dcgan.reports.checkup.words import comma_separated, headline, notes, remedy, summary, table
from dcgan.reports.html import Embedded, embed, render
from dcgan.shell.writing import replacing

SHOWN = 24  # images of a kind
LISTED = 200  # files of a kind; the CSV file has all
LEAST = 96  # pixels, to which small images are enlarged


def write_checkup(seen: Seen, found: Diagnosis, out: Path, *, mended: str = "") -> list[Path]:
    """Write ``checkup.csv`` and ``checkup.html`` into ``out``, each whole or not at all; the page last."""
    out.mkdir(parents=True, exist_ok=True)
    content = render(
        "checkup.html",
        title=headline(seen, found),
        summary=summary(seen),
        rows=table(found.findings),
        sections=[_section(seen, one) for one in found.findings],
        notes=notes(found) + ([mended] if mended else []),
    )
    files = [out / "checkup.csv", out / "checkup.html"]
    for file, text in zip(files, (comma_separated(found), content), strict=True):
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace")
    return files


def _section(seen: Seen, one: Finding) -> dict[str, Any]:
    words = dict(one.files)
    more = len(one.files) - LISTED
    return {
        "title": f"{one.kind}: {KINDS[one.kind]}",
        "note": "" if one.alarm else "A note, no alarm.",
        "what": f"{count(len(one.files), 'entry', 'entries')}. What it does: {one.consequence}.",
        "remedy": f"What to do: {remedy(one)}.",
        "figures": [_figure(seen, i, words) for i in one.images[:SHOWN]],
        "files": [f"{name}: {what}" for name, what in one.files[:LISTED]],
        "more": f"and {more:,} more, in checkup.csv" if more > 0 else "",
    }


def _figure(seen: Seen, i: int, words: dict[str, str]) -> Embedded:
    name = seen.name(i)
    picture = np.ascontiguousarray(seen.small[i])
    times = max(1, LEAST // picture.shape[-1])
    enlarged = picture.repeat(times, axis=1).repeat(times, axis=2)
    return embed(
        encode_png(torch.from_numpy(enlarged)), f"{name}: {words[name]}" if name in words else name, pixels=True
    )
