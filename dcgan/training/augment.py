"""What is done to real and fake images alike before the discriminator sees them. All of it is differentiable."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.latents import Draws

BACKGROUND = -1.0  # what moves or is cut in leaves black behind, as a digit's own background is


class Augment(Protocol):
    """Images (N, C, H, W) in, as many of the same shape out; ``step`` is the generator's."""

    def __call__(self, images: Tensor, *, draws: Draws, step: int) -> Tensor:
        """A new draw for every image."""
        ...


class DiffAugment:
    """Translation, cutout and brightness (Zhao et al. 2020), and flips where a mirrored image is still one.

    Args:
        translation: the farthest shift, as a share of the side.
        cutout: the side of the square that is blacked out, as a share of the image's.
        brightness: the most that is added to or taken from all pixels, where black to white is 2.
        flip: mirror every second image, left to right (Karras et al. 2020, x-flips). As half of the real images are
            shown mirrored, half of the generated ones become so: a mirrored 2 is not a digit.
    """

    def __init__(self, *, translation: float, cutout: float, brightness: float, flip: bool = False) -> None:
        self.translation, self.cutout, self.brightness, self.flip = translation, cutout, brightness, flip

    def __call__(self, images: Tensor, *, draws: Draws, step: int) -> Tensor:
        """Brightness, then translation, then cutout, as in the authors' code; before them the flip."""
        n = len(images)
        if self.flip:
            images = torch.where(draws.uniform(n, 1, 1, 1) < 0.5, images.flip(3), images)
        if self.brightness:
            images = images + (2 * draws.uniform(n, 1, 1, 1) - 1) * self.brightness
        if self.translation:
            images = translate(images, shifts=draws.uniform(n, 2), most=self.translation)
        if self.cutout:
            images = cut_out(images, centres=draws.uniform(n, 2), size=self.cutout)
        return images


def translate(images: Tensor, *, shifts: Tensor, most: float) -> Tensor:
    """Move each image by whole pixels, ``shifts`` (N, 2) in [0, 1) being from -``most`` to +``most`` of its sides."""
    n, _, height, width = images.shape
    limits = [round(height * most), round(width * most)]
    padded = F.pad(images, (limits[1], limits[1], limits[0], limits[0]), value=BACKGROUND)
    first = [(shifts[:, i] * (2 * limit + 1)).long() for i, limit in enumerate(limits)]
    rows = first[0][:, None] + torch.arange(height, device=images.device)
    columns = first[1][:, None] + torch.arange(width, device=images.device)
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, *, centres: Tensor, size: float) -> Tensor:
    """Black out a square of ``size`` of each side about ``centres`` (N, 2) in [0, 1), which may stick out."""
    inside = []
    for i, side in enumerate(images.shape[2:]):
        cut = round(side * size)
        first = (centres[:, i] * (side + 1 - cut % 2)).long() - cut // 2
        pixels = torch.arange(side, device=images.device)
        inside.append((pixels >= first[:, None]) & (pixels < first[:, None] + cut))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, BACKGROUND)


class InstanceNoise:
    """Gaussian noise that fades (Sonderby et al. 2017; Arjovsky and Bottou 2017, section 3).

    Args:
        std: at the first step, where black to white is 2.
        decay_steps: generator steps until it is 0, linearly.
    """

    def __init__(self, *, std: float, decay_steps: int) -> None:
        self.std, self.decay_steps = std, decay_steps

    def __call__(self, images: Tensor, *, draws: Draws, step: int) -> Tensor:
        """Images themselves once the noise is gone."""
        std = self.std * max(0.0, 1 - step / self.decay_steps)
        return images + std * draws.normal(*images.shape) if std else images


AUGMENTS: dict[str, type[Augment]] = {"diffaugment": DiffAugment, "noise": InstanceNoise}
