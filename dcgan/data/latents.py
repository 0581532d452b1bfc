"""Everything random: a function of (seed, purpose, step), so a run can be continued, divided, or repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor

# What a random number is for. Numbers are never reused: a new purpose gets a new one.
PURPOSES = {
    "weights": 0, "data": 1, "latents": 2, "samples": 3, "evaluation": 4, "step": 5, "dropout": 6, "statistics": 7
}  # fmt: skip
_STATE = torch.Generator().manual_seed(0).get_state().numpy()  # of one that has drawn nothing
_WORDS = slice(24, 24 + 624 * 8)  # where in it the 624 words of the Mersenne Twister lie, each in 8 bytes


def random_stream(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator that depends on nothing but its arguments; CPU, so that every device draws the same numbers.

    Its whole state follows from them. ``manual_seed`` would keep 32 bits of a seed: among the streams of 26,000
    samples, two would be the same for one seed in thirteen.
    """
    words = _bits(seed, purpose, step).random_raw(312).view(np.uint32)
    state = _STATE.copy()
    state[_WORDS].view(np.uint64)[:] = words
    generator = torch.Generator()
    generator.set_state(torch.from_numpy(state))
    return generator


def random_seed(seed: int, purpose: str, step: int = 0) -> int:
    """As a stream, one number of 64 bits: for what takes a seed only."""
    return int(_bits(seed, purpose, step).random_raw())


def _bits(seed: int, purpose: str, step: int) -> np.random.Philox:
    """Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", keyed by all that is given."""
    return np.random.Philox(np.random.SeedSequence([seed, PURPOSES[purpose], step]))


def sent(values: Tensor, device: torch.device) -> Tensor:
    """``values`` of the CPU on ``device``, which goes on with its work meanwhile, and so does this process."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


class Draws:
    """Random tensors of one step: drawn on the CPU for all processes together, of which this one gets its rows."""

    def __init__(self, stream: torch.Generator, *, rank: int, world: int, device: torch.device) -> None:
        self.stream, self.rank, self.world, self.device = stream, rank, world, device

    def uniform(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) in [0, 1)."""
        return self._own(torch.rand(n * self.world, *shape, generator=self.stream))

    def normal(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) ~ N(0, 1)."""
        return self._own(torch.randn(n * self.world, *shape, generator=self.stream))

    def _own(self, values: Tensor) -> Tensor:
        return sent(own_share(values, parts=1, rank=self.rank, world=self.world), self.device)


def step_latents(seed: int, *, step: int, shape: tuple[int, int], parts: int, rank: int, world: int) -> Tensor:
    """Latents (n, latent_dim) ~ N(0, 1) of one process in one training step, drawn for all processes together.

    Args:
        shape: of this process's; ``parts`` batches, one after the other.
    """
    noise = torch.randn(shape[0] * world, shape[1], generator=random_stream(seed, "latents", step))
    return own_share(noise, parts=parts, rank=rank, world=world)


_LAYERS: ContextVar["Draws | None"] = ContextVar("layers", default=None)


@contextmanager
def layers_draw_from(draws: Draws) -> Iterator[None]:
    """Inside, layers that draw at random (``models/layers.py``) take their numbers from ``draws``."""
    token = _LAYERS.set(draws)
    try:
        yield
    finally:
        _LAYERS.reset(token)


def draws_of_layers() -> Draws | None:
    """What layers are to draw from here; None: torch's global generator."""
    return _LAYERS.get()


def sample_latents(*, seed: int, n: int, latent_dim: int) -> Tensor:
    """Latents (n, latent_dim) ~ N(0, 1) of the first ``n`` samples of ``seed``.

    Each sample has a stream of its own: sample 17 of seed 3 is the same in any batch and on any device.
    """
    return torch.stack([sample_latent(seed=seed, number=i, latent_dim=latent_dim) for i in range(n)])


def sample_latent(*, seed: int, number: int, latent_dim: int, truncation: float | None = None) -> Tensor:
    """The latent (latent_dim,) ~ N(0, 1) of one sample of ``seed``.

    Args:
        truncation: what is farther from 0 is drawn again until it is not, from the sample's own stream; what is nearer
            stays. Brock et al. 2019 ("Large scale GAN training for high fidelity natural image synthesis", section
            3.1): images that are more alike, and better. None: none.
    """
    stream = random_stream(seed, "samples", number)
    latent = torch.randn(latent_dim, generator=stream)
    if truncation is None:
        return latent
    # As drawing again until it fits, in one draw: the inverse of the distribution function between its two ends.
    low, high = torch.special.ndtr(torch.tensor([-truncation, truncation], dtype=torch.float64))
    places = low + (high - low) * torch.rand(latent_dim, generator=stream, dtype=torch.float64)
    again = torch.special.ndtri(places).clamp(-truncation, truncation).float()
    return torch.where(latent.abs() > truncation, again, latent)


def own_share(values: Tensor, *, parts: int, rank: int, world: int) -> Tensor:
    """The rows of ``values`` that process ``rank`` of ``world`` works on.

    The rows are ``parts`` consecutive batches (one per discriminator update); each process takes its slice of every
    batch, so that the processes together see exactly what one process with the whole batch would.
    """
    result: Tensor = values.unflatten(0, (parts, world, -1))[:, rank].flatten(0, 1)
    return result
