"""The GAN: alternating updates of a discriminator and a generator, by hand, on one clock.

A step is one generator update. ``trainer.global_step``, ``max_steps``, checkpoint names and every x-axis count it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.ema import EMA
from dcgan.images import to_uint8
from dcgan.latents import own_share, random_stream, sample_latents
from dcgan.losses import Loss
from dcgan.models.base import Discriminator, Generator

OptimizerBuilder = Callable[[Iterable[nn.Parameter]], Optimizer]
SAMPLING_BATCH = 100  # always this many at once, padded: a float32 matrix product rounds differently at other sizes


class GAN(LightningModule):
    """A generator, its average that samples are drawn from, a discriminator, their loss and optimisers.

    Args:
        seed: all noise is a function of (seed, step).
        d_steps: discriminator updates per generator update, each on a batch of its own.
        ema_half_life: thousands of real images.
        weight_clip: keep the discriminator's parameters within +- this after each of its steps; None: let them be.
        channels_last: memory layout of both networks; the same function, faster convolutions.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        loss: Loss,
        generator_optimizer: OptimizerBuilder,
        discriminator_optimizer: OptimizerBuilder,
        seed: int,
        d_steps: int,
        ema_half_life: float,
        channels_last: bool,
        weight_clip: float | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.ema = EMA(generator, half_life=ema_half_life)
        self.loss = loss
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.seed = seed
        self.d_steps = d_steps
        self.weight_clip = weight_clip
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator first, as they are stepped."""
        return [
            self.discriminator_optimizer(self.discriminator.parameters()),
            self.generator_optimizer(self.generator.parameters()),
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor] | None:
        """``d_steps`` discriminator updates, one generator update.

        The fakes of the last discriminator update serve the generator's too, as in Radford et al.'s code:
        one generator pass less, and the generator answers the verdict just given.

        Args:
            batch: float images (d_steps * N, C, H, W) in [-1, 1] and their labels.

        Returns:
            What the dashboard shows, where a step is due to be shown; else None (each number costs a synchronisation).
        """
        observed: dict[str, Tensor] | None = {} if self._is_observed() else None
        images = batch[0].contiguous(memory_format=self.memory_format)
        reals = images.chunk(self.d_steps)
        latents = self._latents(len(images)).chunk(self.d_steps)
        for real, noise in zip(reals[:-1], latents[:-1], strict=True):
            with torch.no_grad():
                fake = self.generator(noise)
            self.update_discriminator(real=real, fake=fake)
        fake = self.generator(latents[-1])
        self.update_discriminator(real=reals[-1], fake=fake.detach(), observed=observed)
        self.update_generator(real=reals[-1], fake=fake, observed=observed)
        self.ema.update(self.generator, num_images=len(images) * self.trainer.world_size)
        return observed

    def update_discriminator(self, *, real: Tensor, fake: Tensor, observed: dict[str, Tensor] | None = None) -> None:
        """One step of the discriminator; ``fake`` carries no graph."""
        optimizer = self._optimizer(0)
        optimizer._on_before_step = optimizer._on_after_step = do_nothing_closure  # only the generator's steps count
        optimizer.zero_grad()
        real_logits, fake_logits = self.discriminator(real).logits.float(), self.discriminator(fake).logits.float()
        loss = self.loss.discriminator(real=real_logits, fake=fake_logits)
        self.manual_backward(loss)
        if observed is not None:
            for name, logits, right in (
                ("real", real_logits, real_logits > 0),
                ("fake", fake_logits, fake_logits <= 0),
            ):
                observed[f"logits/{name}"] = logits.detach().mean()
                observed[f"probability/{name}"] = logits.detach().sigmoid().mean()
                observed[f"accuracy/{name}"] = right.float().mean()
            observed["loss/discriminator"] = loss.detach()
            observed["grad_norm/discriminator"] = self._grad_norm(self.discriminator)
        optimizer.step()
        if self.weight_clip is not None:
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.clamp_(-self.weight_clip, self.weight_clip)

    def update_generator(self, *, real: Tensor, fake: Tensor, observed: dict[str, Tensor] | None = None) -> None:
        """One step of the generator, through a frozen discriminator; ``fake`` carries the generator's graph."""
        optimizer = self._optimizer(1)
        optimizer.zero_grad()
        with frozen(self.discriminator):
            fake_logits = self.discriminator(fake).logits.float()
            real_logits = self.discriminator(real).logits.float() if self.loss.relativistic else fake_logits[:0]
            loss = self.loss.generator(real=real_logits, fake=fake_logits)
            self.manual_backward(loss)
        if observed is not None:
            observed["accuracy/fooled"] = (fake_logits > 0).float().mean()
            observed["loss/generator"] = loss.detach()
            observed["grad_norm/generator"] = self._grad_norm(self.generator)
        optimizer.step()

    @torch.inference_mode()
    def sample(self, *, n: int, seed: int) -> Tensor:
        """The first ``n`` samples of ``seed``, from the average: uint8 (n, C, H, W), on the CPU.

        In float32, evaluation mode and padded batches of one size, so that a sample does not depend on the others.
        """
        latents = sample_latents(seed=seed, n=n, latent_dim=self.generator.latent_dim)
        padding = latents.new_zeros(-n % SAMPLING_BATCH, latents.shape[1])
        with torch.autocast(self.device.type, enabled=False):
            batches = torch.cat([latents, padding]).to(self.device).split(SAMPLING_BATCH)
            images = [to_uint8(self.ema.generator(batch)).cpu() for batch in batches]
        return torch.cat(images)[:n]

    def _latents(self, n: int) -> Tensor:
        """This process's share of the step's noise, which is drawn for all processes together."""
        world = self.trainer.world_size
        shape = (n * world, self.generator.latent_dim)
        noise = torch.randn(shape, generator=random_stream(self.seed, "latents", self.global_step))
        return own_share(noise, parts=self.d_steps, rank=self.global_rank, world=world).to(self.device)

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
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)  # 16-mixed holds gradients scaled up
        return nn.utils.get_total_norm(gradients) / (scaler.get_scale() if scaler else 1.0)


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
