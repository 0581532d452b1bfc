"""From an image's features to the noise that draws it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dcgan.latents import Draws

HIDDEN = 256
START = -2.0  # log variance: codes that say something from the first step on


class Codes(NamedTuple):
    """Of N images: a normal distribution over the latents of each."""

    means: Tensor  # (N, latent_dim)
    log_variances: Tensor

    def sample(self, draws: Draws) -> Tensor:
        """One latent (N, latent_dim) of each, with a gradient (Kingma and Welling 2014, section 2.4)."""
        return self.means + (0.5 * self.log_variances).exp() * draws.normal(*self.means.shape)

    def divergence(self) -> Tensor:
        """KL from the prior N(0, 1), in nats, mean over images (Kingma and Welling 2014, appendix B)."""
        each = self.means.square() + self.log_variances.exp() - self.log_variances - 1
        return 0.5 * each.sum(1).mean()


class Encoder(nn.Module):
    """What the discriminator's last layer is given (N, ...) -> codes; the encoder of VAE/GAN (Larsen et al. 2016).

    It stands on the discriminator's layers, which it does not train. Unlike theirs, it also learns from the verdict on
    what is drawn from its codes.
    """

    def __init__(self, num_features: int, *, latent_dim: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.LayerNorm(num_features),
            nn.Linear(num_features, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, 2 * latent_dim),
        )

    def forward(self, features: Tensor) -> Codes:
        """In float32, whatever the precision around it."""
        with torch.autocast(features.device.type, enabled=False):
            means, log_variances = self.body(features.float()).chunk(2, 1)
        return Codes(means, log_variances + START)
