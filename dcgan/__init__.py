"""Deep convolutional GANs on MNIST: train, compare and trust the numbers.

``load_generator(run).sample(n=64, seed=3)`` draws from a run folder.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcgan.runs.load import load_generator

__version__ = "0.2.0"
__all__ = ["__version__", "load_generator"]


def __getattr__(name: str) -> Any:
    """Import torch only where something is drawn: ``--help`` and mistakes answer without it."""
    if name == "load_generator":
        from dcgan.runs.load import load_generator

        return load_generator
    raise AttributeError(f"module 'dcgan' has no attribute {name!r}")
