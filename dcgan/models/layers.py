"""What the networks are put together from."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.data.latents import draws_of_layers
from dcgan.models.fast import to_images, up

KAIMING_GAIN = (2 / (1 + 0.2**2)) ** 0.5  # keeps the variance through LeakyReLU(0.2)


def upsample(
    kind: str, inputs: int, outputs: int, *, bias: bool = True, images: bool = False, fast: bool
) -> list[nn.Module]:
    """Layers that double the resolution, (N, inputs, H, W) -> (N, outputs, 2 H, 2 W).

    Args:
        kind: ``transposed`` convolution (Radford et al. 2016); ``nearest`` neighbour, then a convolution (Odena et al.
            2016, against checkerboards); ``pixel_shuffle`` of a convolution's channels (Shi et al. 2016).
        images: the outputs are images.
        fast: in the CPU's quicker forms.
    """
    if kind == "transposed":
        return [(to_images if images else up)(inputs, outputs, bias=bias, fast=fast)]
    if kind == "nearest":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
    assert kind == "pixel_shuffle"
    return [nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=bias), nn.PixelShuffle(2)]


class Dropout(nn.Module):
    """Each activation is 0 with probability ``p``, the others 1 / (1 - p) times as large (Srivastava et al. 2014).

    In a training step which those are follows from seed and step, whatever number of processes share the batch.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        draws = draws_of_layers()
        if not self.training or draws is None:
            return F.dropout(features, self.p, self.training)
        shape = features.movedim(1, -1).shape  # drawn as channels-last features lie in memory
        kept = draws.uniform(len(features), *shape[1:]).movedim(-1, 1) >= self.p
        return features * kept.to(features.dtype).div_(1 - self.p)


class MinibatchStddev(nn.Module):
    """One more channel: how far the features spread over the batch, on average (Karras et al. 2018, section 3).

    Of each process's own part of the batch.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C + 1, ...)."""
        spread = features.float().var(0, unbiased=False).add(1e-8).sqrt().mean().to(features.dtype)
        return torch.cat([features, spread.expand_as(features[:, :1])], 1)


def initialise(network: nn.Module, kind: str) -> None:
    """Draw the weights of convolutions and dense layers anew.

    Args:
        kind: ``default``: torch's own stay; ``normal``: as Radford et al. 2016; ``orthogonal`` (Saxe et al. 2014);
            ``kaiming``: normal, for LeakyReLU(0.2) (He et al. 2015). All but the first set biases to 0.
    """
    if kind == "normal":
        network.apply(init_normal)
        return
    for layer in network.modules():
        if kind != "default" and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if kind == "orthogonal":
                nn.init.orthogonal_(layer.weight)
            else:
                assert kind == "kaiming"
                nn.init.normal_(layer.weight, 0.0, KAIMING_GAIN / _fan_in(layer) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> float:
    """How many inputs an output is the sum of; stride s leaves a transposed convolution's 1 / s^2 of its kernel."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight[:, 0].numel() / math.prod(layer.stride)
    return layer.weight[0].numel()


def init_normal(layer: nn.Module) -> None:
    """Weights ~ N(0, 0.02), batch norm gains ~ N(1, 0.02), biases 0 (Radford et al. 2016, section 4)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine:
        nn.init.normal_(layer.weight, 1.0, 0.02)
    if isinstance(getattr(layer, "bias", None), nn.Parameter):
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def stages(depth: int | None, resolution: int) -> int:
    """How often the resolution is halved: ``depth``, or if that is None by ``default_depth``."""
    depth = depth or default_depth(resolution)
    assert resolution % 2**depth == 0  # a configuration with another is refused
    return depth


def default_depth(resolution: int) -> int:
    """Halve while the map stays even and at least 4 wide, and twice in any case: 28 -> 7, 32 -> 4, 64 -> 4."""
    depth = 2
    while resolution % 2 ** (depth + 1) == 0 and resolution // 2 ** (depth + 1) >= 4:
        depth += 1
    return depth
