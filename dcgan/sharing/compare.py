"""``mode=compare``: samples beside the training images nearest to them, and unseen real images beside theirs."""

from pathlib import Path

import torch
from torch import Tensor

from dcgan.config.schema import GenerateConfig
from dcgan.data.images import tile
from dcgan.data.module import InMemory
from dcgan.metrics.copies import Neighbours, nearest
from dcgan.sharing.asked import refuse_more
from dcgan.sharing.draw import drawing
from dcgan.sharing.real import real_data
from dcgan.sharing.weights import asked_for
from dcgan.sharing.writing import enlarged, labelled, side_by_side, write_png

MOST = 100  # samples of one picture
HIGH = 64  # pixels of an image


def write(config: GenerateConfig, out: Path) -> None:
    """Draw, look for the nearest, and write the picture to ``out``."""
    loaded = asked_for(config)
    asked = drawing(config, loaded.generator, loaded.config)
    refuse_more(config, len(asked), most=MOST)
    data = real_data(config, loaded.config)
    train, test = data.split("train").images, data.split("test")
    images = asked.images(loaded.generator)
    unseen = of_classes(test, asked.labels(0, len(asked)), n=len(images))
    found = [nearest(some, train) for some in (images, unseen)]
    pairs = (("generated", images, found[0]), ("unseen", unseen, found[1]))
    pictures = [_pairs(some, train[near.indices[:, 0]], near, name=name) for name, some, near in pairs]
    words = in_words(*found, num_train=len(train))
    write_png(labelled(side_by_side(*pictures), below=words), out)


def of_classes(real: InMemory, labels: Tensor | None, *, n: int) -> Tensor:
    """``n`` real images, from all over the split; of the classes ``labels`` (n,), where there are any."""
    if labels is None:
        return real.images[torch.linspace(0, len(real.images) - 1, n).long()]
    chosen = []
    for i, label in enumerate(labels):
        those = (real.labels == label).nonzero().squeeze(1)
        before = int((labels[:i] == label).sum())
        chosen.append(those[before % len(those)] if len(those) else torch.tensor(i % len(real.images)))
    return real.images[torch.stack(chosen)]


def in_words(samples: Neighbours, real: Neighbours, *, num_train: int) -> str:
    """What there is to see, for who has not read the code."""
    medians = [float(near.distances[:, 0].median()) for near in (samples, real)]
    return (
        f"Beside each image the nearest of {num_train:,} training images, and how far it is (Euclidean, pixels from 0 "
        f"to 1). Left: samples, median {medians[0]:.2f}. Right: real images that were not trained on, "
        f"median {medians[1]:.2f}."
    )


def _pairs(images: Tensor, near: Tensor, found: Neighbours, *, name: str) -> Tensor:
    both = torch.stack([images, near], 1).flatten(0, 1)
    distances = [f"{distance:.2f}" for distance in found.distances[:, 0].tolist()]
    return labelled(tile(enlarged(both, to=HIGH), columns=2), rows=distances, columns=(name, "nearest"))
