"""Sizes, aspect ratios and colours that do not go together."""

import numpy as np

from dcgan.reports.checkup.finding import Diagnosis, Finding, count, percent, share
from dcgan.reports.checkup.seen import Seen

SCALES = 3  # times the usual shorter side, from which details are no longer of the same size
LOST = 0.2  # of an image, from which a crop is told: pictures of 5 to 4 lose as much
MAJORITY = 0.5


def check_shapes(seen: Seen, found: Diagnosis) -> None:
    """Small images, mixed sizes, what cropping loses, grey among colour."""
    rows = np.flatnonzero(seen.readable)
    heights = np.array([one.height for one in seen.glances])
    widths = np.array([one.width for one in seen.glances])
    shorter = np.minimum(heights, widths)
    sizes = {int(i): f"{widths[i]} x {heights[i]}" for i in rows}

    small = rows[shorter[rows] < seen.resolution]
    found.add(
        Finding(
            "small",
            [(seen.name(i), sizes[i]) for i in small.tolist()],
            f"{share(len(small), len(rows))} are enlarged to {seen.resolution} x {seen.resolution}: at worst "
            f"{percent(1 - (shorter[small].min(initial=seen.resolution) / seen.resolution) ** 2)} of an image's pixels "
            "are made up, and what is blurred can be told apart",
            f"remove them, or train at data.resolution={max(4, int(shorter[rows].min()) // 4 * 4)}",
            small.tolist(),
        )
    )
    usual = float(np.median(shorter[rows]))
    scale = np.maximum(shorter[rows] / usual, usual / shorter[rows])
    other = rows[(scale >= SCALES) & (shorter[rows] >= seen.resolution)]
    found.add(
        Finding(
            "mixed sizes",
            [(seen.name(i), sizes[i]) for i in other.tolist()],
            f"all become {seen.resolution} x {seen.resolution}; of these details are up to {scale.max():.1f} times as "
            f"large or small as of the others, whose usual shorter side is {usual:.0f} pixels",
            "crop them to the same scale, or see that they show the same at theirs",
            other.tolist(),
        )
    )
    _cropping(seen, found, heights, widths, rows)
    _colours(seen, found, rows)


def _cropping(seen: Seen, found: Diagnosis, heights: np.ndarray, widths: np.ndarray, rows: np.ndarray) -> None:
    pixels = (heights * widths)[rows]
    lost = 1 - np.minimum(heights, widths)[rows] ** 2 / pixels
    chosen = lost > LOST
    number = int(chosen.sum())
    of_all = 1 - (np.minimum(heights, widths)[rows] ** 2).sum() / pixels.sum()
    found.add(
        Finding(
            "cropping",
            [
                (seen.name(i), f"{widths[i]} x {heights[i]}: {percent(part)} is cut off")
                for i, part in zip(rows[chosen].tolist(), lost[chosen], strict=True)
            ],
            f"the largest square in the middle is taken: of {count(number)} ({share(number, len(rows))}) "
            f"{percent(lost[chosen].sum() / max(1, number))} of the pixels are lost, at most {percent(lost.max())}; "
            f"of all images together {percent(of_all)}",
            "crop them to squares around what matters, or pad them",
            rows[chosen].tolist(),
        )
    )


def _colours(seen: Seen, found: Diagnosis, rows: np.ndarray) -> None:
    chosen = rows[odd_colours(seen)[rows]]
    fewer = any(seen.glances[i].coloured for i in chosen)
    what, others = ("colour", "grey") if fewer else ("grey", "colour")
    cost = (
        f"for {share(len(chosen), len(rows))} of the images all are trained on in three channels"
        if fewer
        else f"{share(len(chosen), len(rows))} have three equal channels, by which a discriminator knows them"
    )
    found.add(
        Finding(
            "grey and colour",
            [(seen.name(i), f"{what}, the others {others}") for i in chosen.tolist()],
            cost,
            "remove them, or train in grey: data.channels=1",
            chosen.tolist(),
        )
    )


def odd_colours(seen: Seen) -> np.ndarray:
    """Of shape (N,): which images are in grey where most are in colour, or the reverse."""
    coloured = np.array([one.coloured for one in seen.glances])
    usable = seen.readable & ~seen.constant
    most = coloured[usable].sum() >= MAJORITY * usable.sum()
    return np.asarray((coloured != most) & usable & coloured[usable].any())
