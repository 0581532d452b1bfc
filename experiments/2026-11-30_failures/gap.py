"""The duality gap (Grnarova et al. 2019, "A domain agnostic measure for monitoring and evaluating GANs"), cheaply.

Their M(G, D) is what D maximises; here less D's loss, whatever that is. The worst D for this G, and the worst G
for this D, are looked for from copies, ``STEPS`` updates each at the run's own rates; the gap is what the first reaches
less what the second does, on held-out images.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from dcgan.data.images import to_float
from dcgan.data.latents import Draws, layers_draw_from, random_stream
from dcgan.runs.run import Run
from dcgan.training.objective import Round
from dcgan.training.player import frozen

STEPS = 10
BATCH = 64


def duality_gap(run: Run) -> dict[str, float]:
    """``worst_discriminator`` and ``worst_generator``, the values of M, and ``gap``."""
    gan = run.gan
    draws = Draws(random_stream(run.config.seed, "looks", gan.global_step), rank=0, world=1, device=gan.device)
    generator, *judges = (copy.deepcopy(one) for one in (gan.generator, gan.discriminator, gan.discriminator))
    discriminator, judge = judges
    with layers_draw_from(draws):
        optimizer = gan.players[0].optimizer(discriminator.parameters())
        for i in range(STEPS):
            given, latents = _round(run, draws, i, "train")
            with torch.no_grad():
                fake = generator(latents, given.labels)
            optimizer.zero_grad()
            gan.objective.discriminator(discriminator, given, fake=fake).total.backward()
            optimizer.step()
            _clip(discriminator, gan.players[0].weight_clip)
        first = _value(run, discriminator, generator, draws)
        optimizer = gan.players[1].optimizer(generator.parameters())
        for i in range(STEPS):
            given, latents = _round(run, draws, i, "train")
            optimizer.zero_grad()
            with frozen(judge):
                gan.objective.generator(judge, given, fake=generator(latents, given.labels)).total.backward()
            optimizer.step()
        second = _value(run, judge, generator, draws)
    return {"worst_discriminator": first, "worst_generator": second, "gap": first - second}


@torch.no_grad()
def _clip(network: nn.Module, bound: float | None) -> None:
    for parameter in network.parameters() if bound is not None else ():
        parameter.clamp_(-bound, bound)


def _round(run: Run, draws: Draws, i: int, split: str) -> tuple[Round, Tensor]:
    rows = (torch.arange(BATCH) + BATCH * i) % len(run.data.split(split).labels)
    images, labels = run.data.split(split).gather(rows)
    shown = to_float(images)
    if split == "train":  # through the run's own path, whatever is wrong with it
        shown, labels = run.data.transfer_batch_to_device(rows, run.gan.device, 0)
    shown = shown.contiguous(memory_format=run.gan.memory_format)
    given = labels if run.gan.generator.num_classes else None
    return Round(shown, given, draws, run.gan.global_step), draws.normal(BATCH, run.gan.generator.latent_dim)


@torch.no_grad()
def _value(run: Run, discriminator: Any, generator: Any, draws: Draws) -> float:
    """Less the adversarial loss of D, on four batches of held-out images."""
    total = 0.0
    for i in range(4):
        given, latents = _round(run, draws, i, "test")
        fake = generator(latents, given.labels)
        real_logits, fake_logits = (discriminator(x, given.labels).logits.float() for x in (given.real, fake))
        total -= float(run.gan.objective.loss.discriminator(real=real_logits, fake=fake_logits)) / 4
    return total
