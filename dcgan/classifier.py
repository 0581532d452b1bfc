"""The small digit classifier whose features measure generators (the space ``digits``)."""

import torch.nn.functional as F
from torch import Tensor, nn


class DigitClassifier(nn.Module):
    """A 0.23 M parameter CNN for 28x28 grey images in [-1, 1]; its 128 penultimate activations are the features."""

    num_features = 128
    num_classes = 10

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(1, 32, stride=1),
            *_block(32, 32, stride=2),
            *_block(32, 64, stride=1),
            *_block(64, 64, stride=2),
            *_block(64, 64, stride=2),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, self.num_features, bias=False),
            nn.BatchNorm1d(self.num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(self.num_features, self.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, 1, 28, 28) in [-1, 1] -> (N, 128), non-negative."""
        return self.body(images)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, 28, 28) in [-1, 1] -> logits (N, 10)."""
        return self.head(F.dropout(self.features(images), 0.3, self.training))  # type: ignore[no-any-return]


def _block(inputs: int, outputs: int, *, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
