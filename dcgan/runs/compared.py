"""What runs are compared by: the keys of their configurations that may make a difference. Imports no torch."""

import re
from collections.abc import Mapping
from typing import Any

from dcgan.config.rules import shown

# All other keys are what runs are compared by, those of a new option too. These say where things are, what is shown and
# kept, on which machine, or are arguments of Lightning's that have but one value here.
NOT_COMPARED = re.compile(
    r"name|resume|data\.(root|folder|memory)|metrics\.weights|(samples|checkpoints|logger)\..*"
    r"|trainer\.(gpus|accelerator|log_every_n_steps|enable_.*|profiler|plugins|default_root_dir|model_registry"
    r"|inference_mode|logger|callbacks|gradient_clip_.*|accumulate_grad_batches|overfit_batches"
    r"|use_distributed_sampler|limit_(val|test|predict)_batches|.*val_.*|barebones)"
)


def hyperparameters(config: Mapping[str, Any]) -> dict[str, str | int | float]:
    """What may differ between runs, flat; what TensorBoard has no type for as it is typed."""
    flat = flatten(config)
    compared = {key: _comparable(value) for key, value in flat.items() if not NOT_COMPARED.fullmatch(key)}
    acts = flat.get("health.name") == "act"  # else it only looks
    return compared if acts else {key: value for key, value in compared.items() if not key.startswith("health.")}


def _comparable(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else shown(value)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
