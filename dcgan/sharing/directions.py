"""Directions in the latent space along which the image changes most."""

import torch
from torch import Tensor

from dcgan.models.base import Generator
from dcgan.sharing.forms import inputs_of

SAMPLES = 50  # that the change is averaged over
STEP = 0.1  # of a difference quotient; latents have a spread of 1


@torch.inference_mode()
def directions(generator: Generator, n: int) -> Tensor:
    """Orthonormal latent directions (n, latent_dim), the one along which pixels change most first; fewer if need be.

    They are eigenvectors of the metric that a generator puts on its latents, E[JᵀJ] with J its Jacobian, and nearly
    the same from one image to another: Wang and Ponce 2021, "The geometry of deep generative image models and its
    applications", section 3. A step of length 1 along direction i changes pixels by the root of eigenvalue i.
    """
    step = STEP * torch.eye(generator.latent_dim)
    metric = torch.zeros(generator.latent_dim, generator.latent_dim, dtype=torch.float64)
    for latent, *label in zip(*inputs_of(generator, SAMPLES), strict=True):
        around = torch.cat([latent[None], latent + step])
        images = generator(around, *(one.expand(len(around)) for one in label)).flatten(1).double()
        jacobian = (images[1:] - images[0]) / STEP  # a row for each latent dimension
        metric += jacobian @ jacobian.T / SAMPLES
    found = torch.linalg.eigh(metric).eigenvectors.T.flip(0)[:n]
    largest = found.abs().argmax(1, keepdim=True)
    signed: Tensor = found * found.gather(1, largest).sign()  # of the two signs always the same
    return signed.float()
