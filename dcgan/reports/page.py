"""The page that an evaluation leaves: its table, and pictures that say what the numbers mean. One file, no scripts."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from dcgan.data.images import encode_png, tile
from dcgan.metrics.reference import NUM_FEATURES, subset
from dcgan.reports.html import Embedded, embed, render
from dcgan.reports.table import cells, halves_title, heading, notes
from dcgan.shell.writing import replacing

if TYPE_CHECKING:
    from dcgan.reports.scoring import Score

SHOWN = 64
PAIRS = 32
COLUMNS = 8
ENLARGED = 2


def write_page(score: "Score", path: Path) -> None:
    """Write ``path``, whole or not at all."""
    figures = [
        _figure(_bars(score), f"Bars: this generator. Lines: real images, {_real_scores(score)[0]}."),
        _grid(score.samples.images[:SHOWN], "The first samples."),
        _strays(score),
        _missed(score),
        _closest(score),
    ]
    first = score.records[0]
    if first["histogram"]:
        figures.insert(1, _figure(_classes(score), "Samples in each class. Lines: as often as in the real images."))
    origin, against = heading(score.records)
    content = render(
        "evaluation.html",
        title=f"{first['metric']} {first['value']:.2f}",
        origin=origin,
        against=against,
        rows=cells(score.records),
        notes=notes(score.records),
        figures=[figure for figure in figures if figure],
    )
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _strays(score: "Score") -> Embedded | None:
    near = score.near
    images = score.samples.images[subset(len(score.samples.images), NUM_FEATURES)][~near.precision]
    share = 1 - float(near.precision.double().mean())
    return _grid(images[:SHOWN], f"Samples where no real image is ({share:.1%}): what precision counts against it.")


def _missed(score: "Score") -> Embedded | None:
    data, near = score.samples.data, score.near
    if not data.is_here():
        return None
    images = data.split(score.records[0]["split"]).images
    images = images[subset(len(images), NUM_FEATURES)][~near.coverage]
    share = 1 - float(near.coverage.double().mean())
    caption = f"Real images that no sample comes near ({share:.1%}): what coverage counts against it."
    return _grid(images[:SHOWN], caption)


def _closest(score: "Score") -> Embedded | None:
    neighbours = score.neighbours
    if neighbours is None:
        return None
    order = neighbours.ratio.argsort()[:PAIRS]
    train = score.samples.data.split("train").images
    pairs = torch.stack([score.samples.images[order], train[neighbours.indices[order, 0]]], 1).flatten(0, 1)
    return _grid(pairs, "Samples (left of each pair) that look most like a copy of a training image (right).")


def _bars(score: "Score") -> Figure:
    first = score.records[0]
    names = ["precision", "recall", "density", "coverage"]
    found = [first["measures"][name] for name in names]
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.add_subplot()
    errors = [[abs(one["value"] - one.get(end, one["value"])) for one in found] for end in ("low", "high")]
    axes.bar(names, [one["value"] for one in found], yerr=errors, width=0.6, color="#4878a8", capsize=4)
    _, real = _real_scores(score)
    _mark(axes, [real[name] for name in names])
    return figure


def _real_scores(score: "Score") -> tuple[str, Mapping[str, float]]:
    first = score.records[0]
    return ("as many in its place", first["real"]) if first["real"] else (halves_title(first), first["halves"])


def _classes(score: "Score") -> Figure:
    counts = score.records[0]["histogram"]
    assert score.real.class_counts is not None
    expected = score.real.class_counts.double() / score.real.class_counts.sum() * sum(counts)
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(counts)), counts, width=0.7, color="#4878a8")
    _mark(axes, expected.tolist())
    axes.set_xticks(range(len(counts)))
    axes.set_xlabel("class")
    axes.set_ylabel("samples")
    return figure


def _mark(axes: Axes, values: list[float]) -> None:
    """A line across each bar, at what is expected."""
    places = range(len(values))
    axes.hlines(values, [place - 0.45 for place in places], [place + 0.45 for place in places], color="#c44")
    axes.set_ylim(0, None)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(figure: Figure, caption: str) -> Embedded:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return embed(buffer.getvalue(), caption)


def _grid(images: Tensor, caption: str) -> Embedded | None:
    if len(images) == 0:
        return None
    picture = tile(images, columns=COLUMNS)
    picture = picture.repeat_interleave(ENLARGED, 1).repeat_interleave(ENLARGED, 2)
    return embed(encode_png(picture), caption)
