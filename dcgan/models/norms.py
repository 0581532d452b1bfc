"""Normalisation by name, and its conditional form."""

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from dcgan.models.conditioning import LabelEmbedding


def norm(kind: str, channels: int, *, dense: bool = False, num_classes: int = 0) -> list[nn.Module]:
    """The layers that normalise (N, channels, H, W), or with ``dense`` (N, channels): one, or none.

    Args:
        kind: ``batch`` (Ioffe and Szegedy 2015); ``layer``, over the whole of an image (Ba et al. 2016); ``group`` (Wu
            and He 2018), up to 8 groups of at least 4 channels; ``none`` and ``spectral``, which normalise no features.
        num_classes: above 0, gain and bias follow from the label.
    """
    if kind in ("none", "spectral"):
        return []
    affine = not num_classes
    plain: nn.Module
    if kind == "batch":
        plain = nn.BatchNorm1d(channels, affine=affine) if dense else nn.BatchNorm2d(channels, affine=affine)
    else:
        assert kind in ("layer", "group")
        groups = 1 if kind == "layer" else next(g for g in (8, 4, 2, 1) if channels % (4 * g) == 0 or g == 1)
        plain = nn.GroupNorm(groups, channels, affine=affine)
    return [ConditionalNorm(plain, channels, num_classes) if num_classes else plain]


class ConditionalNorm(nn.Module):
    """A gain and a bias for each class (Dumoulin et al. 2017, eq. 5), 1 and 0 at first: the plain normalisation."""

    def __init__(self, plain: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.plain = plain
        self.gain = LabelEmbedding(num_classes, channels)
        self.bias = LabelEmbedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(N, C, ...) and labels (N,), or shares (N, num_classes) -> (N, C, ...)."""
        normalised: Tensor = self.plain(features)
        shape = (*normalised.shape[:2], *(1 for _ in normalised.shape[2:]))
        gain, bias = (table(labels).view(shape).to(normalised.dtype) for table in (self.gain, self.bias))
        return normalised * gain + bias  # type: ignore[no-any-return]


class Labelled(nn.Sequential):
    """A sequence whose conditional layers are given the labels."""

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """As ``nn.Sequential``; labels (N,)."""
        for layer in self:
            features = layer(features, labels) if isinstance(layer, ConditionalNorm) else layer(features)
        return features


def normalise_spectrally(*parts: nn.Module) -> None:
    """Divide every weight matrix by its largest singular value (Miyato et al. 2018, eq. 8)."""
    for layer in [layer for part in parts for layer in part.modules()]:
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            parametrizations.spectral_norm(layer)
