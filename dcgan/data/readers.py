"""From the files of a data set to its images and labels."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.registry import lookup
from dcgan.data.idx import read_idx
from dcgan.data.sources import prepare

Reader = Callable[..., tuple[Tensor, Tensor]]
"""(name, root, *, split) -> uint8 images (N, C, H, W) and int64 labels (N,) of the split ``train`` or ``test``."""


def read(name: str, root: Path, *, split: str) -> tuple[Tensor, Tensor]:
    """The official split of a data set, by the reader that its record in the catalogue names."""
    record = lookup(CATALOGUE, name, key="data.name")
    return lookup(READERS, record.reader, key=f"the reader of {name}")(name, root, split=split)


def read_idx_files(name: str, root: Path, *, split: str) -> tuple[Tensor, Tensor]:
    """A data set of MNIST's form: two IDX files for each split."""
    folder = prepare(name, root)
    prefix = {"train": "train", "test": "t10k"}[split]
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte").unsqueeze(1)
    return images, read_idx(folder / f"{prefix}-labels-idx1-ubyte").long()


def read_stacked(name: str, root: Path, *, split: str) -> tuple[Tensor, Tensor]:
    """Three random digits of MNIST's split as the channels of one image; the label is the number they make.

    Stacked-MNIST (Metz et al. 2017): 60,000 images to train on and 10,000 to test, always the same.
    """
    images, labels = read(CATALOGUE[name].made_of, root, split=split)
    num_images, seed = {"train": (60_000, 0), "test": (10_000, 1)}[split]
    chosen = torch.randint(len(images), (num_images, 3), generator=torch.Generator().manual_seed(seed))
    return images[chosen].squeeze(2), labels[chosen] @ torch.tensor([100, 10, 1])


READERS: dict[str, Reader] = {"idx": read_idx_files, "stacked": read_stacked}
