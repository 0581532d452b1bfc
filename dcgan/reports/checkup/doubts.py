"""Labels that look wrong: what the most similar other images say of each, which no image takes part in itself."""

import numpy as np
import torch
from torch import Tensor

from dcgan.reports.checkup.finding import Diagnosis, Finding, count, percent, share
from dcgan.reports.checkup.neighbours import NEIGHBOURS, Neighbours, squared_distances
from dcgan.reports.checkup.seen import Seen

FARTHER = 1.3  # times as far as its nearest neighbour, the nearest image of its own label
AT_ONCE = 2048  # images
ALLOWED = 0.002  # of the images. MNIST, whose few wrong labels are well known, has 0.03 %, Fashion-MNIST 0.09 %
TOLD = "this is told, but no alarm: carefully made sets have as many (MNIST 0.03 %, Fashion-MNIST 0.09 %)"


def check_labels(seen: Seen, found: Diagnosis, neighbours: Neighbours | None, disputed: np.ndarray) -> None:
    """Images whose ten nearest neighbours all have one other label, and whose own label is nowhere near.

    Leave-one-out cross-validation of a classifier by nearest neighbours, of which only the unanimous verdicts count.
    """
    if not seen.classes:
        found.not_asked["wrong label"] = "there are no labels"
    if not seen.classes or neighbours is None or neighbours.places.shape[1] < NEIGHBOURS:
        return
    labels = torch.from_numpy(seen.labels[neighbours.rows])
    said = labels[neighbours.places]
    unanimous = (said == said[:, :1]).all(1)
    against = unanimous & (said[:, 0] != labels) & ~torch.from_numpy(disputed[neighbours.rows])
    against &= torch.bincount(labels, minlength=len(seen.classes))[labels] > NEIGHBOURS
    places = against.nonzero()[:, 0]
    farther = _own_label_farther(seen.small, labels, neighbours, places)
    doubted = (farther > FARTHER).nonzero()[:, 0]
    doubted = doubted[farther[doubted].argsort(descending=True, stable=True)]
    rows = [int(neighbours.rows[place]) for place in places[doubted].tolist()]
    others = said[places[doubted], 0].tolist()
    wrong = float((said.mode(1).values != labels).double().mean())
    alarm = len(rows) > ALLOWED * len(labels)
    found.add(
        Finding(
            "wrong label",
            [
                (seen.name(i), f"labelled {seen.classes[seen.labels[i]]}, looks like {seen.classes[other]}")
                for i, other in zip(rows, others, strict=True)
            ],
            f"{count(len(rows))} ({share(len(rows), len(labels))}): all {NEIGHBOURS} neighbours have one other label. "
            f"A conditional generator learns to draw them as the wrong class (by neighbours, {percent(1 - wrong)} of "
            "all labels are told right)" + ("" if alarm else f"; {TOLD}"),
            "look at them, and move those that are wrong to the folder of their class",
            rows,
            alarm=alarm,
        )
    )


def _own_label_farther(small: np.ndarray, labels: Tensor, neighbours: Neighbours, places: Tensor) -> Tensor:
    """How many times as far as the nearest image is the nearest of the own label."""
    pixels = torch.from_numpy(small[neighbours.rows]).flatten(1)
    nearest = torch.full((len(places),), float("inf"), dtype=torch.float64)
    for label in labels[places].unique().tolist():
        chosen = (labels[places] == label).nonzero()[:, 0]
        for members in (labels == label).nonzero()[:, 0].split(AT_ONCE):
            own = squared_distances(pixels[places[chosen]].double(), pixels[members].double())  # exactly, by their size
            own.masked_fill_(places[chosen][:, None] == members, float("inf"))
            nearest[chosen] = torch.minimum(nearest[chosen], own.amin(1))
    return (nearest / neighbours.squared[places, 0].clamp_min(1)).sqrt()
