"""From an image's features to the noise that draws it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.latents import Draws

HIDDEN = 256
START = -2.0  # log variance: codes that say something from the first step on


class Codes(NamedTuple):
    """Of M images in a batch: a normal distribution over the latents of each."""

    chosen: Tensor  # int64 (M,), their places in the batch
    means: Tensor  # (M, latent_dim)
    log_variances: Tensor
    features: Tensor  # (M, ...), what their codes were read from, before the discriminator's step; no graph

    def sample_into(self, latents: Tensor, draws: Draws) -> Tensor:
        """The batch's latents (N, latent_dim), with a sample of each code in its place.

        Samples have a gradient (Kingma and Welling 2014, section 2.4).
        """
        samples = self.means + (0.5 * self.log_variances).exp() * draws.normal(*self.means.shape)
        return latents.index_copy(0, self.chosen.to(latents.device), samples)

    def difference(self, features: Tensor) -> Tensor:
        """Mean square, between the images' features and those (N, ...) of the batch drawn in their places."""
        return F.mse_loss(features[self.chosen].float(), self.features)

    def divergence(self) -> Tensor:
        """KL from the prior N(0, 1), in nats, mean over images (Kingma and Welling 2014, appendix B)."""
        each = self.means.square() + self.log_variances.exp() - self.log_variances - 1
        return 0.5 * each.sum(1).mean()


class Encoder(nn.Module):
    """Codes of a share of a batch's images; the encoder of VAE/GAN (Larsen et al. 2016).

    It reads what the discriminator's last layer is given, and does not train the layers before. Unlike theirs, it also
    learns from the verdict on what is drawn from its codes.
    """

    def __init__(self, num_features: int, *, latent_dim: int, share: float) -> None:
        super().__init__()
        self.share = share
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.LayerNorm(num_features),
            nn.Linear(num_features, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, 2 * latent_dim),
        )

    def choose(self, n: int) -> Tensor:
        """Which of ``n`` images: int64 (M,), M = share * n, spread evenly.

        So processes together choose what one would of all their images, if whole numbers fall to each.
        """
        so_far = (torch.arange(n + 1, dtype=torch.float64) * self.share + 1e-9).floor()
        return so_far.diff().nonzero().squeeze(1)

    def forward(self, features: Tensor, chosen: Tensor) -> Codes:
        """Features (M, ...) of the chosen images (M,) -> codes; in float32, whatever the precision around it."""
        features = features.float()
        with torch.autocast(features.device.type, enabled=False):
            means, log_variances = self.body(features).chunk(2, 1)
        return Codes(chosen, means, log_variances + START, features)
