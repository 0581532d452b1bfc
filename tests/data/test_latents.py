import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan.data import latents
from dcgan.data.latents import PURPOSES, own_share, random_seed, random_stream, sample_latents, sent


def test_a_stream_follows_from_seed_purpose_and_step_alone() -> None:
    def draw(*arguments: object) -> float:
        return float(torch.rand((), generator=random_stream(*arguments)))

    assert draw(3, "latents", 5) == draw(3, "latents", 5)
    different = {draw(3, purpose, step) for purpose in PURPOSES for step in range(50)}
    assert len(different) == 50 * len(PURPOSES)
    assert draw(4, "latents", 5) not in different


def test_a_stream_is_the_mersenne_twister_whose_state_it_is_given() -> None:
    """Where the words lie in torch's state is torch's own affair: 5,489 is the twister's reference seed."""
    reference = np.random.MT19937()
    reference._legacy_seeding(5489)
    state = torch.Generator().manual_seed(5489).get_state().numpy()
    words = state[latents._WORDS].view(np.uint64)
    assert np.array_equal(words, reference.state["state"]["key"])
    own = random_stream(1, "step", 2).get_state().numpy()
    assert len(own) == len(state)
    assert np.array_equal(own[latents._WORDS].view(np.uint64), latents._bits(1, "step", 2).random_raw(312).view("u4"))


def test_streams_keep_the_whole_seed() -> None:
    """Of 26,000 samples of seed 7 two were the same while torch kept 32 bits of what they were seeded with."""
    drawn = sample_latents(seed=7, n=26_000, latent_dim=2)
    assert len(drawn.unique(dim=0)) == 26_000
    assert random_seed(0, "samples") >= 2**32  # 64 bits


def test_a_sample_is_the_same_in_any_batch() -> None:
    many = sample_latents(seed=3, n=20, latent_dim=7)
    assert torch.equal(many[:17], sample_latents(seed=3, n=17, latent_dim=7))
    assert not torch.equal(many, sample_latents(seed=4, n=20, latent_dim=7))


def test_latents_are_standard_normal() -> None:
    drawn = sample_latents(seed=0, n=500, latent_dim=100)
    assert abs(drawn.mean().item()) < 0.02
    assert abs(drawn.std().item() - 1) < 0.02


def test_shares_together_are_the_batches_of_one_process() -> None:
    rows = torch.arange(24)  # 3 discriminator updates of 8
    shares = [own_share(rows, parts=3, rank=rank, world=2).chunk(3) for rank in range(2)]
    for part, expected in enumerate(rows.chunk(3)):
        assert torch.equal(torch.cat([share[part] for share in shares]), expected)


def test_many_samples_at_once_are_of_the_stream_of_each() -> None:
    for seed in (0, 3, 2**32 - 1, 2**40 + 7):
        for first in (0, 70_000):
            streams = [random_stream(seed, "samples", i) for i in range(first, first + 5)]
            for latent_dim in (7, 100):
                each = [torch.randn(latent_dim, generator=stream.clone_state()) for stream in streams]
                assert torch.equal(
                    sample_latents(seed=seed, n=5, first=first, latent_dim=latent_dim), torch.stack(each)
                )


def test_what_is_pinned_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey images in three channels share it, and pinning would refuse them."""
    pinned: list[Tensor] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    monkeypatch.setattr(Tensor, "to", lambda self, *_, **__: self)
    images = torch.rand(2, 1, 4, 4).expand(-1, 3, -1, -1)
    assert torch.equal(sent(images, torch.device("cuda")), images)
    assert pinned[0].is_contiguous()
