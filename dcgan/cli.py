"""The shell around every entry point: Hydra composes, mistakes become one line, a sweep ends with a table."""

import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dcgan.config.check import unknown_key
from dcgan.config.folders import folder_name, named
from dcgan.config.schema import CONF, SCHEMAS
from dcgan.status import write_status

USER_ERRORS = (ValueError, OSError, HydraException, OmegaConfBaseException)


class Launch(NamedTuple):
    """How a job was started: what was typed, and the folder of the sweep it belongs to, if any."""

    overrides: Sequence[str]
    sweep: Path | None

    def folder(self, name: str) -> Path:
        """A folder for this job's run that does not exist yet; it is not made."""
        if self.sweep is None:
            told = named(self.overrides)
            base = Path("outputs") / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{folder_name(name, told)}"
        else:
            base = self.sweep / folder_name(name, _varied(self.sweep, self.overrides))
        candidates = (base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 1000)))
        return next(candidate for candidate in candidates if not candidate.exists())


def _varied(sweep: Path, overrides: Sequence[str]) -> list[str]:
    """Those of a job's overrides that differ from job to job; Hydra keeps what was typed in ``multirun.yaml``."""
    parser = OverridesParser.create()
    typed = parser.parse_overrides(_words(OmegaConf.load(sweep / "multirun.yaml").hydra.overrides.task))
    keys = {override.key_or_group for override in typed if override.is_sweep_override()}
    own = zip(overrides, parser.parse_overrides(list(overrides)), strict=True)
    return [text for text, override in own if override.key_or_group in keys]


def _words(overrides: Any) -> list[str]:
    """As they were typed: iterating would resolve a ``${...}`` in them."""
    return OmegaConf.to_container(overrides, resolve=False)  # type: ignore[return-value]


Task = Callable[[DictConfig, Launch], Any]


def cli(entry: str, task: Task) -> None:
    """Run ``task`` on the configuration ``conf/<entry>.yaml`` as the command line composes it.

    A mistake of the user's is printed in one line, and the process exits with 1; ``DCGAN_TRACEBACK=1`` shows all.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    raised: list[Exception] = []

    def job(config: DictConfig) -> Any:
        hydra_config = HydraConfig.get()
        sweep = Path(hydra_config.sweep.dir) if hydra_config.mode == RunMode.MULTIRUN else None
        launch = Launch(overrides=_words(hydra_config.overrides.task), sweep=sweep)
        if sweep is not None:
            return _sweep_job(entry, task, config, launch)
        try:
            return task(config, launch)
        except Exception as error:  # raised again below: inside a job, Hydra adds a line of its own
            raised.append(error)

    try:
        try:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=entry)(job)()
        finally:
            _flush()
        if raised:
            raise raised[0]
    except USER_ERRORS as error:
        if os.environ.get("DCGAN_TRACEBACK") == "1":
            raise
        sys.exit(f"error: {explain(error, entry)}")
    except KeyboardInterrupt:
        sys.exit(130)
    if SweepSummary.failed:
        sys.exit(1)


def _flush() -> None:
    """Write out what was printed; where nobody reads any more, as after ``--help | head``, end as other programs do."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes
        sys.exit(128 + signal.SIGPIPE)


def explain(error: Exception, entry: str) -> str:
    """One line for a user's mistake."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not key=value; quote a value that holds =, commas or brackets: 'key=\"a=b\"'"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={option}: no such option; there are {', '.join(error.options)}"
    if text.startswith("Ambiguous value for argument"):
        return f"{text.split(chr(39))[1]}: several values are a sweep; add -m (python -m dcgan.{entry} -m ...)"
    if match := re.match(r"Could not override '(.+?)'", text):
        return unknown_key(match[1], SCHEMAS[entry])
    if isinstance(error, HydraException | OmegaConfBaseException):
        return text.splitlines()[0]
    return " ".join(text.split())


def _sweep_job(entry: str, task: Task, config: DictConfig, launch: Launch) -> Any:
    """Run one job of a sweep. It must not raise: that would end the sweep before its later jobs and its table."""
    print(f"\n--- {' '.join(launch.overrides)}")
    folder = launch.folder(str(config.get("name")))
    try:
        return task(config, launch)
    except Exception as error:
        SweepSummary.failed = True
        known = isinstance(error, USER_ERRORS) and os.environ.get("DCGAN_TRACEBACK") != "1"
        line = explain(error, entry) if known else f"{type(error).__name__}: {error}"
        print(f"error: {line}" if known else traceback.format_exc(), file=sys.stderr)
        write_status(folder, state="failed", error=line)
        return None


class SweepSummary(Callback):
    """After a sweep: one line per job, and exit code 1 if one failed."""

    failed = False

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table."""
        sweep = Path(config.hydra.sweep.dir)
        print(f"\nsweep {sweep}")
        for path in sorted(sweep.glob("*/status.json")):
            status = json.loads(path.read_text())
            SweepSummary.failed |= status["state"] == "failed"  # the job may have run in a process of its own
            result = status.get("error") or "  ".join(f"{k} {v:.4g}" for k, v in status.get("results", {}).items())
            print(f"  {status['state']:<12} {path.parent.name}  {result}")
