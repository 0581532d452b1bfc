"""The images that look most like each image, without comparing all with all.

What is compared are whole numbers, small enough that float32 adds them up without rounding: the answer is the same on
any number of threads.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 10
COARSE = 8  # pixels a side of what images are searched by
LEVELS = 128  # of its values: 2 * 3 * 8^2 * 127^2 is below 2^24
CELL = 256  # images in each of the groups that are compared with each other, about
PROBED = 16  # groups that are compared with each: up to CELL * PROBED images, all with all
AT_ONCE = 2**20  # numbers, which a cache holds


class Neighbours(NamedTuple):
    """Of M images; places are among these, not among all."""

    rows: np.ndarray  # int64 (M,), which images
    coarse: Tensor  # float32 (M, F) of whole numbers
    places: Tensor  # int64 (M, K), the nearest first
    squared: Tensor  # int64 (M, K), of the small squares' pixels


def coarse_features(small: np.ndarray) -> Tensor:
    """Means over patches of uint8 (N, C, S, S), as whole numbers below ``LEVELS``: float32 (N, C * side * side)."""
    pooled = [F.adaptive_avg_pool2d(torch.from_numpy(part).float(), COARSE) for part in np.array_split(small, 16)]
    return torch.cat(pooled).mul_(LEVELS / 256).floor_().flatten(1)


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """(N, M) of whole numbers, exactly."""
    squares = second.square().sum(1)
    return torch.addmm(squares.expand(len(first), -1), first, second.T, alpha=-2).add_(first.square().sum(1)[:, None])


def find_neighbours(small: np.ndarray, rows: np.ndarray, marks: np.ndarray) -> Neighbours:
    """The nearest of the images ``rows`` to each of them, nearly always: far ones may be missed, near ones are not.

    Args:
        small: uint8 (N, C, S, S) of all images.
        marks: uint64 (N,), by which the middles of the groups are chosen, whatever the order of the files.
    """
    coarse = coarse_features(small[rows])
    most = min(NEIGHBOURS, len(rows) - 1)
    leaders = coarse[torch.from_numpy(np.argsort(marks[rows], kind="stable")[::CELL].copy())]
    own = torch.cat([squared_distances(part, leaders).argmin(1) for part in coarse.split(4096)])
    members = own.argsort(stable=True).split(torch.bincount(own, minlength=len(leaders)).tolist())
    near = squared_distances(leaders, leaders).argsort(dim=1, stable=True)[:, :PROBED]
    places = torch.arange(len(rows))[:, None].repeat(1, most)  # itself, where there are too few in the groups
    for group, probed in zip(members, near, strict=True):
        there = torch.cat([members[other] for other in probed.tolist()]) if len(group) else group
        wanted = min(most, len(there) - 1)
        for part in group.split(max(1, AT_ONCE // max(1, len(there)))) if wanted > 0 else ():
            distances = squared_distances(coarse[part], coarse[there])
            distances.masked_fill_(part[:, None] == there, float("inf"))
            places[part, :wanted] = there[distances.topk(wanted, largest=False).indices]
    return Neighbours(rows, coarse, *_finely_sorted(small, rows, places))


def _finely_sorted(small: np.ndarray, rows: np.ndarray, places: Tensor) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(small[rows]).flatten(1).short()
    itself = torch.arange(len(rows))[:, None]
    squared = []
    for part in itself[:, 0].split(max(1, AT_ONCE // max(1, pixels.shape[1] * places.shape[1]))):
        difference = (pixels[part][:, None] - pixels[places[part]]).int()
        squared.append(difference.mul_(difference).sum(2, dtype=torch.int32))
    return _sorted(places, torch.cat(squared).long().masked_fill_(places == itself, torch.iinfo(torch.int64).max))


def _sorted(places: Tensor, squared: Tensor) -> tuple[Tensor, Tensor]:
    """By distance, and equal ones by place."""
    order = places.argsort(dim=1, stable=True)
    places, squared = places.gather(1, order), squared.gather(1, order)
    order = squared.argsort(dim=1, stable=True)
    return places.gather(1, order), squared.gather(1, order)
