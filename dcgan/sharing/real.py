"""The data that a run was trained on, from where the command line says that it is."""

from typing import Protocol

from dcgan.config.schema import DataRoot, TrainConfig
from dcgan.data.module import ImageData
from dcgan.training.build import build_data, moved, with_facts


class Located(Protocol):
    """A configuration that says where data are."""

    data: DataRoot


def real_data(config: Located, trained: TrainConfig) -> ImageData:
    """The images of a run, as it saw them. Nothing in the run chooses a path on this machine.

    Raises:
        ValueError, OSError: they are not there, or are others.
    """
    trained.data = moved(trained.data, root=config.data.root, folder=config.data.folder)
    return build_data(with_facts(trained)[0])


def class_shares(config: Located, trained: TrainConfig, *, num_classes: int) -> list[float]:
    """How much of the training data each class has; they add up to 1."""
    labels = real_data(config, trained).split("train").labels
    shares: list[float] = (labels.bincount(minlength=num_classes).double() / len(labels)).tolist()
    return shares
