"""How a sweep ends: with a table, and exit code 1 if a job failed."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dcgan.shell.status import read_status


class SweepSummary(Callback):
    """After a sweep: one line per job, and exit code 1 if one failed."""

    failed = ended = False

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table."""
        sweep = Path(config.hydra.sweep.dir)
        print(f"\nsweep {sweep}")
        SweepSummary.ended = True
        for path in sorted(sweep.glob("*/status.json")):
            status = read_status(path.parent)
            SweepSummary.failed |= status["state"] in ("failed", "died")  # a job may have a process of its own
            result = status.get("error") or "  ".join(f"{k} {_shown(v)}" for k, v in status.get("results", {}).items())
            print(f"  {status['state']:<12} {path.parent.name}  {result}")


def _shown(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4g}"
