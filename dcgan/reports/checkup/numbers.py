"""How many images there are: of each class, to train on, and to score with."""

from collections import Counter

import numpy as np

from dcgan.reports.checkup.finding import Diagnosis, Finding, count, share
from dcgan.reports.checkup.floor import SPACE, in_figures, parts_apart
from dcgan.reports.checkup.seen import Seen

TINY = 10  # images of a class to train on
OUTNUMBERED = 10  # times
FEWEST = 100  # images to train on: with augmentation, a hundred is the least that anyone has shown samples from
REPORTED = 10_000  # images that reported scores are of


def check_numbers(seen: Seen, found: Diagnosis, *, scored: int | None) -> None:
    """Classes that are empty, tiny or outnumbered, and too few images.

    Args:
        scored: images that each evaluation while training is of; None: training scores nothing.
    """
    _classes(seen, found)
    sides = Counter(seen.sides)
    train, test = sides["train"], sides["test"]
    wanted = [("to train on", train, FEWEST, "a GAN learns from hundreds")]
    if scored is None:
        found.not_asked["a FID of N"] = (
            f"metrics=none, so training scores nothing; there are images for a FID of {train:,} while training, and of "
            f"{test:,} to report"
        )
    else:
        wanted += [
            ("to train on", train, scored, f"the FID while training is of {scored:,}"),
            ("to test with", test, REPORTED, f"reported FIDs are of {REPORTED:,}"),
        ]
    short = [
        (f"{there:,} {what}", f"{why}: {need - there:,} are missing")
        for what, there, need, why in wanted
        if there < need
    ]
    fewer = f", or lower metrics.num_samples to {train:,} at most" if scored and train < scored else ""
    found.add(
        Finding(
            "too few",
            short,
            _bias(seen, min(train, test), scored) if scored and short else "the discriminator learns them by heart",
            f"add images, or train with augment=diffaugment{fewer}",
        )
    )


def _bias(seen: Seen, there: int, scored: int) -> str:
    """What a FID adds for want of images is, to first order, as one over their number (Chong and Forsyth 2020)."""
    wanted = max(scored, REPORTED)
    rows = np.flatnonzero(np.array(seen.sides) == "train")
    floors = [(parts, parts_apart(seen, rows, parts=parts)) for parts in (2, 4)]
    said = [f"two lots of {len(rows) // parts:,} are {in_figures(one)} apart" for parts, one in floors if one]
    measured = f" (of those to train on, by {SPACE}, {', '.join(said)})" if said else ""
    return (
        f"a FID falls with the number of images that it is of{measured}: what it shows beside the truth is about "
        f"{wanted / max(1, there):.1f} times as large with {there:,} as with {wanted:,}; it compares with no other"
    )


def _classes(seen: Seen, found: Diagnosis) -> None:
    empty = _empty_folders(seen)
    if not seen.classes:
        for kind in ("tiny class", "imbalance"):
            found.not_asked[kind] = "there are no labels"
    counts = {side: Counter[int]() for side in ("train", "test")}
    for label, side in zip(seen.labels.tolist(), seen.sides, strict=True):
        if side:
            counts[side][label] += 1
    given, folders = any(seen.splits), len(empty)
    for label, name in enumerate(seen.classes):
        sides = [side for side in counts if not counts[side][label] and (given or side == "train")]
        empty += [(name, f"no image in {side}") for side in sides]
    found.add(
        Finding(
            "empty class",
            empty,
            "it is no class: nothing is drawn of it, or nothing tells whether what is drawn is good",
            "put images there, or remove the folder",
            mended="leaves them out of a copy" if len(empty) == folders else "",
        )
    )
    train = {name: counts["train"][label] for label, name in enumerate(seen.classes) if counts["train"][label]}
    if not train:
        return
    total, most = sum(train.values()), max(train, key=train.__getitem__)
    tiny = [name for name, number in train.items() if number < TINY]
    found.add(
        Finding(
            "tiny class",
            [(name, f"{count(train[name])} to train on") for name in tiny],
            f"a conditional generator can only repeat them: {share(sum(train[name] for name in tiny), total)} of what "
            "it trains on",
            f"add images ({TINY} at least, better hundreds), or join it with another class",
        )
    )
    few = [name for name, number in train.items() if number >= TINY and number * OUTNUMBERED <= train[most]]
    found.add(
        Finding(
            "imbalance",
            [(name, f"{count(train[name])}, of {most} {train[most]:,}") for name in few],
            f"of 1,000 samples without a label, {_each(few, train, total)} would be of "
            f"{'it' if len(few) == 1 else 'them'}; FID hardly sees whether that class is good",
            "add images, or remove some of the others'",
        )
    )


def _each(few: list[str], train: dict[str, int], total: int) -> str:
    return f"{1000 * sum(train[name] for name in few) / total:.0f}"


def _empty_folders(seen: Seen) -> list[tuple[str, str]]:
    """Folders without a picture, beside such with pictures."""
    if seen.listing is None or not seen.classes:
        return []
    parents: set[str] = set()  # of pictures, at any height
    for entry in seen.listing.entries:
        parts = entry.name.split("/")[:-1]
        parents |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    homes = {folder.rpartition("/")[0] for folder in parents if _is_leaf(folder, parents)}
    names = [folder.rstrip("/") for folder in seen.listing.folders]
    empty = [name for name in names if name not in parents and name.rpartition("/")[0] in homes]
    beside = Counter(entry.name.rpartition("/")[0] for entry in seen.listing.strangers)
    return [(name, f"no picture in it, {count(beside[name], 'other file')}") for name in empty]


def _is_leaf(folder: str, parents: set[str]) -> bool:
    return not any(other.startswith(f"{folder}/") for other in parents)
