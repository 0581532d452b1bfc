"""How a run ends when it is told to."""

import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Timer
from tqdm import tqdm

from dcgan.shell.slurm import deaf, queue_again, warnings_heard
from dcgan.training.gan import GAN
from dcgan.training.optim import ASK_EVERY

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class GracefulStop(Callback):
    """Ctrl-C, SIGTERM and a closed terminal (SIGHUP) finish the step, save, and stop.

    In a job of SLURM SIGUSR1 and SIGUSR2 do, too. A second Ctrl-C or SIGTERM stops at once, at the last checkpoint. A
    second SIGHUP does not: the shell and the kernel each send one when a terminal closes. Under ``nohup``, which has it
    ignored, it stays ignored.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None  # what all processes stop for
        self.heard: signal.Signals | None = None  # by this one; another's signal is no first of two
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Listen, where that is possible: only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.heard and number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt
            if self.heard:
                return
            self.heard = signal.Signals(number)
            tqdm.write(f"{self.heard.name}: finishing the step and saving; once more to stop at once", sys.stderr)

        heard = [n for n in STOP_SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, stop) for number in (*heard, *warnings_heard())}

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Stop after this step if told to; of several processes any one was, and all of them save together."""
        if trainer.world_size == 1:
            self.received = self.heard
        elif trainer.global_step % ASK_EVERY == 0:
            told = torch.tensor(self.heard or 0, device=trainer.strategy.root_device)
            number = int(trainer.strategy.reduce(told, reduce_op="max"))
            self.received = signal.Signals(number) if number else None
        trainer.should_stop = trainer.should_stop or self.received is not None

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Stop listening."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Stop listening."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class TimeLimit(Timer):
    """``trainer.max_time``, of which several processes ask the first every 20 steps; Lightning's own asks in each."""

    @property
    def state_key(self) -> str:
        """As Lightning's, in whose place it stands."""
        return Timer.__qualname__

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop after this step if the time is over."""
        if trainer.world_size == 1 or trainer.global_step % ASK_EVERY == 0:
            super().on_train_batch_end(trainer, *args, **kwargs)


def time_left(limit: Any, checkpoint: Mapping[str, Any]) -> float:
    """Seconds of ``trainer.max_time`` that a run has left which goes on from ``checkpoint``."""
    timer = TimeLimit(limit)
    timer.load_state_dict(checkpoint["callbacks"].get(timer.state_key, {}))
    return timer.time_remaining() or 0.0


def interrupted(trainer: Trainer) -> bool:
    """Whether somebody asked the run to stop."""
    return any(isinstance(callback, GracefulStop) and callback.received for callback in trainer.callbacks)  # type: ignore[attr-defined]


def told_to_stop(trainer: Trainer) -> bool:
    """Whether somebody asked this process, which stops after its next step at the latest."""
    return any(isinstance(callback, GracefulStop) and callback.heard for callback in trainer.callbacks)  # type: ignore[attr-defined]


def leave(trainer: Trainer, told: signal.Signals) -> NoReturn:
    """End a run that was told to stop and is saved, all its processes together, with what a scheduler understands.

    Raises:
        SystemExit: always, with 128 and the signal's number; a job of SLURM may be queued again.
    """
    deaf()
    if trainer.is_global_zero:
        queue_again(told)
    trainer.strategy.barrier()  # torchrun and srun end the others when one has ended so
    environment = getattr(trainer.strategy, "cluster_environment", None)
    child = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
    raise SystemExit(0 if child else 128 + told)  # of a child's, Lightning would kill the first process
