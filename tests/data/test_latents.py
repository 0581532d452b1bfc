import torch

from dcgan.data.latents import PURPOSES, own_share, random_stream, sample_latents


def test_a_stream_follows_from_seed_purpose_and_step_alone() -> None:
    def draw(*arguments: object) -> float:
        return float(torch.rand((), generator=random_stream(*arguments)))

    assert draw(3, "latents", 5) == draw(3, "latents", 5)
    different = {draw(3, purpose, step) for purpose in PURPOSES for step in range(50)}
    assert len(different) == 50 * len(PURPOSES)
    assert draw(4, "latents", 5) not in different


def test_a_sample_is_the_same_in_any_batch() -> None:
    many = sample_latents(seed=3, n=20, latent_dim=7)
    assert torch.equal(many[:17], sample_latents(seed=3, n=17, latent_dim=7))
    assert not torch.equal(many, sample_latents(seed=4, n=20, latent_dim=7))


def test_latents_are_standard_normal() -> None:
    latents = sample_latents(seed=0, n=500, latent_dim=100)
    assert abs(latents.mean().item()) < 0.02
    assert abs(latents.std().item() - 1) < 0.02


def test_shares_together_are_the_batches_of_one_process() -> None:
    rows = torch.arange(24)  # 3 discriminator updates of 8
    shares = [own_share(rows, parts=3, rank=rank, world=2).chunk(3) for rank in range(2)]
    for part, expected in enumerate(rows.chunk(3)):
        assert torch.equal(torch.cat([share[part] for share in shares]), expected)
