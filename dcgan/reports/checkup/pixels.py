"""Images that are unlike the others of their set: of one value, negatives, without contrast."""

import numpy as np
import torch

from dcgan.reports.checkup.finding import Diagnosis, Finding, count, share
from dcgan.reports.checkup.neighbours import LEVELS, coarse_features, squared_distances
from dcgan.reports.checkup.seen import Seen, luminance

FAINT = 1 / 3  # of the set's own usual range of levels, and of its usual contrast, below which images may be washed out
GAP = 1.5  # times their range, up to that of all others; where there is none, or where more than the share
MOST = 0.1  # are faint, flat images are of the set's own kind, as the skies of photographs
LOOKED_AT = 500  # images, which each is compared with
NEARER = 0.6  # how near a negative comes to other images, against the image itself. Of clean Fashion-MNIST the least is
# 0.83, MNIST has none below 1; of images inverted there, 99 of 100 are below 0.35


def check_pixels(seen: Seen, found: Diagnosis) -> np.ndarray:
    """Constant, inverted and washed-out images.

    Returns:
        bool (N,): those, which no other check need look at.
    """
    usable = seen.readable & ~seen.constant
    _constant(seen, found, np.flatnonzero(seen.constant))
    inverted = np.zeros(len(usable), dtype=bool)
    if usable.sum() > 2:
        inverted[_inverted(seen, np.flatnonzero(usable))] = True
    _say_inverted(seen, found, np.flatnonzero(inverted))
    faint = np.zeros(len(usable), dtype=bool)
    faint[_washed_out(seen, found, np.flatnonzero(usable & ~inverted))] = True
    return seen.constant | inverted | faint


def _constant(seen: Seen, found: Diagnosis, rows: np.ndarray) -> None:
    there = int(seen.readable.sum())
    found.add(
        Finding(
            "constant",
            [(seen.name(i), f"{seen.small[i, :, 0, 0].mean():.0f} of 255 everywhere") for i in rows.tolist()],
            f"{share(len(rows), there)} of the images show nothing, and the generator learns to draw that as often",
            "remove them; where they are transparent pictures in black, say data.background=white",
            rows.tolist(),
            mended="leaves them out of a copy",
        )
    )


def _washed_out(seen: Seen, found: Diagnosis, rows: np.ndarray) -> np.ndarray:
    values = luminance(seen)[rows].reshape(len(rows), seen.small.shape[-1] ** 2)
    ranges = values.max(1, initial=0).astype(float) - values.min(1, initial=255)
    contrast = values.std(1)
    usual = np.median(ranges) if len(rows) else 0.0
    faint = (ranges < FAINT * usual) & (contrast < FAINT * np.median(contrast)) if len(rows) else ranges > 0
    faint &= ranges <= _below_a_gap(np.sort(ranges), most=FAINT * usual)
    faint &= faint.sum() <= MOST * len(rows)
    chosen = rows[faint]
    found.add(
        Finding(
            "washed out",
            [(seen.name(i), f"{span:.0f} levels") for i, span in zip(chosen.tolist(), ranges[faint], strict=True)],
            f"they span {np.mean(ranges[faint]) if len(chosen) else 0:.0f} levels where the others span {usual:.0f}: "
            f"{share(len(chosen), len(rows))} of what the generator learns is to draw faintly",
            "stretch their contrast, or remove them",
            chosen.tolist(),
        )
    )
    return np.asarray(chosen)


def _below_a_gap(ranges: np.ndarray, *, most: float) -> float:
    """The last of the sorted ranges below ``most`` that is followed by a gap; 0: there is none."""
    ends = np.flatnonzero((ranges[:-1] < most) & (ranges[1:] >= GAP * ranges[:-1]))
    return float(ranges[ends[-1]]) if len(ends) else 0.0


def _inverted(seen: Seen, rows: np.ndarray) -> np.ndarray:
    """Those whose negative is like the others, and which themselves are not.

    A first look at the median distance to hundreds of the set, which a minority of negatives does not move, tells
    the suspects; they are then held against what is above suspicion.
    """
    coarse = coarse_features(seen.small[rows])
    order = torch.from_numpy(np.argsort(seen.marks[rows], kind="stable"))
    others = coarse[order[:: max(1, len(rows) // LOOKED_AT)][:LOOKED_AT]]
    medians = [torch.cat([_median(part, others) for part in one.split(4096)]) for one in (coarse, LEVELS - 1 - coarse)]
    suspect = medians[1] < medians[0]
    trusted = order[~suspect[order]]
    trusted = trusted[:: max(1, len(trusted) // (8 * LOOKED_AT))]
    places = suspect.nonzero()[:, 0]
    if not len(trusted) or not len(places):
        return rows[:0]
    chosen = torch.ones(len(places), dtype=torch.bool)
    for of in (lambda features: features, _structure):  # a flat image is its own negative, but for how bright it is
        itself, negative = (
            _nearest(of(one), of(coarse[trusted])) for one in (coarse[places], LEVELS - 1 - coarse[places])
        )
        chosen &= negative < NEARER**2 * itself
    return np.asarray(rows[places[chosen].numpy()])


def _structure(features: torch.Tensor) -> torch.Tensor:
    """What is left without the mean, in whole numbers."""
    return features - features.mean(1, keepdim=True).round()


def _nearest(features: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return torch.cat([squared_distances(part, others).amin(1) for part in features.split(4096)])


def _median(part: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return squared_distances(part, others).median(1).values


def _say_inverted(seen: Seen, found: Diagnosis, rows: np.ndarray) -> None:
    there = int(seen.readable.sum())
    found.add(
        Finding(
            "inverted",
            [(seen.name(i), "its negative looks like the others") for i in rows.tolist()],
            f"{count(len(rows), 'negative')}, {share(len(rows), there)} of the images: the generator learns to draw "
            "these as often",
            "invert them back, or remove them",
            rows.tolist(),
        )
    )
