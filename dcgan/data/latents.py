"""Everything random: a function of (seed, purpose, step), so a run can be continued, divided, or repeated."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

# What a random number is for. Numbers are never reused: a new purpose gets a new one.
PURPOSES = {"weights": 0, "data": 1, "latents": 2, "samples": 3, "evaluation": 4, "step": 5, "dropout": 6}


def random_stream(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator that depends on nothing but its arguments; CPU, so that every device draws the same numbers."""
    state = np.random.SeedSequence([seed, PURPOSES[purpose], step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


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
        return own_share(values, parts=1, rank=self.rank, world=self.world).to(self.device)


def step_latents(seed: int, *, step: int, shape: tuple[int, int], parts: int, rank: int, world: int) -> Tensor:
    """Latents (n, latent_dim) ~ N(0, 1) of one process in one training step, drawn for all processes together.

    Args:
        shape: of this process's; ``parts`` batches, one after the other.
    """
    noise = torch.randn(shape[0] * world, shape[1], generator=random_stream(seed, "latents", step))
    return own_share(noise, parts=parts, rank=rank, world=world)


@contextmanager
def seeded_layers(seed: int, *, step: int, rank: int, world: int, like: Tensor) -> Iterator[None]:
    """Dropout draws from torch's global generators: inside, they follow from seed, step and process too.

    Args:
        like: a tensor on the device that the layers are on.
    """
    devices = [like.device] if like.device.type == "cuda" else []
    own = random_stream(seed, "dropout", step * world + rank).initial_seed()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(own)  # torch.manual_seed: 80 times slower, for absent devices
        if devices:
            torch.cuda.manual_seed(own)
        yield


def sample_latents(*, seed: int, n: int, latent_dim: int) -> Tensor:
    """Latents (n, latent_dim) ~ N(0, 1) of the first ``n`` samples of ``seed``.

    Each sample has a stream of its own: sample 17 of seed 3 is the same in any batch and on any device.
    """
    draws = [torch.randn(latent_dim, generator=random_stream(seed, "samples", i)) for i in range(n)]
    return torch.stack(draws)


def own_share(values: Tensor, *, parts: int, rank: int, world: int) -> Tensor:
    """The rows of ``values`` that process ``rank`` of ``world`` works on.

    The rows are ``parts`` consecutive batches (one per discriminator update); each process takes its slice of every
    batch, so that the processes together see exactly what one process with the whole batch would.
    """
    result: Tensor = values.unflatten(0, (parts, world, -1))[:, rank].flatten(0, 1)
    return result
