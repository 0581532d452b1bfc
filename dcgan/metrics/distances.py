"""All distances between two sets of vectors, a few rows at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 2_000_000  # distances at a time: 16 MB in float64


def distance_blocks(rows: Tensor, columns: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances from ``rows`` (N, F) to ``columns`` (M, F): which rows, and their (n, M).

    The block is overwritten by the next one: there is never a whole N x M matrix.
    """
    squares = columns.square().sum(1)
    height = max(1, BLOCK // len(columns))
    buffer = columns.new_empty(height, len(columns))
    for start in range(0, len(rows), height):
        part = rows[start : start + height]
        block = torch.addmm(squares, part, columns.T, alpha=-2, out=buffer[: len(part)])
        yield slice(start, start + len(part)), block.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
