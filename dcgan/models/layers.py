"""What the networks are put together from."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}  # halves or doubles the resolution exactly
KAIMING_GAIN = (2 / (1 + 0.2**2)) ** 0.5  # keeps the variance through LeakyReLU(0.2)


def upsample(kind: str, inputs: int, outputs: int, *, bias: bool = True, images: bool = False) -> list[nn.Module]:
    """Layers that double the resolution, (N, inputs, H, W) -> (N, outputs, 2 H, 2 W).

    Args:
        kind: ``transposed`` convolution (Radford et al. 2016); ``nearest`` neighbour, then a convolution (Odena et al.
            2016, against checkerboards); ``pixel_shuffle`` of a convolution's channels (Shi et al. 2016).
        images: the outputs are images.
    """
    if kind == "transposed":
        return [(ToImages if images else Up)(inputs, outputs, bias=bias, **KERNEL)]
    if kind == "nearest":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
    assert kind == "pixel_shuffle"
    return [nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=bias), nn.PixelShuffle(2)]


class FromImages(nn.Conv2d):
    """A convolution with ``KERNEL`` that reads images. With so few channels it waits for memory most of the time.

    On a CPU it is computed as what it equals, a 2x2 convolution of stride 1 on 2x2 blocks of pixels (space to depth).
    ``fast = False`` computes it as it stands; experiments/speed/layers.py compares the two.
    """

    fast = True

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W), H and W even -> (N, out_channels, H / 2, W / 2)."""
        if not (self.fast and images.device.type == "cpu"):
            return super().forward(images)
        if torch.is_autocast_enabled("cpu"):  # as the convolution would, but before the blocks are copied
            images = images.to(torch.get_autocast_dtype("cpu"))
        blocks, kernel = F.pixel_unshuffle(F.pad(images, (1, 1, 1, 1)), 2), F.pixel_unshuffle(self.weight, 2)
        return F.conv2d(blocks, kernel.contiguous(memory_format=torch.channels_last), self.bias)


class ToImages(nn.ConvTranspose2d):
    """A transposed convolution with ``KERNEL`` that writes images.

    On a CPU it is computed as what it equals, a matrix product whose results are added up where they overlap (col2im),
    in float32. ``fast = False``: as it stands.
    """

    fast = True

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, in_channels, H, W) -> (N, C, 2 H, 2 W)."""
        if not (self.fast and features.device.type == "cpu"):
            return super().forward(features, output_size)
        n, channels, height, width = features.shape
        patches = features.permute(0, 2, 3, 1).reshape(-1, channels) @ self.weight.flatten(1)
        patches = patches.view(n, height * width, -1).transpose(1, 2)
        precision = torch.promote_types(patches.dtype, torch.float32)
        # As if of one image with n times the channels: image by image is slower.
        patches = patches.to(precision, memory_format=torch.contiguous_format).reshape(1, -1, height * width)
        images = F.fold(patches, (2 * height, 2 * width), **KERNEL)
        images = images.view(n, -1, 2 * height, 2 * width)
        return images if self.bias is None else images + self.bias.view(-1, 1, 1)


def weight_gradient(images: Tensor, halves: Tensor) -> Tensor:
    """Of a convolution with ``KERNEL`` from images (N, I, H, W) to halves (N, O, H / 2, W / 2): (O, I, 4, 4).

    As a dilated convolution in which images and channels change places, which oneDNN divides among threads better than
    the sum that it is. Two copies of the images, each along whole rows, are quicker than the one that changes all.
    """
    return F.conv2d(images.contiguous().transpose(0, 1), halves.transpose(0, 1), padding=1, dilation=2).transpose(0, 1)


class Strided(torch.autograd.Function):
    """A convolution with ``KERNEL``, or if ``up`` a transposed one, with ``weight_gradient``."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, up: bool) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H / 2, W / 2), or 2 H and 2 W."""
        ctx.save_for_backward(images, weight)
        ctx.up = up
        return (F.conv_transpose2d if up else F.conv2d)(images, weight, bias, stride=2, padding=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Made of operations that have derivatives themselves."""
        images, weight = ctx.saved_tensors
        of_images, of_weight, of_bias, _ = ctx.needs_input_grad
        transposed = F.conv2d if ctx.up else F.conv_transpose2d
        return (
            transposed(gradient, weight, stride=2, padding=1) if of_images else None,
            weight_gradient(*((gradient, images) if ctx.up else (images, gradient))) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


AMX = torch.cpu.get_capabilities().get("amx_bf16", False)  # matrix units in the processor


def _swaps(images: Tensor) -> bool:
    """In float32, on one thread, or with AMX, nothing is gained by ``weight_gradient``."""
    bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return images.device.type == "cpu" and bfloat16 and torch.get_num_threads() > 1 and not AMX


class Down(nn.Conv2d):
    """A convolution with ``KERNEL``. ``fast = False``: without ``weight_gradient``."""

    fast = True

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W), H and W even -> (N, out_channels, H / 2, W / 2)."""
        if not (self.fast and _swaps(images)):
            return super().forward(images)
        bias = None if self.bias is None else self.bias.bfloat16()
        return Strided.apply(images.bfloat16(), self.weight.bfloat16(), bias, False)  # type: ignore[no-any-return]


class Up(nn.ConvTranspose2d):
    """A transposed convolution with ``KERNEL``. ``fast = False``: without ``weight_gradient``."""

    fast = True

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, 2 H, 2 W)."""
        if not (self.fast and _swaps(images)):
            return super().forward(images, output_size)
        bias = None if self.bias is None else self.bias.bfloat16()
        return Strided.apply(images.bfloat16(), self.weight.bfloat16(), bias, True)  # type: ignore[no-any-return]


class Flatten(nn.Flatten):
    """Hands its gradient back in the layout that its input came in.

    A dense layer's gradient comes back in the default layout; beside channels-last activations the layer before takes
    2.3 ms for it instead of 0.3 (128 images of 128 x 7 x 7, bfloat16, two cores).
    """

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * H * W)."""
        if images.requires_grad and images.is_contiguous(memory_format=torch.channels_last):
            images.register_hook(_to_channels_last)
        return super().forward(images)


def _to_channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def dense(layer: nn.Linear, maps: Tensor) -> Tensor:
    """``layer(maps.flatten(1))`` for maps (N, C, H, W). Channels-last ones stay where they are: the weights move."""
    if maps.dim() != 4 or not maps.is_contiguous(memory_format=torch.channels_last):
        return layer(maps.flatten(1))  # type: ignore[no-any-return]
    weight = layer.weight.view(-1, *maps.shape[1:]).permute(0, 2, 3, 1).flatten(1)
    return F.linear(maps.permute(0, 2, 3, 1).flatten(1), weight, layer.bias)


class ToMaps(nn.Unflatten):
    """Maps in the layout of the convolutions that follow, each of which would else copy them, forward and backward."""

    channels_last = False

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__(1, (channels, height, width))

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels * height * width) -> (N, channels, height, width)."""
        maps: Tensor = super().forward(features)
        return maps.contiguous(memory_format=torch.channels_last) if self.channels_last else maps


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


def default_depth(resolution: int) -> int:
    """Halve while the map stays even and at least 4 wide, and twice in any case: 28 -> 7, 32 -> 4, 64 -> 4."""
    depth = 2
    while resolution % 2 ** (depth + 1) == 0 and resolution // 2 ** (depth + 1) >= 4:
        depth += 1
    return depth
