"""Everything random: a function of (seed, purpose, step), so a run can be continued, divided, or repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor

# What a random number is for. Numbers are never reused: a new purpose gets a new one.
PURPOSES = {
    "weights": 0, "data": 1, "latents": 2, "samples": 3, "evaluation": 4, "step": 5, "dropout": 6, "statistics": 7,
    "looks": 8,
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
    if device.type != "cuda":
        return values.to(device)
    return values.contiguous().pin_memory().to(device, non_blocking=True)  # pinning refuses channels that share memory


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


def sample_latents(*, seed: int, n: int, latent_dim: int, first: int = 0, truncation: float | None = None) -> Tensor:
    """Latents (n, latent_dim) ~ N(0, 1) of ``n`` samples of ``seed``, from number ``first`` on.

    Each sample has a stream of its own: sample 17 of seed 3 is the same in any batch and on any device.

    Args:
        truncation: what is farther from 0 is drawn again until it is not, from the sample's own stream; what is nearer
            stays. Brock et al. 2019 ("Large scale GAN training for high fidelity natural image synthesis", section
            3.1): images that are more alike. None: none.
    """
    latents = torch.empty(n, latent_dim)
    for latent, stream in zip(latents.unbind(), _streams(seed, "samples", range(first, first + n)), strict=True):
        latent.normal_(generator=stream)
        if truncation is not None:
            latent.copy_(_truncated(latent, stream, truncation))
    return latents


def _truncated(latent: Tensor, stream: torch.Generator, bound: float) -> Tensor:
    """Drawing again until it fits, in one draw: through the inverse of the distribution function between the bounds."""
    low, high = torch.special.ndtr(torch.tensor([-bound, bound], dtype=torch.float64))
    places = low + (high - low) * torch.rand(latent.shape, generator=stream, dtype=torch.float64)
    again = torch.special.ndtri(places).clamp(-bound, bound)
    return torch.where(latent.abs() > bound, again.float(), latent)


def _streams(seed: int, purpose: str, steps: range) -> Iterator[torch.Generator]:
    """``random_stream`` of each step, for a fifth of the time: one generator, of which each step is a new state."""
    generator, bits, state = torch.Generator(), np.random.Philox(key=0), _STATE.copy()
    words, shared, fresh = state[_WORDS].view(np.uint64), torch.from_numpy(state), bits.state
    for key in _keys(seed, purpose, steps):
        fresh["state"]["key"] = key
        bits.state = fresh
        words[:] = bits.random_raw(312).view(np.uint32)
        generator.set_state(shared)
        yield generator


def _keys(seed: int, purpose: str, steps: range) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """(len(steps), 2): what ``SeedSequence([seed, purpose, step])`` keys Philox with, for all steps at once.

    O'Neill 2015, "Developing a seed_seq alternative", with NumPy's constants; in its own words one takes 15 µs.
    """
    constants = [seed & _MASK, *([seed >> 32] if seed >> 32 else []), PURPOSES[purpose]]
    number = np.arange(steps.start, steps.stop, dtype=np.uint32)
    words = [np.full_like(number, one) for one in constants] + [number]
    assert len(words) <= 4
    assert steps.stop <= 2**32
    hashed = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [hashed(word) for word in [*words, *[np.zeros_like(number)] * (4 - len(words))]]
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed = pool[target] * np.uint32(0xCA01F9DD) - hashed(pool[source]) * np.uint32(0x4973F715)
                pool[target] = mixed ^ (mixed >> np.uint32(16))
    output = _Hash(0x8B51F9DD, 0x58F38DED)
    return np.stack([output(word) for word in pool], 1).view(np.uint64)


_MASK = 2**32 - 1


class _Hash:
    """The hash of a seed sequence, another one at each call."""

    def __init__(self, start: int, factor: int) -> None:
        self.constant, self.factor = start, factor

    def __call__(self, words: "np.ndarray[Any, np.dtype[np.uint32]]") -> "np.ndarray[Any, np.dtype[np.uint32]]":
        words = words ^ np.uint32(self.constant)
        self.constant = self.constant * self.factor & _MASK
        words = words * np.uint32(self.constant)
        return words ^ (words >> np.uint32(16))


def own_share(values: Tensor, *, parts: int, rank: int, world: int) -> Tensor:
    """The rows of ``values`` that process ``rank`` of ``world`` works on.

    The rows are ``parts`` consecutive batches (one per discriminator update); each process takes its slice of every
    batch, so that the processes together see exactly what one process with the whole batch would.
    """
    result: Tensor = values.unflatten(0, (parts, world, -1))[:, rank].flatten(0, 1)
    return result
