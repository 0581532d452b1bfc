"""What is added to the discriminator's loss so that its gradient with respect to images stays in bounds.

All are computed in float32 at least and can be differentiated twice. ``gamma`` is each paper's own factor. ``real`` and
``fake`` are images (N, C, H, W); gradients are taken of each logit with respect to the images it judges. That is what
autograd gives where images do not influence each other's logits: batch norm is refused (``config/combinations.py``);
minibatch standard deviation makes a small difference.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dcgan.data.latents import Draws
from dcgan.models.base import Discriminator, Verdict
from dcgan.models.precision import full_float32

Penalty = Callable[..., Tensor]
"""(discriminator, *, real, fake, labels, draws) -> a scalar, to be multiplied by ``gamma``; fakes carry no graph."""


class Judged:
    """A discriminator that gives the verdict which is there already where it is asked for the very same images.

    Saves a pass over them; they must have been made ``differentiable`` before they were judged.
    """

    def __init__(self, discriminator: Discriminator, *verdicts: tuple[Tensor, Verdict]) -> None:
        self.discriminator, self.verdicts, self.pack = discriminator, verdicts, discriminator.pack

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        """As the discriminator."""
        there = [verdict for judged, verdict in self.verdicts if judged is images]
        return there[0] if there else self.discriminator(images, labels)


def differentiable(images: Tensor) -> Tensor:
    """The same images as a leaf, in float32 at least."""
    return images.detach().to(torch.promote_types(images.dtype, torch.float32)).requires_grad_()


def r1(discriminator: Discriminator, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
    """1/2 E |grad D(x)|^2 over real images (Mescheder et al. 2018, eq. 9): with a linear critic <w, x>, |w|^2 / 2."""
    return 0.5 * gradients(discriminator, real, labels).square().sum(1).mean()


def r2(discriminator: Discriminator, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
    """1/2 E |grad D(G(z))|^2 over generated images (Mescheder et al. 2018, eq. 10)."""
    return 0.5 * gradients(discriminator, fake, labels).square().sum(1).mean()


def r1_r2(discriminator: Discriminator, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
    """The sum of both, as in R3GAN (Huang et al. 2024, section 2)."""
    both = (penalty(discriminator, real=real, fake=fake, labels=labels, draws=draws) for penalty in (r1, r2))
    return sum(both, real.new_zeros(()))


def wgan_gp(discriminator: Discriminator, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
    """E (|grad D(x)| - 1)^2 between a real and a fake image, x uniform on the line (Gulrajani et al. 2017, eq. 3)."""
    pack = discriminator.pack
    share = draws.uniform(len(real) // pack, 1, 1, 1).repeat_interleave(pack, 0)
    return _slope_of_one(discriminator, share * real + (1 - share) * fake, labels)


def dragan(discriminator: Discriminator, *, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
    """E (|grad D(x)| - 1)^2 around real images (Kodali et al. 2017, section 2.3).

    The noise is uniform, in +- half the standard deviation of the pixels of this process's batch, and the result is
    kept within the range of images, as in the code of "Are GANs Created Equal?" (Lucic et al. 2018).
    """
    noise = real.std() * (draws.uniform(*real.shape) - 0.5)
    return _slope_of_one(discriminator, (real + noise).clamp(-1, 1), labels)


def _slope_of_one(discriminator: Discriminator, images: Tensor, labels: Tensor | None) -> Tensor:
    norms = gradients(discriminator, images, labels).square().sum(1).add(1e-12).sqrt()  # the root has no slope at 0
    return (norms - 1).square().mean()


def gradients(discriminator: Discriminator, images: Tensor, labels: Tensor | None) -> Tensor:
    """The gradient of each logit (N,) with respect to what it judges, flat (N, D), itself differentiable.

    Of images that are ``differentiable`` already it is that of what the discriminator says of these very tensors.
    """
    with full_float32(images.device.type):
        images = images if images.is_leaf and images.requires_grad else differentiable(images)
        logits = discriminator(images, labels).logits
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.reshape(len(logits), -1)  # of a pack of images, all at once


# Penalties that ask for the slope at the very images that the loss is of: real ones (0), fake ones (1).
SLOPE_AT: dict[Penalty | None, tuple[int, ...]] = {r1: (0,), r2: (1,), r1_r2: (0, 1)}
PENALTIES: dict[str, Penalty] = {"r1": r1, "r2": r2, "r1_r2": r1_r2, "wgan_gp": wgan_gp, "dragan": dragan}
