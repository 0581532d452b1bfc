"""The page that an evaluation leaves: its table, and pictures that say what the numbers mean. One file, no scripts."""

import base64
import html
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
from dcgan.reports.table import halves_title
from dcgan.shell.writing import replacing

if TYPE_CHECKING:
    from dcgan.reports.scoring import Score

SHOWN = 64
PAIRS = 32
COLUMNS = 8
ENLARGED = 2
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; font-size: 13px; line-height: 1.45; }
figure { display: inline-block; vertical-align: top; margin: 0 1.5rem 1.5rem 0; max-width: 100%; }
figcaption { font-size: 14px; color: #555; max-width: 30rem; }
img { max-width: 100%; }
"""


def write_page(score: "Score", table: str, path: Path) -> None:
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
    title = html.escape(f"{first['metric']} {first['value']:.2f}")
    content = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title}</h1><pre>{html.escape(table)}</pre>{''.join(figures)}</html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _strays(score: "Score") -> str:
    near = score.near
    images = score.samples.images[subset(len(score.samples.images), NUM_FEATURES)][~near.precision]
    share = 1 - float(near.precision.double().mean())
    return _grid(images[:SHOWN], f"Samples where no real image is ({share:.1%}): what precision counts against it.")


def _missed(score: "Score") -> str:
    data, near = score.samples.data, score.near
    if not data.is_here():
        return ""
    images = data.split(score.records[0]["split"]).images
    images = images[subset(len(images), NUM_FEATURES)][~near.coverage]
    share = 1 - float(near.coverage.double().mean())
    caption = f"Real images that no sample comes near ({share:.1%}): what coverage counts against it."
    return _grid(images[:SHOWN], caption)


def _closest(score: "Score") -> str:
    neighbours = score.neighbours
    if neighbours is None:
        return ""
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


def _figure(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return _embedded(buffer.getvalue(), caption)


def _grid(images: Tensor, caption: str) -> str:
    if len(images) == 0:
        return ""
    picture = tile(images, columns=COLUMNS)
    picture = picture.repeat_interleave(ENLARGED, 1).repeat_interleave(ENLARGED, 2)
    return _embedded(encode_png(picture), caption)


def _embedded(png: bytes, caption: str) -> str:
    code = base64.b64encode(png).decode()
    caption = html.escape(caption)
    return f'<figure><img alt="" src="data:image/png;base64,{code}"><figcaption>{caption}</figcaption></figure>'
