"""Whether there is NaN or infinity in what is kept."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def not_finite(tensors: Mapping[str, Any]) -> str | None:
    """The name of the first floating tensor that holds NaN or infinity, if one does: one synchronisation."""
    floating = {
        name: value.detach()
        for name, value in tensors.items()
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel()
    }
    if not floating:
        return None
    largest = torch.stack([norm.double() for norm in torch._foreach_norm([*floating.values()], float("inf"))])
    found = (~largest.isfinite()).nonzero()
    return [*floating][int(found[0])] if len(found) else None


def tensors_of(values: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested containers, by its dotted name."""
    if isinstance(values, Tensor):
        yield prefix, values
    elif isinstance(values, Mapping | list | tuple):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in items:
            yield from tensors_of(value, f"{prefix}.{key}" if prefix else str(key))
