"""Deep convolutional GANs on MNIST: train, compare and trust the numbers.

From Python, as in experiments/quickstart.ipynb: ``dcgan.train([...])``, ``dcgan.evaluate_samples(images)``, and
``dcgan.load_generator(run).sample(n=64, seed=3)``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcgan import train
    from dcgan.evaluate import evaluate_samples
    from dcgan.runs.load import load_generator

__version__ = "0.2.0"
__all__ = ["__version__", "evaluate_samples", "load_generator", "train"]
HOMES = {"load_generator": "dcgan.runs.load", "evaluate_samples": "dcgan.evaluate"}


def __getattr__(name: str) -> Any:
    """Import torch only where something is drawn: ``--help`` and mistakes answer without it."""
    if name == "train":
        return import_module("dcgan.train")  # which is called
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'dcgan' has no attribute {name!r}")
