"""What is told of a sweep: a job that fails at once, all of them in a table at the end; exit code 1 if one failed."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dcgan.shell.status import FILE, read_status, shown_health, shown_results
from dcgan.shell.words import pasted

FAILED = ("failed", "died")


class SweepSummary(Callback):
    """After a sweep: one line per job, and exit code 1 if one failed."""

    failed = ended = False

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table."""
        sweep = Path(config.hydra.sweep.dir)
        print(f"\nsweep {sweep}")
        SweepSummary.ended = True
        for path in sorted(sweep.glob(f"*/{FILE}")):
            status = {"state": "unknown", **read_status(path.parent)}
            SweepSummary.failed |= status["state"] in FAILED  # a job may have a process of its own
            told = status.get("error") or "  ".join(filter(None, (shown_results(status), shown_health(status))))
            print(f"  {status['state']:<12} {path.parent.name}  {told}")
        print(f"  report   python -m dcgan.report {pasted('run', sweep)}", flush=True)


def failed(sweep: Path) -> list[Path]:
    """The jobs that have failed since the sweep was started, or started again."""
    started = (sweep / "multirun.yaml").stat().st_mtime
    paths = [path for path in sweep.glob(f"*/{FILE}") if path.stat().st_mtime > started]
    return [path.parent for path in sorted(paths) if read_status(path.parent).get("state") in FAILED]


@contextmanager
def told_at_once(sweep: Path, *, seconds: float = 2) -> Iterator[None]:
    """While jobs run whose words go to files of their own, as on SLURM: look so often, and tell which has failed."""
    over = threading.Event()
    watch = threading.Thread(target=_tell, args=(sweep, over, seconds), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _tell(sweep: Path, over: threading.Event, seconds: float) -> None:
    told: set[Path] = set()
    while not over.wait(seconds):
        for folder in {*failed(sweep)} - told:
            print(f"error: {folder}: {read_status(folder).get('error', 'died')}", file=sys.stderr, flush=True)
            told.add(folder)
