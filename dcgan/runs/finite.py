"""Whether there is NaN or infinity in what is kept."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def not_finite(tensors: Mapping[str, Any]) -> str | None:
    """The name of the first floating tensor that holds NaN or infinity, if one does: one synchronisation a device.

    An optimiser may keep its count of steps on the CPU, and the rest where the weights are.
    """
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
            by_device.setdefault(value.device, {})[name] = value.detach()
    for floating in by_device.values():
        largest = torch._foreach_norm([*floating.values()], float("inf"))
        found = (~torch.stack([norm.isfinite() for norm in largest])).nonzero()
        if len(found):
            return [*floating][int(found[0])]
    return None


def tensors_of(values: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested containers, by its dotted name."""
    if isinstance(values, Tensor):
        yield prefix, values
    elif isinstance(values, Mapping | list | tuple):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in items:
            yield from tensors_of(value, f"{prefix}.{key}" if prefix else str(key))
