"""Fréchet distances between parts of the images themselves: what chance alone makes of them."""

import numpy as np

from dcgan.reports.checkup.neighbours import COARSE, coarse_features
from dcgan.reports.checkup.seen import Seen

SPACE = f"{COARSE} x {COARSE} patches"  # what is compared: any images have them
FEWEST = 3  # images, of which there is a covariance


def apart(seen: Seen, first: np.ndarray, second: np.ndarray) -> float | None:
    """The Fréchet distance (Heusel et al. 2017, eq. 6) of the patches of two lists of images; None: too few."""
    from dcgan.metrics.frechet import Moments, frechet_distance  # torchmetrics loads here

    if min(len(first), len(second)) < FEWEST:
        return None
    features = [coarse_features(seen.small[rows]).double() for rows in (first, second)]
    return frechet_distance(features[0], Moments.of(features[1]))


def parts_apart(seen: Seen, rows: np.ndarray, *, parts: int) -> float | None:
    """The same of the first two of as many random parts, which follow from what the images hold."""
    part = seen.marks[rows] % np.uint64(parts)
    return apart(seen, rows[part == 0], rows[part == 1])


def in_figures(value: float) -> str:
    """As it is told."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
