"""``dcgan.train`` that keeps what each step was given and drew, and its losses, in the folder ``WATCHED``."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcgan.data.latents import Draws
from dcgan.shell.cli import cli
from dcgan.train import main
from dcgan.training.gan import GAN

folder = Path(os.environ["WATCHED"])
drawn: list[Tensor] = []
own, step = Draws._own, GAN.training_step


def _own(self: Draws, values: Tensor) -> Tensor:
    result = own(self, values)
    drawn.append(result.clone())
    return result


def training_step(self: GAN, batch: tuple[Tensor, Tensor], batch_idx: int) -> Any:
    drawn.clear()
    number, rank = self.global_step, self.global_rank
    latents = [given.clone() for given, _ in self._rounds(*batch)]
    outcomes = step(self, batch, batch_idx)
    kept = {"images": batch[0], "labels": batch[1], "latents": torch.cat(latents), "drawn": list(drawn)}
    kept["losses"] = {name: float(outcome.total) for name, outcome in outcomes.items()}
    torch.save(kept, folder / f"{number:04d}_{rank}.pt")
    return outcomes


Draws._own = _own  # type: ignore[method-assign]
GAN.training_step = training_step  # type: ignore[method-assign, assignment]
folder.mkdir(parents=True, exist_ok=True)
cli("train", main)
