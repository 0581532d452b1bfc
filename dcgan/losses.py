"""What the two networks minimise, as functions of the discriminator's logits.

To add a loss: write the class, add it to ``LOSSES``, and add ``conf/loss/<name>.yaml`` with its name.
"""

from collections.abc import Mapping
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class Loss(Protocol):
    """Stateless: logits (N,) in, a scalar out.

    Both sides see the logits of both kinds of image; the generator's sees real ones only where ``relativistic`` says
    that it looks at them (they cost a pass of the discriminator), else an empty tensor.
    """

    relativistic: bool

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """The loss that the discriminator minimises."""
        ...

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """The loss that the generator minimises."""
        ...


class NonSaturating:
    """Binary cross-entropy on logits; the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    relativistic = False

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z))), with D = sigmoid(logit)."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(G(z)): strong gradients even where the discriminator is sure."""
        return F.softplus(-fake).mean()


LOSSES: Mapping[str, type[Loss]] = {"non_saturating": NonSaturating}
