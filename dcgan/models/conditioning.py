"""How labels enter the networks. Conditional normalisation is in norms.py."""

import torch
from torch import Tensor, nn

from dcgan.models.base import Verdict

EMBEDDING_DIM = 50


class LabelEmbedding(nn.Embedding):
    """A learnt vector for each class; between classes, the mixture of theirs.

    All that a generator knows of a label it looks up in such tables, so this is exactly a mixture of labels: as
    Dumoulin et al. 2017 (section 3.3) blend the gains and biases of two styles.
    """

    def forward(self, labels: Tensor) -> Tensor:
        """Labels int64 (N,), or the shares of each class (N, num_classes) that add up to 1 -> (N, embedding_dim)."""
        return labels @ self.weight if labels.is_floating_point() else super().forward(labels)


class LabelledLatents(nn.Module):
    """Latents with an embedding of the class beside them (Mirza and Osindero 2014)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.embedding = LabelEmbedding(num_classes, EMBEDDING_DIM)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """(N, latent_dim) and labels (N,), or shares (N, num_classes) -> (N, latent_dim + 50)."""
        return torch.cat([latents, self.embedding(labels)], 1)


class LabelledImages(nn.Module):
    """Images with a learnt plane of the class as one more channel (Mirza and Osindero 2014)."""

    def __init__(self, num_classes: int, *, resolution: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, resolution**2)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(N, C, H, W) and labels (N,) -> (N, C + 1, H, W)."""
        return torch.cat([images, self.embedding(labels).view_as(images[:, :1])], 1)


class Head(nn.Module):
    """The last layer of a discriminator: features (N, F) -> Verdict.

    Args:
        conditioning: ``projection`` adds <embedding of the label, features> to the logit (Miyato and Koyama 2018,
            eq. 3); ``auxiliary`` says which class the image is of beside how real it is (Odena et al. 2017).
    """

    def __init__(self, num_features: int, *, num_classes: int = 0, conditioning: str | None = None) -> None:
        super().__init__()
        self.logit = nn.Linear(num_features, 1)
        self.embedding = nn.Embedding(num_classes, num_features) if conditioning == "projection" else None
        self.class_logits = nn.Linear(num_features, num_classes) if conditioning == "auxiliary" else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)  # torch's N(0, 1) would drown the logit

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits (N,), and class logits (N, num_classes) of an auxiliary classifier."""
        logits = self.logit(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return Verdict(logits, None if self.class_logits is None else self.class_logits(features))
