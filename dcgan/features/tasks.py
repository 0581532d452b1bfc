"""What judges of one's own images learn: the classes where there are labels, else which way up and which is which."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.images import to_float
from dcgan.features.classifier import Classifier, accuracy
from dcgan.features.residual import ResidualClassifier

Network = Classifier | ResidualClassifier
TURNS = 4  # by 0, 90, 180 and 270 degrees
PROJECTED = 64
TEMPERATURE = 0.2
PAIRED = 128  # test images among which one is to be found again
SHIFT = 14  # a shift is by this part of the side at most, 2 pixels of 28, in whole pixels: others would blur


class Task(Protocol):
    """Something to learn, which a network has an output for each answer of."""

    num_classes: int
    views: int  # of each image in a step

    def loss(self, network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Of float images (N, C, H, W) in [-1, 1]."""
        ...

    def score(self, network: Network, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Shares of unseen uint8 images (N, C, H, W) that are answered rightly, and by chance."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """What is learned beside the network."""
        ...


class Classes:
    """Which class an image is of, wherever it stands. Never mirrored: most digits would be none."""

    views = 1

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def loss(self, network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(network(shifted(images, generator)), labels)

    def score(self, network: Network, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Chance is to say the commonest class always."""
        commonest = int(torch.bincount(labels).amax()) / len(labels)
        return {"accuracy": accuracy(network, images, labels), "chance": commonest}

    def parameters(self) -> list[nn.Parameter]:
        """None."""
        return []


class TurnsAndPairs:
    """By how much an image is turned (Gidaris et al. 2018), and which other is the same one, shifted otherwise.

    The second is InfoNCE (van den Oord et al. 2018, eq. 4) in the form of SimCLR (Chen et al. 2020, eq. 1), with shifts
    alone for augmentation. It sees a projection that is thrown away, so that features need not forget where things are.
    """

    num_classes = TURNS
    views = 2

    def __init__(self, num_features: int) -> None:
        self.projection = nn.Linear(num_features, PROJECTED)

    def loss(self, network: Network, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the turns, and of the pairs."""
        turns = torch.randint(TURNS, (len(images),), generator=generator)
        images = turned(images, turns)
        features = network.features(torch.cat([shifted(images, generator), shifted(images, generator)]))
        logits = network.head(F.dropout(features, 0.3, training=network.training))
        return F.cross_entropy(logits, turns.repeat(2)) + self._pairs(features)

    def _pairs(self, features: Tensor) -> Tensor:
        likeness = self._likeness(features).fill_diagonal_(-torch.inf)
        return F.cross_entropy(likeness, torch.arange(len(features)).roll(len(features) // 2))

    def _likeness(self, features: Tensor) -> Tensor:
        projected = F.normalize(self.projection(features), dim=1)
        return projected @ projected.T / TEMPERATURE

    @torch.inference_mode()
    def score(self, network: Network, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Of the turns; and how many of 128 images are found again among them, shifted."""
        every = [accuracy(network, images.rot90(k, (2, 3)), labels.new_full((len(images),), k)) for k in range(TURNS)]
        some, generator = to_float(images[:PAIRED]), torch.Generator().manual_seed(0)
        views = torch.cat([shifted(some, generator), shifted(some, generator)])
        found = self._likeness(network.features(views)).fill_diagonal_(-torch.inf).argmax(1)
        pairs = float((found == torch.arange(len(views)).roll(len(some))).double().mean())
        return {"accuracy": sum(every) / TURNS, "chance": 1 / TURNS, "pairs": pairs}

    def parameters(self) -> list[nn.Parameter]:
        """The projection's."""
        return list(self.projection.parameters())


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Square images (N, C, S, S), each by a number (N,) of quarter turns."""
    found = images.clone()
    for k in range(1, TURNS):
        found[turns == k] = images[turns == k].rot90(k, (2, 3))
    return found


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each of the square images (N, C, S, S) by its own whole number of pixels; what comes in repeats the edge."""
    number, _, side, _ = images.shape
    most = max(1, side // SHIFT)
    padded = F.pad(images, (most,) * 4, mode="replicate")
    rows, columns = torch.randint(2 * most + 1, (2, number, 1), generator=generator) + torch.arange(side)
    one = torch.arange(number)[:, None, None]
    return padded[one, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
