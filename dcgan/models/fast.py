"""Layers that halve or double the resolution, and the CPU's quicker forms of the same functions.

With ``fast=False`` every layer is torch's own. What each form gains, on which processor: experiments/speed.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}  # halves or doubles the resolution exactly


def from_images(inputs: int, outputs: int, *, bias: bool = True, fast: bool) -> nn.Conv2d:
    """The convolution that reads images: (N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
    return (FromImages if fast else nn.Conv2d)(inputs, outputs, bias=bias, **KERNEL)


def down(inputs: int, outputs: int, *, bias: bool = True, fast: bool) -> nn.Conv2d:
    """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
    return (Down if fast else nn.Conv2d)(inputs, outputs, bias=bias, **KERNEL)


def up(inputs: int, outputs: int, *, bias: bool = True, fast: bool) -> nn.ConvTranspose2d:
    """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return (Up if fast else nn.ConvTranspose2d)(inputs, outputs, bias=bias, **KERNEL)


def to_images(inputs: int, outputs: int, *, bias: bool = True, fast: bool) -> nn.ConvTranspose2d:
    """The transposed convolution that writes images: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return (ToImages if fast else nn.ConvTranspose2d)(inputs, outputs, bias=bias, **KERNEL)


def flatten(*, fast: bool) -> nn.Flatten:
    """(N, C, H, W) -> (N, C * H * W)."""
    return Flatten() if fast else nn.Flatten()


def memory_format(*, fast: bool) -> torch.memory_format:
    """The layout of networks and images."""
    return torch.channels_last if fast else torch.contiguous_format


class FromImages(nn.Conv2d):
    """With so few channels a convolution waits for memory most of the time.

    On a CPU it is computed as what it equals, a 2x2 convolution of stride 1 on 2x2 blocks of pixels (space to depth).
    """

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W), H and W even -> (N, out_channels, H / 2, W / 2)."""
        if images.device.type != "cpu":
            return super().forward(images)
        if torch.is_autocast_enabled("cpu"):  # as the convolution would, but before the blocks are copied
            images = images.to(torch.get_autocast_dtype("cpu"))
        blocks, kernel = F.pixel_unshuffle(F.pad(images, (1, 1, 1, 1)), 2), F.pixel_unshuffle(self.weight, 2)
        return F.conv2d(blocks, kernel.contiguous(memory_format=torch.channels_last), self.bias)


class ToImages(nn.ConvTranspose2d):
    """On a CPU computed as what it equals, a matrix product whose results are added up where they overlap (col2im).

    The sum is in float32.
    """

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, in_channels, H, W) -> (N, C, 2 H, 2 W)."""
        if features.device.type != "cpu":
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
    """With ``weight_gradient`` where that pays."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W), H and W even -> (N, out_channels, H / 2, W / 2)."""
        if not _swaps(images):
            return super().forward(images)
        bias = None if self.bias is None else self.bias.bfloat16()
        return Strided.apply(images.bfloat16(), self.weight.bfloat16(), bias, False)  # type: ignore[no-any-return]


class Up(nn.ConvTranspose2d):
    """With ``weight_gradient`` where that pays."""

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, 2 H, 2 W)."""
        if not _swaps(images):
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
