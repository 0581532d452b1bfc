"""What safety costs a run at the defaults: saving, and of that the digests and fsync; the lock; a look at the folder.

    python experiments/speed/saving.py

Saves are made with digests and fsync and without, in turns, after a few steps of training. A run saves the last
checkpoint every 500 steps, and at most as often the best; the share is of the time that 500 steps take here, on one
thread. Appends to saving.jsonl.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from bench import build_run
from lightning import Callback, Trainer
from record import record

from dcgan.runs import checkpoints, load
from dcgan.runs import run as runs
from dcgan.shell.status import owned

RESULTS = Path(__file__).parent / "saving.jsonl"
STEPS, SAVES, EVERY = 12, 21, 500


class Saves(Callback):
    """Times steps, then saves in turns."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.saves: dict[str, list[float]] = {"safe": [], "bare": []}
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.steps.append(time.perf_counter() - self._since)
        self._since = time.perf_counter()

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        (saver,) = [one for one in trainer.callbacks if isinstance(one, checkpoints.Checkpoints)]  # type: ignore[attr-defined]
        for i in range(2 * SAVES):
            name = ("safe", "bare")[i % 2]
            started = time.perf_counter()
            if name == "safe":
                saver._save(trainer, "last")
            else:
                with (
                    mock.patch.object(os, "fsync"),
                    mock.patch.object(checkpoints, "sealed", lambda archive: archive),
                    mock.patch.object(load, "_digest", return_value=""),
                ):
                    saver._save(trainer, "last")
            self.saves[name].append(time.perf_counter() - started)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        words = [f"trainer.max_steps={STEPS}", "samples.every=1000000", "checkpoints.every=1000000", "logger=none"]
        run = build_run(words, root=os.environ.get("DCGAN_DATA", "data"), folder=Path(folder) / "run")
        timed = Saves()
        run.trainer.callbacks.append(timed)
        with runs.held(run, auto=False):
            runs.record_start(run, [])
            runs.record_status(run, state="running")
            runs.fit(run)
        size = (Path(folder) / "run" / "checkpoints" / "last.ckpt").stat().st_size
        locks, looks = [], []
        for _ in range(20):
            started = time.perf_counter()
            with owned(Path(folder) / "another"):
                locks.append(time.perf_counter() - started)
            started = time.perf_counter()
            (Path(folder) / "run" / "status.json").exists()
            looks.append(time.perf_counter() - started)
    step = statistics.median(timed.steps[2:])
    safe, bare = (statistics.median(timed.saves[name][1:]) for name in ("safe", "bare"))
    line = {
        "seconds_a_step": round(step, 4),
        "seconds_a_save": {"safe": round(safe, 4), "bare": round(bare, 4)},
        "bytes": size,
        "microseconds": {"lock": 1e6 * statistics.median(locks), "look": 1e6 * statistics.median(looks)},
        "share_of_two_saves_in_500_steps": 2 * safe / (EVERY * step),
        "share_of_digests_and_fsync": 2 * (safe - bare) / (EVERY * step),
    }
    record(RESULTS, line)
    print(line)


if __name__ == "__main__":
    main()
