"""How a run ends when it is told to."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning import Callback, Trainer
from tqdm import tqdm

from dcgan.training.gan import GAN

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ASK_EVERY = 20  # steps; each question to the other processes waits for them


class GracefulStop(Callback):
    """Ctrl-C, SIGTERM and a closed terminal (SIGHUP) finish the step, save, and stop.

    A second Ctrl-C or SIGTERM stops at once, at the last checkpoint. A second SIGHUP does not: the shell and the kernel
    each send one when a terminal closes. Under ``nohup``, which has it ignored, it stays ignored.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Listen, where that is possible: only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.received and number != signal.SIGHUP:
                raise KeyboardInterrupt
            if self.received:
                return
            self.received = signal.Signals(number)
            tqdm.write(f"{self.received.name}: finishing the step and saving; once more to stop at once", sys.stderr)

        heard = [n for n in STOP_SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, stop) for number in heard}

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Stop after this step if told to; of several processes any one was, and all of them save together."""
        told = self.received is not None
        if trainer.world_size > 1:
            if trainer.global_step % ASK_EVERY:
                return
            told = trainer.strategy.reduce_boolean_decision(told, all=False)
            self.received = self.received or (signal.SIGTERM if told else None)
        trainer.should_stop = trainer.should_stop or told

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


def interrupted(trainer: Trainer) -> bool:
    """Whether somebody asked the run to stop."""
    return any(isinstance(callback, GracefulStop) and callback.received for callback in trainer.callbacks)  # type: ignore[attr-defined]
