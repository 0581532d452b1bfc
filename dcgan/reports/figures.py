"""The figures of a report. Narrow, so that a phone shows them unreduced; names that are too long are cut."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dcgan.reports.varied import shown_value

SIZE = (5.2, 3.6)  # inches
RESOLUTION = 144
COLOURED = 6  # groups that have a colour of their own
COLOURS = sns.color_palette("colorblind", COLOURED)
GREY = "#b8b8b8"
LONGEST = 58  # letters of a name in a legend
MOST_TICKS = 12
WIDE = 8  # from the least of a key's values to the largest, from which on its axis is logarithmic
CLOSEST = 0.06  # of an axis's height, between two of its numbers
LABEL = {"fc": "white", "ec": "none", "pad": 0.6}


def png(figure: Figure) -> bytes:
    """Its picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION)
    return buffer.getvalue()


def curves(frame: pd.DataFrame, *, x: str, title: str) -> Figure:
    """FID against ``x``, a column of the frame: a line for each group, and a band from its lowest to its highest."""
    figure, axes = _figure(height=0.24 * _in_legend(frame))
    for (place, name), points in _backwards(frame.dropna(subset=[x]).sort_values(x)):
        colour = COLOURS[place - 1] if place <= COLOURED else GREY
        width, order = (1.8, 3) if place <= COLOURED else (0.8, 1)
        mark, label = "o" if len(points) == 1 else "", f"{place}  {cut(name)}"
        axes.plot(points[x], points["fid"], color=colour, lw=width, zorder=order, marker=mark, label=label)
        if place <= COLOURED:
            axes.fill_between(points[x], points["low"], points["high"], color=colour, alpha=0.18, lw=0, zorder=2)
    axes.set_xlabel(title)
    axes.set_ylabel("FID")
    fid_axis(axes)
    _legend(figure, axes, num_groups=frame["place"].nunique())
    return figure


def scalars(frame: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """One panel above the other for each tag, a line for each group."""
    figure = Figure(figsize=(SIZE[0], 1.9 * len(titles) + 0.4 + 0.24 * _in_legend(frame)), layout="constrained")
    panels = figure.subplots(len(titles), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (tag, title) in zip(panels, titles.items(), strict=True):
        for (place, name), points in _backwards(frame[frame["tag"] == tag]):
            axes.plot(points["step"], points["value"], color=COLOURS[place - 1], lw=1.3, label=f"{place}  {cut(name)}")
        axes.set_title(title, fontsize=10, loc="left")
        if tag.startswith("accuracy"):
            axes.set_ylim(-0.03, 1.03)
        _tidy(axes)
    panels[-1].set_xlabel("step")
    _legend(figure, panels[-1], num_groups=frame["place"].nunique())
    return figure


def effect(frame: pd.DataFrame, key: str, title: str) -> Figure:
    """A point for each group over its value of ``key``; the line goes through the means (geometric)."""
    values = ordered(frame[key])
    figure, axes = _figure()
    if len(values) > MOST_TICKS and _are_numbers(frame[key]):
        axes.scatter(frame[key].astype(float), frame["fid"], s=22, alpha=0.7, color=COLOURS[0], lw=0)
        if (low := frame[key].astype(float).min()) > 0 and frame[key].astype(float).max() / low > WIDE:
            axes.set_xscale("log")
    else:
        places = frame[key].map({value: i for i, value in enumerate(values)})
        jitter = np.random.default_rng(0).uniform(-0.08, 0.08, len(frame))
        axes.scatter(places + jitter, frame["fid"], s=22, alpha=0.7, color=COLOURS[0], lw=0)
        means = np.exp(np.log(frame["fid"]).groupby(places).mean())
        axes.plot(means.index, means, color="#333", marker="_", ms=16, lw=1)
        _name_ticks(axes, values)
    axes.set_xlabel(cut(title))
    axes.set_ylabel("FID")
    fid_axis(axes)
    return figure


def interaction(frame: pd.DataFrame, keys: tuple[str, str], titles: tuple[str, str]) -> Figure:
    """The geometric mean of the FID at each pair of values."""
    logs = frame.assign(log=np.log(frame["fid"])).pivot_table(index=keys[1], columns=keys[0], values="log")
    table = np.exp(logs.reindex(index=ordered(frame[keys[1]]), columns=ordered(frame[keys[0]])))
    figure = Figure(figsize=(SIZE[0], max(2.4, 1.5 + 0.36 * len(table))), layout="constrained")
    axes = figure.add_subplot()
    columns = len(table.columns)
    texts = table.map(lambda value: "" if np.isnan(value) else f"{value:.3g}")
    shown = texts if columns <= 7 else False
    style = {"cmap": "viridis_r", "cbar": False, "lw": 1, "xticklabels": False, "yticklabels": False}
    sns.heatmap(np.log(table), annot=shown, fmt="", annot_kws={"size": 9}, ax=axes, **style)
    axes.set_xlabel(cut(titles[0]))
    axes.set_ylabel(cut(titles[1], 24))
    names = [cut(shown_value(value, 3), 14) for value in table.columns]
    turned = columns * max(map(len, names)) > 44
    axes.set_xticks(np.arange(columns) + 0.5, names, rotation=35 if turned else 0, ha="right" if turned else "center")
    rows = [cut(shown_value(value, 3), 14) for value in table.index]
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, rotation=0)
    return figure


def parallel(frame: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """A line for each group through its value of every key, to its FID; the darker, the lower."""
    columns = [*titles, "fid"]
    figure = Figure(figsize=(max(SIZE[0], 1.7 * len(columns)), 4.2), layout="constrained")
    axes = figure.add_subplot()
    places, ticks = zip(*(_scaled(frame[column], is_fid=column == "fid") for column in columns), strict=True)
    lines = np.stack([np.stack([np.full(len(frame), i), place], -1) for i, place in enumerate(places)], 1)
    logs = np.log(frame["fid"].to_numpy())
    order = np.argsort(-logs)
    colours = colormaps["viridis"](Normalize(logs.min(), logs.max() or 1)(logs[order]))
    axes.add_collection(LineCollection(list(lines[order]), colors=colours, lw=1.2, alpha=0.8))
    for i, marks in enumerate(ticks):
        axes.axvline(i, color="#444", lw=0.8)
        for place, text in marks:
            axes.text(i + 0.03, place, cut(text, 12), fontsize=8, va="center", bbox=LABEL)
    axes.set_xticks(range(len(columns)), [*(cut(title, 18) for title in titles.values()), "FID"])
    axes.set(xlim=(-0.1, len(columns) - 0.55), ylim=(-0.05, 1.05), yticks=[])
    axes.spines[:].set_visible(False)
    return figure


# --- axes


def cut(text: str, longest: int = LONGEST) -> str:
    """A text that fits, its middle left out: names differ at their ends. Its dollars begin no formula."""
    half = (longest - 1) // 2
    text = text if len(text) <= longest else f"{text[: longest - half - 1]}…{text[-half:]}"
    return text.replace("$", r"\$")


def ordered(values: "pd.Series[Any]") -> list[Any]:
    """Its different values, numbers by size and before texts."""

    def place(value: Any) -> tuple[bool, float, str]:
        is_text = isinstance(value, str)
        return is_text, 0 if is_text else value, str(value)

    return sorted(values.unique(), key=place)


def fid_axis(axes: Axes) -> None:
    """Logarithmic, with numbers that are read at once."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 4 else MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(LogLocator(subs=()))
    axes.grid(axis="y", lw=0.5, color="#e4e4e4")
    _tidy(axes)


def _figure(*, height: float = 0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(SIZE[0], SIZE[1] + height), layout="constrained")
    return figure, figure.add_subplot()


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _backwards(frame: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """The groups of a frame, the first last, so that it lies above the others."""
    return list(frame.groupby(["place", "name"]))[::-1]


def _in_legend(frame: pd.DataFrame) -> int:
    return min(int(frame["place"].nunique()), COLOURED + 1)


def _legend(figure: Figure, axes: Axes, *, num_groups: int) -> None:
    """Below, one name a line: names are long."""
    handles, labels = axes.get_legend_handles_labels()
    pairs = list(zip(handles, labels, strict=True))[::-1]
    shown = pairs[:COLOURED]
    if num_groups > COLOURED and len(pairs) > COLOURED:
        shown.append((pairs[-1][0], f"{num_groups - COLOURED} others"))
    figure.legend(*zip(*shown, strict=True), loc="outside lower left", fontsize=9, frameon=False)


def _name_ticks(axes: Axes, values: list[Any]) -> None:
    names = [cut(shown_value(value, 3), 18) for value in values]
    turned = len(names) * max(map(len, names)) > 44
    every = -(-len(names) // MOST_TICKS)
    places, shown = range(0, len(names), every), names[::every]
    axes.set_xticks(places, shown, rotation=35 if turned else 0, ha="right" if turned else "center")
    axes.set_xlim(-0.5, len(names) - 0.5)


def _are_numbers(values: "pd.Series[Any]") -> bool:
    return all(isinstance(value, int | float) for value in values)


def _scaled(values: "pd.Series[Any]", *, is_fid: bool) -> tuple[np.ndarray[Any, Any], list[tuple[float, str]]]:
    """The values on an axis from 0 to 1, and its ticks."""
    if not _are_numbers(values):
        known = ordered(values)
        places = {value: i / max(1, len(known) - 1) for i, value in enumerate(known)}
        every = -(-len(known) // MOST_TICKS)
        return values.map(places).to_numpy(float), [(places[value], str(value)) for value in known[::every]]
    numbers = values.to_numpy(float)
    form: Callable[[Any], Any] = np.log if numbers.min() > 0 and numbers.max() / numbers.min() > WIDE else np.asarray
    low, high = form(numbers.min()), form(numbers.max())
    marks = np.unique(numbers) if len(np.unique(numbers)) <= 5 else _spread(low, high, form)
    width = high - low or 1
    ticks: list[tuple[float, str]] = []
    for mark in marks:
        place = float((form(mark) - low) / width)
        if not ticks or place - ticks[-1][0] > CLOSEST:
            ticks.append((place, f"{mark:.3g}"))
    return (form(numbers) - low) / width, ticks


def _spread(low: float, high: float, form: Callable[[Any], Any]) -> np.ndarray[Any, Any]:
    even = np.linspace(low, high, 5)
    return np.exp(even) if form is np.log else even
