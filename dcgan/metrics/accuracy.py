"""Classification accuracy score (CAS): what a classifier learns from samples alone."""

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from dcgan.features.classifier import Classifier, accuracy, training

EPOCHS = 10
HELD_OUT = 0.1


class AccuracyScore(NamedTuple):
    """Shares in [0, 1]."""

    real: float  # CAS: of the real test images that are classified right
    held_out: float  # of the held-out samples, on which the classifier was chosen


def accuracy_score(
    images: Tensor, labels: Tensor, *, test_images: Tensor, test_labels: Tensor, seed: int, epochs: int = EPOCHS
) -> AccuracyScore:
    """CAS (Ravuri and Vinyals 2019): train on labelled samples, uint8 (N, 1, 28, 28) and (N,), test on real images.

    The classifier is the one behind ``digits``; of its epochs the one is taken that does best on a tenth of the samples
    held out. No real image takes part in training or choosing.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    num_held_out = max(1, int(len(images) * HELD_OUT))
    held_out, train = order[:num_held_out], order[num_held_out:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier()
        best, state = -1.0, deepcopy(classifier.state_dict())
        for _ in training(classifier, images[train], labels[train], epochs=epochs, seed=seed):
            now = accuracy(classifier, images[held_out], labels[held_out])
            if now > best:
                best, state = now, deepcopy(classifier.state_dict())
    classifier.load_state_dict(state)
    return AccuracyScore(real=accuracy(classifier, test_images, test_labels), held_out=best)
