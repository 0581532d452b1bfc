"""The GAN: alternating updates of a discriminator and a generator, by hand, on one clock.

A step is one generator update. ``trainer.global_step``, ``max_steps``, checkpoint names and every x-axis count it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.ema import EMA
from dcgan.images import to_uint8
from dcgan.latents import Draws, own_share, random_stream, sample_latents
from dcgan.models.base import Discriminator, Generator
from dcgan.models.encoder import Codes, Encoder
from dcgan.objective import Objective
from dcgan.optim import OptimizerBuilder, learning_rate_factor

SAMPLING_BATCH = 100  # always this many at once, padded: a float32 matrix product rounds differently at other sizes


class GAN(LightningModule):
    """A generator, its average that samples are drawn from, a discriminator, their objective and optimisers.

    Args:
        seed: all noise is a function of (seed, step).
        d_steps: discriminator updates per generator update, each on a batch of its own.
        ema_half_life: thousands of real images.
        generator_clip, discriminator_clip: the largest norm of a network's gradient; None: any.
        weight_clip: keep the discriminator's parameters within +- this after each of its steps; None: let them be.
        schedule, warmup: how the learning rates change over the run, and over how many steps they rise at first.
        channels_last: memory layout of both networks; the same function, faster convolutions.
        encoder: with it, a share of the latents of a step's last batch are codes of the real images beside them. The
            generator's optimiser steps it.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        objective: Objective,
        generator_optimizer: OptimizerBuilder,
        discriminator_optimizer: OptimizerBuilder,
        seed: int,
        d_steps: int,
        ema_half_life: float,
        channels_last: bool,
        generator_clip: float | None = None,
        discriminator_clip: float | None = None,
        weight_clip: float | None = None,
        schedule: str = "constant",
        warmup: int = 0,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.ema = EMA(generator, half_life=ema_half_life)
        self.objective = objective
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.seed = seed
        self.d_steps = d_steps
        self.generator_clip, self.discriminator_clip = generator_clip, discriminator_clip
        self.weight_clip = weight_clip
        self.schedule, self.warmup = schedule, warmup
        self.encoder = encoder
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator first, as they are stepped."""
        drawing = [*self.generator.parameters(), *(self.encoder.parameters() if self.encoder else ())]
        optimizers = [self.discriminator_optimizer(self.discriminator.parameters()), self.generator_optimizer(drawing)]
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]  # what the schedule starts from, also after a resume
        return optimizers

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor] | None:
        """``d_steps`` discriminator updates, one generator update.

        The fakes of the last discriminator update serve the generator's too, as in Radford et al.'s code:
        one generator pass less, and the generator answers the verdict just given. Fakes carry the labels of the
        real images beside them.

        Args:
            batch: float images (d_steps * N, C, H, W) in [-1, 1] and their labels.

        Returns:
            What the dashboard shows, where a step is due to be shown; else None (each number costs a synchronisation).
        """
        observed: dict[str, Tensor] | None = {} if self._is_observed() else None
        self._set_learning_rates()
        images = batch[0].contiguous(memory_format=self.memory_format)
        labels = batch[1] if self.generator.num_classes else None
        latents, draws = self._latents(len(images)), self._draws()
        classes = labels.chunk(self.d_steps) if labels is not None else (None,) * self.d_steps
        parts = zip(images.chunk(self.d_steps), latents.chunk(self.d_steps), classes, strict=True)
        with self._seeded_layers():
            for i, (real, noise, label) in enumerate(parts, start=1):
                last = i == self.d_steps
                codes = self._encode(real, label) if last else None
                with torch.set_grad_enabled(last):
                    fake = self.generator(noise if codes is None else codes.sample_into(noise, draws), label)
                given: dict[str, Any] = {"real": real, "labels": label, "draws": draws}
                self.update_discriminator(fake=fake.detach(), observed=observed if last else None, **given)
            self.update_generator(fake=fake, codes=codes, observed=observed, **given)
        self.ema.update(self.generator, num_images=len(images) * self.trainer.world_size)
        return observed

    def update_discriminator(
        self,
        *,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        draws: Draws,
        observed: dict[str, Tensor] | None = None,
    ) -> None:
        """One step of the discriminator; ``fake`` carries no graph."""
        optimizer = self._optimizer(0)
        optimizer._on_before_step = optimizer._on_after_step = do_nothing_closure  # only the generator's steps count
        optimizer.zero_grad()
        outcome = self.objective.discriminator(
            self.discriminator, real=real, fake=fake, labels=labels, draws=draws, step=self.global_step
        )
        self.manual_backward(outcome.total)
        if observed is not None:
            for name, logits, right in (
                ("real", outcome.real, outcome.real > 0),
                ("fake", outcome.fake, outcome.fake <= 0),
            ):
                observed[f"logits/{name}"] = logits.detach().mean()
                observed[f"probability/{name}"] = logits.detach().sigmoid().mean()
                observed[f"accuracy/{name}"] = right.float().mean()
            observed["loss/discriminator"] = outcome.loss.detach()
            observed |= {f"loss/discriminator_{name}": term.detach() for name, term in outcome.terms.items()}
            observed["grad_norm/discriminator"] = self._grad_norm(self.discriminator)
        self._clip(self.discriminator, self.discriminator_clip)
        optimizer.step()
        if self.weight_clip is not None:
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.clamp_(-self.weight_clip, self.weight_clip)

    def update_generator(
        self,
        *,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        draws: Draws,
        codes: Codes | None = None,
        observed: dict[str, Tensor] | None = None,
    ) -> None:
        """One step of the generator, through a frozen discriminator; ``fake`` carries the generator's graph."""
        optimizer = self._optimizer(1)
        optimizer.zero_grad()
        with frozen(self.discriminator):
            outcome = self.objective.generator(
                self.discriminator, real=real, fake=fake, labels=labels, codes=codes, draws=draws, step=self.global_step
            )
            self.manual_backward(outcome.total)
        if observed is not None:
            observed["accuracy/fooled"] = (outcome.fake > 0).float().mean()
            if outcome.class_accuracy is not None:
                observed["accuracy/classes"] = outcome.class_accuracy
            observed["loss/generator"] = outcome.loss.detach()
            observed |= {f"loss/generator_{name}": term.detach() for name, term in outcome.terms.items()}
            observed["grad_norm/generator"] = self._grad_norm(self.generator)
        self._clip(self.generator, self.generator_clip)
        optimizer.step()

    @torch.inference_mode()
    def sample(self, *, n: int, seed: int, labels: Tensor | None = None) -> Tensor:
        """The first ``n`` samples of ``seed``, from the average: uint8 (n, C, H, W), on the CPU.

        In float32, evaluation mode and padded batches of one size, so that a sample does not depend on the others.

        Args:
            labels: int64 (n,), of a conditional generator; None: as ``class_of_samples`` says.
        """
        latents = sample_latents(seed=seed, n=n, latent_dim=self.generator.latent_dim)
        labels = class_of_samples(n, num_classes=self.generator.num_classes) if labels is None else labels
        padding = -n % SAMPLING_BATCH
        noise = F.pad(latents, (0, 0, 0, padding)).to(self.device).split(SAMPLING_BATCH)
        classes = F.pad(labels, (0, padding)).to(self.device).split(SAMPLING_BATCH) if labels is not None else None
        with torch.autocast(self.device.type, enabled=False):
            images = [
                to_uint8(self.ema.generator(batch, classes[i] if classes else None)).cpu()
                for i, batch in enumerate(noise)
            ]
        return torch.cat(images)[:n]

    def _latents(self, n: int) -> Tensor:
        """This process's share of the step's noise, which is drawn for all processes together."""
        world = self.trainer.world_size
        shape = (n * world, self.generator.latent_dim)
        noise = torch.randn(shape, generator=random_stream(self.seed, "latents", self.global_step))
        return own_share(noise, parts=self.d_steps, rank=self.global_rank, world=world).to(self.device)

    def _encode(self, real: Tensor, labels: Tensor | None) -> Codes | None:
        if self.encoder is None:
            return None
        chosen = self.encoder.choose(len(real))
        with torch.no_grad():
            features = self.discriminator.features(real[chosen], None if labels is None else labels[chosen])
        return self.encoder(features, chosen)  # type: ignore[no-any-return]

    def _draws(self) -> Draws:
        """For whatever else the step draws at random."""
        stream = random_stream(self.seed, "step", self.global_step)
        return Draws(stream, rank=self.global_rank, world=self.trainer.world_size, device=self.device)

    @contextmanager
    def _seeded_layers(self) -> Iterator[None]:
        """Dropout draws from torch's global generators: inside, they follow from seed, step and process too."""
        devices = [self.device] if self.device.type == "cuda" else []
        step = self.global_step * self.trainer.world_size + self.global_rank
        seed = random_stream(self.seed, "dropout", step).initial_seed()
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed: 80 times slower, for absent devices
            if devices:
                torch.cuda.manual_seed(seed)
            yield

    def _set_learning_rates(self) -> None:
        """Lightning steps no schedule in manual optimisation. This one is a function of the step."""
        if self.schedule == "constant" and not self.warmup:
            return
        total = self.trainer.estimated_stepping_batches
        factor = learning_rate_factor(self.schedule, warmup=self.warmup, step=self.global_step, total=total)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def _is_observed(self) -> bool:
        step, every = self.global_step + 1, self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (step % every == 0 or step == self.trainer.max_steps)

    def _optimizer(self, index: int) -> LightningOptimizer:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        optimizer = optimizers[index]
        assert isinstance(optimizer, LightningOptimizer)
        return optimizer

    def _grad_norm(self, network: nn.Module) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients) / self._grad_scale()

    def _clip(self, network: nn.Module, largest: float | None) -> None:
        if largest is not None:
            nn.utils.clip_grad_norm_(network.parameters(), largest * self._grad_scale())

    def _grad_scale(self) -> float:
        """16-mixed holds gradients scaled up until the optimiser's step."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return float(scaler.get_scale()) if scaler else 1.0


def class_of_samples(n: int, *, num_classes: int) -> Tensor | None:
    """Labels (n,) of samples that nobody chose labels for: sample i is of class i % num_classes.

    Classes are even then, where MNIST's are from 9.0 to 11.2 % of its images.
    """
    return torch.arange(n) % num_classes if num_classes else None


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for the parameters of ``network`` inside the block (9 % of a step), whatever happens in it."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad = True
