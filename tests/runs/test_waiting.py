"""Who waits for the device."""

import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import config, options, recipes
from lightning import Callback, Trainer
from torch.utils._python_dispatch import TorchDispatchMode

from dcgan.runs.run import build_run, fit
from dcgan.training.gan import GAN

aten = torch.ops.aten


class Asked(TorchDispatchMode):
    """Keeps the operations that hand a number to Python, or whose result has a shape that only the device knows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in {aten._local_scalar_dense, aten.nonzero, aten.equal, aten.is_nonzero}:
            self.found.append("".join(traceback.format_stack(limit=6)))
        return func(*args, **(kwargs or {}))


RECIPES = [name for name in recipes() if name not in ("best", "best_stacked")]  # other steps, other data


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("loss=hinge", True),  # a control
        *((f"experiment={name}", False) for name in RECIPES),
        *((f"augment={name}", False) for name in options("augment")),
        *((f"optimizer={name} optimizer.clip=1 trainer.precision=16-mixed", False) for name in ("adam", "adamw")),
    ],
)
def test_no_step_waits_for_the_device_unless_it_is_looked_at(
    words: str, asks: bool, mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, where every such question can be counted: each would have a GPU finish first."""
    if asks:
        step = GAN.training_step
        monkeypatch.setattr(GAN, "training_step", lambda *args: (args[1][0].sum().item(), step(*args))[1])
    asked = Asked()

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 1:
                asked.__enter__()

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 2:
                asked.__exit__(None, None, None)

    told = [*words.split(), "metrics=none", "logger=none", "trainer.max_steps=3", "trainer.log_every_n_steps=1000"]
    run = build_run(config(*told, root=mnist_root), tmp_path / "run")
    run.trainer.callbacks.append(Watch())  # type: ignore[attr-defined]
    fit(run)
    assert len(asked.found) == asks, asked.found[0]
