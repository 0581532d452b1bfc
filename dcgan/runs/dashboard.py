"""What a run shows of its steps: it looks on, and training computes the same without it."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.runs.loggers import log_histograms
from dcgan.training.gan import GAN
from dcgan.training.objective import Outcome
from dcgan.training.optim import gradient_scale

STEPPED = ("discriminator", "generator")  # as they are stepped


def log_scalars(trainer: Trainer, values: Mapping[str, float]) -> None:
    """Write ``values`` to every logger at the current step."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(values), step=trainer.global_step)


def observe(outcomes: Mapping[str, Outcome]) -> dict[str, Tensor]:
    """What there is to see in the outcomes of a step, by the names of its curves."""
    judged, fooled = outcomes["discriminator"], outcomes["generator"]
    observed = {}
    for name, logits, right in (("real", judged.real, judged.real > 0), ("fake", judged.fake, judged.fake <= 0)):
        observed[f"logits/{name}"] = logits.mean()
        observed[f"probability/{name}"] = logits.sigmoid().mean()
        observed[f"accuracy/{name}"] = right.float().mean()
    observed["accuracy/fooled"] = (fooled.fake > 0).float().mean()
    if fooled.class_accuracy is not None:
        observed["accuracy/classes"] = fooled.class_accuracy
    for network, outcome in outcomes.items():
        observed[f"loss/{network}"] = outcome.loss
        observed |= {f"loss/{network}_{name}": term for name, term in outcome.terms.items()}
    return observed | latest_penalty(outcomes)


def latest_penalty(outcomes: Mapping[str, Outcome]) -> dict[str, Tensor]:
    """The penalty by the name of its curve, if this step computed one: without the factor of a lazy one."""
    penalty = outcomes["discriminator"].penalty
    return {} if penalty is None else {"loss/discriminator_penalty": penalty}


class Dashboard(Callback):
    """Outcomes, gradient norms, learning rates and images/s, every ``trainer.log_every_n_steps`` and at the last step.

    Steps between are not looked at: each number costs a synchronisation. Of a penalty that is computed only every so
    many steps, the latest is shown.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self._norms: dict[str, Tensor] = {}
        self._penalty: dict[str, Tensor | float] = {}
        self._since: tuple[float, int] = (0.0, 0)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run shows until it has computed another."""
        return {"penalty": {name: float(value) for name, value in self._penalty.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._penalty = dict(state_dict.get("penalty", {}))

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Start the clock."""
        self._since = (time.perf_counter(), trainer.global_step)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: GAN, optimizer: Optimizer) -> None:  # type: ignore[override]
        """Measure the gradient before it is clipped, in a step that is shown."""
        if is_shown(trainer, trainer.global_step + 1):
            name = STEPPED[trainer.optimizers.index(optimizer)]
            self._norms[f"grad_norm/{name}"] = gradient_norm(trainer, optimizer)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int
    ) -> None:
        """Log a step that is shown."""
        self._penalty |= latest_penalty(outputs)
        if not is_shown(trainer, trainer.global_step):
            return
        observed = observe(outputs) | self._penalty | self._norms
        self.latest = {name: float(value) for name, value in observed.items()}
        if trainer.world_size > 1:  # each process sees its share of the batch
            shares = torch.tensor([*self.latest.values()], device=pl_module.device)
            means = trainer.strategy.reduce(shares, reduce_op="mean").tolist()
            self.latest = dict(zip(self.latest, means, strict=True))
        self.latest["speed/images_per_second"] = self._speed(trainer, len(batch[0]) * trainer.world_size)
        for name, optimizer in zip(STEPPED, trainer.optimizers, strict=True):
            self.latest[f"lr/{name}"] = optimizer.param_groups[0]["lr"]
        log_scalars(trainer, self.latest)
        judged = outputs["discriminator"]
        log_histograms(trainer, {"logits/of_real": judged.real, "logits/of_fake": judged.fake})

    def _speed(self, trainer: Trainer, images_per_step: int) -> float:
        """Real images per second of wall time since the last look, evaluation and pictures included."""
        (then, step), now = self._since, time.perf_counter()
        self._since = (now, trainer.global_step)
        return (trainer.global_step - step) * images_per_step / (now - then)


def gradient_norm(trainer: Trainer, optimizer: Optimizer) -> Tensor:
    """The norm of a network's whole gradient, which is there when Lightning is about to step."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return nn.utils.get_total_norm(gradients) / gradient_scale(trainer, optimizer)


def is_shown(trainer: Trainer, step: int) -> bool:
    """Whether step ``step``, the first being 1, is one to look at."""
    every = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return every > 0 and (step % every == 0 or step == trainer.max_steps)
