"""The GAN: alternating updates of a discriminator and a generator, by hand, on one clock.

A step is one generator update. ``trainer.global_step``, ``max_steps``, checkpoint names and every x-axis count it.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from torch import Tensor
from torch.optim import Optimizer

from dcgan.data.latents import Draws, layers_draw_from, random_stream, sent, step_latents
from dcgan.models.base import Discriminator, Generator
from dcgan.models.fast import memory_format
from dcgan.models.precision import full_float32
from dcgan.training.ema import EMA
from dcgan.training.objective import Objective, Outcome, Round
from dcgan.training.optim import ASK_EVERY, Rates, share_of_time, unscale
from dcgan.training.player import Player, frozen


class GAN(LightningModule):
    """Two players, the average of the generator that samples are drawn from, and what each player minimises.

    Args:
        seed: everything random is a function of (seed, step).
        d_steps: discriminator updates per generator update, each on a batch of its own.
        ema_half_life: thousands of real images.
        fast: as the networks were built.
    """

    def __init__(
        self,
        generator: Player[Generator],
        discriminator: Player[Discriminator],
        *,
        objective: Objective,
        seed: int,
        d_steps: int,
        ema_half_life: float,
        fast: bool,
        rates: Rates | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.players = (discriminator, generator)  # as they are stepped
        self.discriminator: Discriminator = discriminator.network
        self.generator: Generator = generator.network
        self.ema = EMA(generator.network, half_life=ema_half_life, seed=seed)
        self.objective, self.rates = objective, rates or Rates()
        self.seed, self.d_steps = seed, d_steps
        self.memory_format = memory_format(fast=fast)
        self._time: float | None = None  # the share of the run's that is over, as it was last asked for

    def configure_optimizers(self) -> list[Optimizer]:
        """One for each player."""
        optimizers = [player.optimizer(player.network.parameters()) for player in self.players]
        self.rates.start(optimizers)
        return optimizers

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Outcome]:
        """``d_steps`` discriminator updates, one generator update.

        The fakes of the last discriminator update serve the generator's too, as in Radford et al.'s code:
        one generator pass less, and the generator answers the verdict just given. Fakes carry the labels of the
        real images beside them.

        Args:
            batch: float images (d_steps * N, C, H, W) in [-1, 1] and their labels.

        Returns:
            What came of the last update of each network, without graphs.
        """
        if self.rates.change:
            total = self.trainer.estimated_stepping_batches  # asked for only then: Lightning takes its time to tell
            if self.world == 1 or self._time is None or self.global_step % ASK_EVERY == 0:
                self._time = share_of_time(self.trainer)
            self.rates.set(self.trainer.optimizers, step=self.global_step, total=total, time=self._time)
        images = batch[0].contiguous(memory_format=self.memory_format)
        outcomes: dict[str, Outcome] = {}
        with layers_draw_from(self._draws("dropout")):
            for i, (latents, given) in enumerate(self._rounds(images, batch[1]), start=1):
                with torch.set_grad_enabled(i == self.d_steps):
                    fake = self.generator(latents, given.labels)
                outcome = self.objective.discriminator(self.discriminator, given, fake=fake.detach())
                outcomes["discriminator"] = self._update(0, outcome)
            with frozen(self.discriminator):
                outcome = self.objective.generator(self.discriminator, given, fake=fake)
                outcomes["generator"] = self._update(1, outcome)
        self.ema.update(self.generator, num_images=len(images) * self.world)
        return outcomes

    def _rounds(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Round]]:
        """The latents and what else each of the discriminator's updates is given: this process's share."""
        step, rank, world = self.global_step, self.global_rank, self.world
        shape = (len(images), self.generator.latent_dim)
        latents = step_latents(self.seed, step=step, shape=shape, parts=self.d_steps, rank=rank, world=world)
        draws = self._draws("step")  # for whatever else the step draws at random
        of_each = labels.chunk(self.d_steps) if self.generator.num_classes else (None,) * self.d_steps
        parts = zip(sent(latents, self.device).chunk(self.d_steps), images.chunk(self.d_steps), of_each, strict=True)
        return ((noise, Round(real, label, draws, step)) for noise, real, label in parts)

    def _draws(self, purpose: str) -> Draws:
        stream = random_stream(self.seed, purpose, self.global_step)
        return Draws(stream, rank=self.global_rank, world=self.world, device=self.device)

    def _update(self, index: int, outcome: Outcome) -> Outcome:
        """One step of one player: backward, its clip (below), its optimiser, and what follows."""
        optimizer = self.optimizers()[index]  # type: ignore[index]
        assert isinstance(optimizer, LightningOptimizer)
        if index == 0:  # only the generator's steps count
            optimizer._on_before_step = optimizer._on_after_step = do_nothing_closure
        optimizer.zero_grad()
        penalised = outcome.penalty is not None
        with full_float32(self.device.type) if penalised else nullcontext():  # of which this is the other half
            self.manual_backward(outcome.total)
        optimizer.step()
        self.players[index].clip_weights()
        return outcome.detached()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip; Lightning asks callbacks first, so the dashboard has seen the gradients as they were."""
        player = self.players[self.trainer.optimizers.index(optimizer)]
        if player.clip is not None:
            unscale(self.trainer, optimizer)
            player.clip_gradients()

    @property
    def world(self) -> int:
        """How many processes train together."""
        return self.trainer.world_size
