"""How a sweep ends: with a table, and exit code 1 if a job failed."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dcgan.shell.status import FILE, read_status, shown_results
from dcgan.shell.words import pasted


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
            SweepSummary.failed |= status["state"] in ("failed", "died")  # a job may have a process of its own
            print(f"  {status['state']:<12} {path.parent.name}  {status.get('error') or shown_results(status)}")
        print(f"  report   python -m dcgan.report {pasted('run', sweep)}", flush=True)


def has_failed(sweep: Path) -> bool:
    """Whether a job has failed since the sweep was started, or started again."""
    started = (sweep / "multirun.yaml").stat().st_mtime
    paths = [path for path in sweep.glob(f"*/{FILE}") if path.stat().st_mtime > started]
    return any(read_status(path.parent).get("state") == "failed" for path in paths)
