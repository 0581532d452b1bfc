"""``mode=sheet``: grids of three moments side by side, the losses and what D gets right beneath."""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dcgan.config.schema import GenerateConfig
from dcgan.reports.curves import Points, scalars
from dcgan.reports.pictures import grids, opened
from dcgan.sharing.asked import nearest
from dcgan.shell.writing import replacing
from dcgan.shell.zoo import source

PANELS = {  # the curves of each, and what they are called
    "loss": {"loss/discriminator": "D", "loss/generator": "G"},
    "share that D gets right": {"accuracy/real": "real images", "accuracy/fake": "fakes"},
}
STYLES = (("#0173b2", "-"), ("#de8f05", "--"))  # told apart by colour-blind eyes, and where one lies on the other
WIDTH, RESOLUTION = 3.2, 120  # inches of a grid; pixels of an inch
SMOOTHED = 50  # points that a curve keeps apart, at least
LOGGED = "logger=tensorboard and logger=csv keep them"


def write(config: GenerateConfig, out: Path) -> None:
    """Put the sheet of a run together and write it to ``out``."""
    run = source(config.run, config.zoo)
    there = grids(run)
    if not there:
        raise FileNotFoundError(f"run={run}: has no grids (samples/step_*.png) to show; is it a run folder?")
    steps = three(sorted(there)) if config.steps is None else nearest(sorted(there), config.steps)
    curves = scalars(run, [tag for panel in PANELS.values() for tag in panel])
    if not any(curves.values()):
        print(f"note: {run} has no losses and accuracies: {LOGGED}", file=sys.stderr)
    picture = io.BytesIO()
    sheet({step: there[step] for step in steps}, curves, title=run.resolve().name).savefig(picture, format="png")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_bytes(picture.getvalue())


def three(there: Sequence[int]) -> list[int]:
    """The first step, the last, and of those between the nearest to a tenth of it: of 10,000, 1,000."""
    first, last = there[0], there[-1]
    between = nearest([step for step in there if first < step < last], [last // 10])
    return sorted({first, *between, last})


def sheet(pictures: Mapping[int, Path], curves: Points, *, title: str) -> Figure:
    """The figure; of a run without curves the grids alone."""
    number = len(pictures)
    panels = {name: tags for name, tags in PANELS.items() if any(curves.get(tag) for tag in tags)}
    heights = [WIDTH, *[1.7] * bool(panels)]
    figure = Figure(figsize=(max(2, number) * WIDTH, sum(heights) + 0.5), layout="constrained", dpi=RESOLUTION)
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    places = figure.add_gridspec(len(heights), number * max(1, len(panels)), height_ratios=heights)
    for i, (step, path) in enumerate(pictures.items()):
        wide = max(1, len(panels))
        _show(figure.add_subplot(places[0, i * wide : (i + 1) * wide]), path, f"step {step:,}")
    for i, (name, tags) in enumerate(panels.items()):
        axes = figure.add_subplot(places[1, i * number : (i + 1) * number])
        _draw(axes, {label: curves.get(tag, {}) for tag, label in tags.items()}, name, marked=list(pictures))
    return figure


def _show(axes: Axes, path: Path, title: str) -> None:
    try:
        axes.imshow(np.asarray(opened(path)), interpolation="nearest")
    except ValueError as error:
        raise ValueError(f"{path}: {error}; name other steps=") from error
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)


def _draw(axes: Axes, lines: Mapping[str, Mapping[int, float]], name: str, *, marked: Sequence[int]) -> None:
    for step in marked:
        axes.axvline(step, color="#b8b8b8", lw=0.8, ls=":")
    for (label, points), (colour, style) in zip(lines.items(), STYLES, strict=True):
        steps = np.array(sorted(points))
        values = np.array([points[step] for step in steps])
        width = max(1, len(values) // SMOOTHED)
        if len(values):
            curve = np.convolve(values, np.ones(width) / width, "valid")
            axes.plot(steps[width - 1 :], curve, color=colour, ls=style, label=label)
    if name != "loss":
        axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("step", fontsize=9)
    axes.set_ylabel(name, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
