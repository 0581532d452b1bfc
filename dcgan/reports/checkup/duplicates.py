"""Images that are there more than once, exactly or nearly, within a split, across the splits, or with two labels."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from dcgan.reports.checkup.finding import Diagnosis, Finding, count, percent, share
from dcgan.reports.checkup.floor import SPACE, apart, in_figures, parts_apart
from dcgan.reports.checkup.neighbours import Neighbours, find_neighbours
from dcgan.reports.checkup.seen import Seen

NEARLY = 0.12  # of the set's usual distance to the tenth neighbour, and of the image's own contrast. Saving as JPEG
# with quality 85 moves a digit by 0.06; the nearest two digits of MNIST are at 0.136
ALLOWED = 0.001  # of the images: Fashion-MNIST has 0.08 % of near duplicates, MNIST none
UNFIT = "this is told, but no alarm: carefully made sets have as many (Fashion-MNIST 0.08 %)"


def groups_of(seen: Seen, rows: np.ndarray) -> list[list[int]]:
    """Images of the same pixels, the first by name first."""
    found = defaultdict(list)
    for i in rows.tolist():
        found[seen.glances[i].mark].append(i)
    return [group for group in found.values() if len(group) > 1]


def check_duplicates(seen: Seen, found: Diagnosis, aside: np.ndarray) -> tuple[Neighbours | None, np.ndarray]:
    """Exact and near duplicates, leakage, contradicting labels.

    Args:
        aside: bool (N,), the images that are not looked at.

    Returns:
        The neighbours of one of each exact duplicates; and bool (N,), the images whose labels contradict each other.
    """
    rows = np.flatnonzero(seen.readable & ~aside)
    groups = groups_of(seen, rows)
    if not any(seen.splits):
        found.not_asked["leakage"] = "there is no test split; what training holds out never has an image of the rest"
    if not seen.classes:
        found.not_asked["contradiction"] = "there are no labels"
    contradicting = [group for group in groups if seen.classes and len({int(seen.labels[i]) for i in group}) > 1]
    leaking = [group for group in groups if any(seen.splits) and len({seen.splits[i] for i in group}) > 1]
    _contradictions(seen, found, contradicting)
    again = [[i for i in group if seen.sides[i] == side] for group in groups for side in ("train", "test")]
    plain = [group for group in again if len(group) > 1 and len({int(seen.labels[i]) for i in group}) == 1]
    _duplicates(seen, found, plain, len(rows))
    drop = {i for group in groups for i in group[1:]}
    unique = np.array([i for i in rows.tolist() if i not in drop], dtype=np.int64)
    neighbours = find_neighbours(seen.small, unique, seen.marks) if len(unique) > 2 else None
    pairs = _near(seen, neighbours) if neighbours else []
    crossing = [(a, b) for a, b in pairs if any(seen.splits) and seen.splits[a] != seen.splits[b]]
    alarm = len({i for pair in pairs for i in pair}) > ALLOWED * len(rows)
    within = pairs if not alarm else [pair for pair in pairs if pair not in {*crossing}]
    _near_duplicates(seen, found, within, alarm=alarm)
    _leakage(seen, found, leaking, crossing if alarm else [])
    disputed = np.zeros(len(aside), dtype=bool)
    disputed[[i for group in contradicting for i in group]] = True
    return neighbours, disputed


def _near(seen: Seen, neighbours: Neighbours) -> list[tuple[int, int]]:
    """Pairs that are as good as the same, measured by how far apart images of this set are."""
    distance = np.sqrt(neighbours.squared[:, 0].numpy().astype(np.float64))
    usual = float(np.median(np.sqrt(neighbours.squared[:, -1].numpy().astype(np.float64))))
    pixels = seen.small[neighbours.rows].reshape(len(neighbours.rows), -1)
    contrast = np.sqrt(pixels.var(1, dtype=np.float64) * pixels.shape[1])
    near = np.flatnonzero(distance < NEARLY * np.minimum(contrast, usual))
    ends = neighbours.rows[near], neighbours.rows[neighbours.places[near, 0].numpy()]
    return sorted({(min(a, b), max(a, b)) for a, b in zip(*(one.tolist() for one in ends), strict=True)})


def _duplicates(seen: Seen, found: Diagnosis, groups: Sequence[list[int]], number: int) -> None:
    more = [(i, group[0]) for group in groups for i in group[1:]]
    found.add(
        Finding(
            "duplicate",
            [(seen.name(i), f"the same as {seen.name(first)}") for i, first in more],
            _moved(seen, [i for i, _ in more], number) if more else "",
            "keep one of each",
            [i for i, _ in more],
            mended="leaves them out of a copy",
        )
    )


def _moved(seen: Seen, more: Sequence[int], number: int) -> str:
    """What they do, in the Fréchet distance between the images with and without them."""
    words = (
        f"{count(len(more), 'copy', 'copies')} among {count(number)} ({share(len(more), number)} of what is learned)"
    )
    rows = np.array([i for i in np.flatnonzero(seen.readable).tolist() if seen.sides[i] == seen.sides[more[0]]])
    kept = rows[~np.isin(rows, more)]
    moved, floor = apart(seen, rows, kept), parts_apart(seen, kept, parts=2)
    if moved is None or not floor:
        return f"{words} weigh twice or more"
    return (
        f"{words} move the Fréchet distance of the images' {SPACE} by {in_figures(moved)}; two halves of the set "
        f"without them are {in_figures(floor)} apart: {percent(moved / floor)} of that floor"
    )


def _near_duplicates(seen: Seen, found: Diagnosis, pairs: Sequence[tuple[int, int]], *, alarm: bool) -> None:
    there = int(seen.readable.sum())
    involved = len({i for pair in pairs for i in pair})
    across = sum(seen.sides[a] != seen.sides[b] for a, b in pairs)
    parted = f"; {count(across, 'pair')} {'is' if across == 1 else 'are'} divided over the splits" if across else ""
    found.add(
        Finding(
            "near duplicate",
            [(seen.name(b), f"nearly {seen.name(a)}") for a, b in pairs],
            f"{count(involved)} ({share(involved, there)}) lie within {percent(NEARLY)} of neighbours' usual distance, "
            f"so {count(len(pairs))} {'weighs' if len(pairs) == 1 else 'weigh'} as good as twice{parted}"
            + ("" if alarm else f"; {UNFIT}"),
            "look at them; keep the better one of each",
            [i for pair in pairs for i in pair],
            alarm=alarm,
        )
    )


def _leakage(seen: Seen, found: Diagnosis, groups: Sequence[list[int]], pairs: Sequence[tuple[int, int]]) -> None:
    chosen: list[tuple[int, str]] = []
    for group in groups:
        test = next(i for i in group if seen.splits[i] == "test")
        chosen += [(i, f"the same as {seen.name(test)}") for i in group if seen.splits[i] == "train"]
    for a, b in pairs:
        train, test = (a, b) if seen.splits[a] == "train" else (b, a)
        chosen.append((train, f"nearly {seen.name(test)}"))
    number = sum(seen.splits[i] == "test" for i in {i for one in (*groups, *pairs) for i in one})
    tested = seen.sides.count("test")
    found.add(
        Finding(
            "leakage",
            [(seen.name(i), words) for i, words in chosen],
            f"of {count(tested)} to test with, {number:,} ({share(number, tested)}) can be learned by heart: to copy "
            "is counted as skill, and the number that is reported is too low",
            "remove those to train on",
            [i for i, _ in chosen],
            mended="leaves those that are exactly the same out of a copy" if groups else "",
        )
    )


def _contradictions(seen: Seen, found: Diagnosis, groups: Sequence[list[int]]) -> None:
    files = [(i, seen.classes[int(seen.labels[i])]) for group in groups for i in group]
    right = sum(int(np.bincount(seen.labels[group]).max()) for group in groups)
    found.add(
        Finding(
            "contradiction",
            [(seen.name(i), f"labelled {name}, an image of several labels") for i, name in files],
            f"{count(len(groups))} with several labels: a generator is asked to draw the same for each, and no "
            f"classifier gets more than {share(right, len(files))} of them right",
            "keep the one whose label is right; no tool knows which",
            [i for i, _ in files],
        )
    )
