"""What the monitor (``health=on``) costs a run: a look every 50 steps, and what it keeps of the steps between.

    python experiments/speed/health.py

At the defaults and for networks without convolutions, whose steps are short. Looks and steps in turns, after a few
steps of training, in CPU-seconds of one thread; classes are counted in every second look. Appends to health.jsonl.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from record import record

from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.runs import run as runs
from dcgan.runs.monitor import Monitor
from dcgan.shell.composed import composed

RESULTS = Path(__file__).parent / "health.jsonl"
STEPS, WARMUP, EVERY = 60, 10, 50
RUNS = {"defaults": [], "mlp_gan": ["experiment=mlp_gan"]}


class Looks(Callback):
    """Times steps, and the monitor's looks after some of them, which it makes at every step here."""

    def __init__(self, monitor: Monitor) -> None:
        self.steps: list[float] = []
        self.looks: list[float] = []
        look = monitor._look

        def timed(trainer: Trainer, *given: Any) -> None:
            started = time.process_time()
            look(trainer, *given)
            self.looks.append(time.process_time() - started)

        monitor._look = timed  # type: ignore[method-assign]
        self._since = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        now = time.process_time()
        self.steps.append(now - self._since - self.looks[-1])
        self._since = time.process_time()


def measure(name: str, words: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        words = [*words, f"trainer.max_steps={STEPS}", "samples.every=1000000", "checkpoints.every=1000000"]
        words += ["metrics.every=1000000", "logger=none", "health.every=1", "trainer.enable_progress_bar=false"]
        config = check(composed(words, entry="train"), TrainConfig, typed=words)
        run = runs.build_run(config, Path(folder) / "run")
        assert run.monitor is not None
        timed = Looks(run.monitor)
        run.trainer.callbacks.append(timed)  # type: ignore[attr-defined]
        with runs.held(run, auto=False):
            runs.record_start(run, [])
            runs.record_status(run, state="running")
            runs.fit(run)
    step = statistics.median(timed.steps[WARMUP:])
    plain, counting = (statistics.median(timed.looks[WARMUP + i :: 2]) for i in (0, 1))
    found = {"seconds_a_step": step, "seconds_a_look": plain, "seconds_a_look_that_counts": counting}
    share = (plain + counting) / 2 / (EVERY * step)
    return {"run": name, **{key: round(value, 5) for key, value in found.items()}, "share": round(share, 5)}


def main() -> None:
    torch.set_num_threads(1)
    for name, words in RUNS.items():
        line = measure(name, words)
        record(RESULTS, line)
        print(line)


if __name__ == "__main__":
    main()
