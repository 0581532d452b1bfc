"""The shell around every entry point: Hydra composes, mistakes become one line."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dcgan.config.schema import CONF
from dcgan.shell.errors import explain, is_mistake, said_once
from dcgan.shell.folders import folder_name, named
from dcgan.shell.status import TakenError, read_status, write_status
from dcgan.shell.streams import Forgiving, forgiving
from dcgan.shell.sweep import SweepSummary, failed
from dcgan.shell.sweeper import DCGANSweeper
from dcgan.shell.words import STOP, as_typed, for_hydra, refuse_dashes, value_of


class Launch(NamedTuple):
    """How a job was started: what was typed, and the folder of the sweep it belongs to, if any."""

    overrides: Sequence[str]
    sweep: Path | None
    told: Path | None = None  # by hydra.run.dir, or of a job by its sweep

    def folder(self, name: str) -> Path:
        """A folder for this run: the one that Hydra was told, or one that does not exist yet; it is not made."""
        if self.told is not None:
            return self.told
        base = Path("outputs") / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{folder_name(name, named(self.overrides))}"
        candidates = (base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 1000)))
        return next(one for one in candidates if not one.exists())

    def standing_folder(self, name: str) -> Path:
        """The folder that follows from a run's name, whenever it is started."""
        return self.told or Path("outputs") / folder_name(name, [])


def _words(overrides: Any) -> list[str]:
    """As they were typed: iterating would resolve a ``${...}`` in them."""
    return OmegaConf.to_container(overrides, resolve=False)  # type: ignore[return-value]


def _not_there(words: Sequence[str]) -> list[Path]:
    """The folders that ``hydra.run.dir`` names and that do not exist yet, the innermost first."""
    told = [str(value_of(word)) for word in words if word.lstrip("+").startswith("hydra.run.dir=")]
    return [folder for path in map(Path, told) for folder in (path, *path.parents) if not folder.exists()]


Task = Callable[[DictConfig, Launch], Any]


RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # of a process among others


def cli(entry: str, task: Task) -> None:
    """Run ``task`` on the configuration ``conf/<entry>.yaml`` as the command line composes it.

    A mistake of the user's is printed in one line, and the process exits with 1; ``DCGAN_TRACEBACK=1`` shows all.
    """
    with forgiving() as out, said_once():
        _run(entry, task, out)


def _run(entry: str, task: Task, out: Forgiving) -> None:
    _set_environment()
    raised: list[Exception] = []
    ran: list[str] = []

    def job(config: DictConfig) -> Any:
        ran.append(entry)
        hydra_config = HydraConfig.get()
        sweep = Path(hydra_config.sweep.dir) if hydra_config.mode == RunMode.MULTIRUN else None
        told = hydra_config.run.dir if sweep is None else hydra_config.sweep.subdir
        folder = None if told == "." else (sweep or Path()) / told
        launch = Launch(overrides=as_typed(_words(hydra_config.overrides.task)), sweep=sweep, told=folder)
        if folder is not None and sweep is None and entry != "train":
            here = "name=" if entry == "tune" else "out="
            raised.append(ValueError(f"hydra.run.dir={told}: is of dcgan.train; here it is {here}"))
            return None
        if sweep is None and any(STOP in word for word in _words(hydra_config.overrides.hydra)):
            raised.append(ValueError("stop_on_failure: is of a sweep; add -m, or leave it out"))
            return None
        if sweep is not None:
            with forgiving(), said_once():  # once more: it may be in a process of its own
                return _sweep_job(entry, task, config, launch, stop=bool(hydra_config.sweeper.get("stop_on_failure")))
        try:
            return task(config, launch)
        except Exception as error:  # raised again below: inside a job, Hydra adds a line of its own
            raised.append(error)

    Plugins.instance().register(DCGANSweeper)
    try:
        refuse_dashes(sys.argv[1:], entry)
        sys.argv[1:] = for_hydra(sys.argv[1:], entry)
        unmade = _not_there(sys.argv[1:])
        try:
            if entry == "tune" and {"-m", "--multirun"} & {*sys.argv[1:]}:
                raise ValueError("-m: is of a sweep, python -m dcgan.train -m; a search draws for itself: leave it out")
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=entry)(job)()
        finally:
            for folder in unmade:  # Hydra makes it before anything is known of it
                with suppress(OSError):
                    folder.rmdir()
            out.flush()
            if out.lost and not ran and not SweepSummary.ended:  # --help | head: end as other programs do
                sys.exit(128 + signal.SIGPIPE)
        if raised:
            raise raised[0]
    except Exception as error:
        if not is_mistake(error) or os.environ.get("DCGAN_TRACEBACK") == "1":
            raise
        print(f"error: {explain(error, entry)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if SweepSummary.failed:
        sys.exit(1)


def _set_environment() -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    if told := os.environ.pop("DCGAN_DATA", "").strip():  # empty is as unset
        os.environ["DCGAN_DATA"] = told
    for name in RANKS:
        if not os.environ.get(name, "0").strip().isdecimal():  # a template's, left empty; Lightning would stumble
            del os.environ[name]


def _sweep_job(entry: str, task: Task, config: DictConfig, launch: Launch, *, stop: bool) -> Any:
    """Run one job of a sweep. It must not raise: that would end the sweep before its later jobs and its table."""
    shown = " ".join(launch.overrides)
    if stop and launch.sweep and launch.told and failed(launch.sweep):
        print(f"\n--- {shown}: not started, for a job has failed (stop_on_failure)")
        with suppress(OSError):
            launch.told.rmdir()  # which Hydra made
        return None
    print(f"\n--- {shown}", flush=True)
    try:
        return task(config, launch)
    except TakenError as error:  # since this sweep was planned, as by the same line in another terminal
        print(f"note: {error}", file=sys.stderr, flush=True)
        return None
    except Exception as error:
        SweepSummary.failed = True
        known = is_mistake(error) and os.environ.get("DCGAN_TRACEBACK") != "1"
        line = explain(error, entry) if known else f"{type(error).__name__}: {error}"
        print(f"error: {line}" if known else traceback.format_exc(), file=sys.stderr, flush=True)
        if launch.told and entry == "train":
            stays = {key: value for key, value in read_status(launch.told).items() if key in ("health", "rollbacks")}
            write_status(launch.told, state="failed", error=line, **stays)
        return None
    finally:
        gc.collect()  # a run holds itself in cycles; Python's own collector would let 90 MB a job pile up
