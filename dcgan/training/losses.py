"""What the two networks minimise, as functions of the discriminator's logits.

To add a loss: write the class, add it to ``LOSSES``, and add ``conf/loss/<name>.yaml`` with its name.
"""

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
    """Binary cross-entropy on logits; the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3).

    Args:
        label_smoothing: how far below 1 the target of real images lies; fake ones keep 0 (Salimans et al. 2016, 3.4).
    """

    relativistic = False

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z))), with D = sigmoid(logit)."""
        return (F.softplus(-real) + self.label_smoothing * real).mean() + F.softplus(fake).mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(G(z)): strong gradients even where the discriminator is sure."""
        return F.softplus(-fake).mean()


class Minimax(NonSaturating):
    """Goodfellow et al. 2014, eq. 1: what the non-saturating loss was made to replace."""

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """log(1 - D(G(z))), negative: next to no gradient where the discriminator is sure."""
        return -F.softplus(fake).mean()


class LeastSquares:
    """Mao et al. 2017, eq. 9: logits drawn to 1 for real and 0 for fake images, with the factor 1/2."""

    relativistic = False

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2."""
        return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """(D(G(z)) - 1)^2 / 2."""
        return 0.5 * (fake - 1).square().mean()


class Hinge:
    """Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17: no gradient from images judged right by a margin of 1."""

    relativistic = False

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))."""
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-D(G(z))."""
        return -fake.mean()


class Wasserstein:
    """Arjovsky et al. 2017, eq. 2 and 3: needs a critic that is kept Lipschitz, by clipped weights or a penalty."""

    relativistic = False

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """D(G(z)) - D(x)."""
        return fake.mean() - real.mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-D(G(z))."""
        return -fake.mean()


class Relativistic:
    """Jolicoeur-Martineau 2019, section 4; Huang et al. 2024 (R3GAN), eq. 2: each real image paired with one fake."""

    relativistic = True

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log sigmoid(D(x) - D(G(z)))."""
        return F.softplus(fake - real).mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log sigmoid(D(G(z)) - D(x))."""
        return F.softplus(real - fake).mean()


class RelativisticAverage:
    """Jolicoeur-Martineau 2019, section 5: each image against the mean logit of the other kind, in its own process."""

    relativistic = True

    def discriminator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """-log sigmoid(D(x) - mean D(G(z))) - log(1 - sigmoid(D(G(z)) - mean D(x)))."""
        return F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        """The same with real and fake exchanged."""
        return self.discriminator(real=fake, fake=real)


LOSSES: dict[str, type[Loss]] = {
    "non_saturating": NonSaturating,
    "minimax": Minimax,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
    "relativistic_average": RelativisticAverage,
}
