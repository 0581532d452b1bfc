"""Training a stretch of a run again, from one of its checkpoints to the next, to see that the same comes out."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback, Trainer
from omegaconf import OmegaConf
from torch import Tensor

from dcgan.config.check import check
from dcgan.config.options import Logger, Option
from dcgan.config.rules import shown
from dcgan.config.schema import TrainConfig
from dcgan.runs.checkpoints import load_checkpoint
from dcgan.runs.finite import tensors_of
from dcgan.runs.run import build_run, fit
from dcgan.shell.reading import from_json, small_text
from dcgan.shell.zoo import PREFIX
from dcgan.training.build import moved
from dcgan.training.gan import GAN
from dcgan.training.optim import WARMUP

COMPARED = ("state_dict", "optimizer_states")


class Stretch(NamedTuple):
    """From one checkpoint to the next; the first begins without one."""

    start: Path | None
    first_step: int
    end: Path
    last_step: int


def stretches(run: Path) -> list[Stretch]:
    """Those between the checkpoints that a run kept, in order.

    Raises:
        ValueError: one of them is damaged, or there are none; of a run that began with somebody's file, fewer than two.
    """
    steps: dict[int, Path] = {}
    init = ""
    for path in sorted((run / "checkpoints").glob("*.ckpt")):
        checkpoint = load_checkpoint(path)
        init = checkpoint["config"].get("init") or ""
        steps.setdefault(int(checkpoint["global_step"]), path)
    if not steps:
        raise ValueError(f"run={run}: has no checkpoints to compare with")
    found, before, at = [], None, 0
    for step, path in sorted(steps.items()):
        found.append(Stretch(before, at, path, step))
        before, at = path, step
    if init and not init.startswith(PREFIX):  # a run folder chooses no path here
        found = found[1:]
        if not found:
            raise ValueError(
                f"run={run}: began with init={init}, and has no two checkpoints between which to train again"
            )
    return found


def replay(run: Path, stretch: Stretch, *, root: str, folder: str | None = None) -> dict[str, float]:
    """Train it again, elsewhere: by how much each tensor differs at its end that is not the same, bit for bit.

    Evaluation, pictures and logging, of which training does not depend, are left out.

    Args:
        root: where data sets are kept.
        folder: where the images of a run of one's own are.

    Raises:
        ValueError: its learning rates followed the clock.
    """
    expected = load_checkpoint(stretch.end)
    config = check(OmegaConf.create(expected["config"]), TrainConfig)
    warms_up = config.optimizer.warmup is None and stretch.first_step < WARMUP
    if config.trainer.max_time is not None and (config.optimizer.schedule != "constant" or warms_up):
        told = f"optimizer.schedule={config.optimizer.schedule}, optimizer.warmup={shown(config.optimizer.warmup)}"
        raise ValueError(
            f"run={run}: its rates followed the clock (trainer.max_time={config.trainer.max_time}, {told}); only a run "
            "by steps can be trained again"
        )
    data = moved(config.data, root=root, folder=folder)
    quiet = replace(config.trainer, enable_checkpointing=False, enable_progress_bar=False, log_every_n_steps=0)
    never = 2**31
    config = replace(
        config,
        resume=str(run) if stretch.start else None,
        data=data,
        metrics=Option(name="none"),
        logger=Logger(name="none"),
        health=Option(name="off"),
        trainer=quiet,
        samples=replace(config.samples, every=never),
    )
    with tempfile.TemporaryDirectory() as temporary, _threads_of(run):
        again = build_run(config, Path(temporary) / "run", start=stretch.start)
        end = _End(stretch.last_step)
        again.trainer.callbacks = [end]  # type: ignore[attr-defined]
        fit(again)
    return dict(_differences(end.state, {key: expected[key] for key in COMPARED}))


class _End(Callback):
    """Stops at a step, and keeps what a checkpoint would hold then."""

    def __init__(self, step: int) -> None:
        self.step, self.state = step, dict[str, Any]()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        if trainer.global_step == self.step:
            trainer.should_stop = True
            pl_module.ema.fitted()
            optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
            self.state = {"state_dict": dict(pl_module.state_dict()), "optimizer_states": optimizers}


def _differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    there = dict(tensors_of(found))
    for name, value in tensors_of(expected):
        if name not in there or there[name].shape != value.shape:
            yield name, float("inf")
        elif not torch.equal(there[name].cpu(), value.cpu()):
            yield name, _largest(there[name].cpu(), value.cpu())


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).abs().max())


class _threads_of:  # noqa: N801
    """As many threads as the run had: another number adds up floating-point sums in another order."""

    def __init__(self, run: Path) -> None:
        self.run, self.before = run, torch.get_num_threads()

    def __enter__(self) -> None:
        try:
            origin = from_json(small_text(self.run / "provenance.jsonl").splitlines()[-1])
            torch.set_num_threads(int(origin["machine"]["threads"]))
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            pass

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)
