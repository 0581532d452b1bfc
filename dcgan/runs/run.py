"""From a configuration to the parts of a run, and their start."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf

from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.metrics.protocol import read_records
from dcgan.runs.act import Act
from dcgan.runs.begin import begin_with
from dcgan.runs.callbacks import build_callbacks
from dcgan.runs.checkpoints import load_checkpoint, newest_whole
from dcgan.runs.evaluation import Evaluation
from dcgan.runs.hardware import ask_for_gpus_once, keep_freed_memory, resolve_hardware, several_processes
from dcgan.runs.health import NotFiniteError
from dcgan.runs.load import SUFFIX
from dcgan.runs.loggers import RunText, close, log_hyperparameters
from dcgan.runs.monitor import Monitor
from dcgan.runs.provenance import provenance
from dcgan.runs.rewind import clear, rewind, tidy
from dcgan.runs.samples import SampleGrids
from dcgan.runs.stop import GracefulStop, time_left
from dcgan.runs.trainer import build_trainer
from dcgan.shell.contents import what_is
from dcgan.shell.reading import plain_numbers
from dcgan.shell.resume import NothingLeftError, can_go_on
from dcgan.shell.status import FILE as STATUS
from dcgan.shell.status import TakenError, owned, shown_results, write_status
from dcgan.shell.words import pasted
from dcgan.shell.writing import append_json, refuse_link, replacing
from dcgan.training.build import build_data, build_gan, with_facts
from dcgan.training.gan import GAN


@dataclass
class Run:
    """The parts of a training run, ready to start; ``config`` has the machine's choices filled in."""

    config: TrainConfig
    folder: Path
    gan: GAN
    data: ImageData
    trainer: Trainer
    evaluation: Evaluation | None
    grids: SampleGrids
    stop: GracefulStop
    monitor: Monitor | None = None
    act: Act | None = None
    start: Path | None = None  # the checkpoint that it goes on from
    first_step: int = 0

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "checkpoints" / "last.ckpt"


def build_run(config: TrainConfig, folder: Path, *, start: Path | None = None) -> Run:
    """Everything that training needs. What can be refused is refused here; ``folder`` is not touched.

    Args:
        start: the checkpoint to go on from; None: the newest in ``folder``, if ``config`` is of a resumed run.

    Raises:
        NothingLeftError: it has taken all its steps.
        ValueError, FileNotFoundError: one line on what is wrong and what to do.
    """
    hardware = resolve_hardware(config.trainer)
    if not several_processes(config.trainer.num_nodes, hardware):
        rank_zero_only.rank = 0  # type: ignore[attr-defined]  # another program's variables would say it is the second
    config, notes = with_facts(config)
    _say(notes, config)
    ask_for_gpus_once()
    if config.fast:
        keep_freed_memory()
    if config.resume is not None and start is None:
        start = checkpoint_in(folder)
        _refuse_ended(config, start)
    first_step = step_of(start) if start else 0
    of_run = {"precision": hardware["precision"]} | (
        {"detect_anomaly": False} if start else {}
    )  # that of this time alone
    resolved = replace(config, resume=None, trainer=replace(config.trainer, **of_run))
    gan, data = build_gan(config), build_data(config)
    if config.init is not None and config.resume is None:
        begin_with(gan, config)
    data.setup("fit")
    data.check_batch()  # what a judge of one's own is trained for minutes before
    callbacks = build_callbacks(config, folder, gan=gan, data=data, saved=resolved)
    from_step = first_step if start else None
    trainer = build_trainer(config, folder, hardware=hardware, callbacks=callbacks.in_order, from_step=from_step)
    data.check_batch(world=trainer.world_size, pack=gan.discriminator.pack)
    if callbacks.act is not None and trainer.world_size > 1:
        raise ValueError(f"health=act: is of one process, and this run has {trainer.world_size}; take health=on")
    asked = {name: getattr(callbacks, name) for name in ("evaluation", "grids", "stop", "monitor", "act")}
    return Run(resolved, folder, gan, data, trainer, start=start, first_step=first_step, **asked)


def _refuse_ended(config: TrainConfig, start: Path) -> None:
    """Raise NothingLeftError, with what to do for more, if all steps, epochs or time are over at ``start``."""
    asked, saved = config.trainer, load_checkpoint(start)
    step, loop = saved["global_step"], saved["loops"]["fit_loop"]
    ended = loop["epoch_loop.batch_progress"]["is_last_batch"]  # saved before the epoch itself was counted, perhaps
    epochs = loop["epoch_progress"]["current"]["ready" if ended else "processed"]
    if 0 <= asked.max_steps <= step:
        at = f"step {step} of trainer.max_steps={asked.max_steps}"
    elif asked.max_epochs is not None and 0 <= asked.max_epochs <= epochs:
        at = f"step {step}, after {epochs} of trainer.max_epochs={asked.max_epochs}"
    elif asked.max_time is not None and time_left(asked.max_time, saved) <= 0:
        at = f"step {step}, at the end of trainer.max_time={asked.max_time}"
    else:
        return
    more, generator = "type a larger one", start.with_name(f"{start.stem}{SUFFIX}")
    if config.optimizer.schedule != "constant":  # a longer one would be another run from its first step on
        more = "its rates have fallen to the end; start a new run"
        more += f", or one with {pasted('init', generator)}" if generator.exists() else ""
    raise NothingLeftError(f"resume={start.parents[1]}: it stands at {at}; {more}", step=step)


@rank_zero_only
def _say(notes: Sequence[str], config: TrainConfig) -> None:
    """What was found in one's own images, before anything starts."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if notes and config.metrics.name == "none":
        print("note: no FID is measured; metrics=own trains an extractor on these images, in minutes", file=sys.stderr)


def shared_folder(folder: Path) -> Path:
    """The first process's folder: those that Lightning starts for further devices repeat the whole command."""
    starter, _, told = os.environ.get("DCGAN_RUN_FOLDER", "").partition(":")
    if os.environ.get("LOCAL_RANK", "0") != "0" and starter == str(os.getppid()):
        return Path(told)
    os.environ["DCGAN_RUN_FOLDER"] = f"{os.getpid()}:{folder}"
    return folder


@contextmanager
def held(run: Run, *, auto: bool) -> Iterator[None]:
    """The run folder, which is made, held against other processes by the first of this run's.

    Args:
        auto: it may hold what an attempt left that never came to a checkpoint.

    Raises:
        ValueError: another process has it, or had it while this one got ready; or something else is in it.
    """
    if not run.trainer.is_global_zero:
        yield
        return
    _refuse_occupied(run, auto=auto)  # before there is a lock in it
    with owned(run.folder, wait=auto):
        _refuse_occupied(run, auto=auto)
        yield


WRITTEN = ("checkpoints", "samples", "csv", "branches", "metrics.jsonl", "provenance.jsonl")  # other files are replaced


def _refuse_occupied(run: Run, *, auto: bool) -> None:
    """What was found before the folder was held must still be so."""
    folder = run.folder
    for name in WRITTEN:
        refuse_link(folder / name)
    there = {path.name for path in folder.iterdir() if path.name[0] != "."} - {STATUS} if folder.exists() else set()
    if run.start is not None:
        if newest_whole(folder / "checkpoints") != run.start or step_of(run.start) != run.first_step:
            raise TakenError(f"{folder}: another process went on with it meanwhile; type the same line again")
    elif auto and can_go_on(folder):
        raise TakenError(f"{folder}: another process began with it meanwhile; type the same line again")
    elif there and not (auto and "config.yaml" in there):
        hint = f", or {pasted('resume', folder)}" if can_go_on(folder) else ""
        raise ValueError(f"{folder}: is not empty; choose another folder{hint}")


@rank_zero_only
def record_start(run: Run, overrides: Sequence[str]) -> None:
    """Write the resolved configuration and where it came from; a resumed run adds a line on where it went on.

    What was recorded after the step that it goes on from is taken back.
    """
    tidy(run.folder)
    if run.start is None:
        clear(run.folder)
    else:
        rewind(run.folder, step=run.first_step)
    if run.start not in (None, run.last) and run.last.exists():  # damaged, and must not become the one before
        run.last.replace(run.last.with_name("last.ckpt.damaged"))
    config = OmegaConf.create(asdict(run.config))
    origin = provenance(overrides, device=run.trainer.strategy.root_device)
    with replacing(run.folder / "config.yaml") as temporary:
        OmegaConf.save(config, temporary)
    append_json(run.folder / "provenance.jsonl", origin)
    texts = RunText({"run/config": OmegaConf.to_yaml(config), "run/command": shlex.join(origin["command"])})
    run.trainer.callbacks.append(texts)  # type: ignore[attr-defined]


@rank_zero_only
def record_status(run: Run, **status: Any) -> None:
    """Write ``status.json``, with the run's health once there was a look at it."""
    health = {"health": run.monitor.said} if run.monitor and run.monitor.said else {}
    rollbacks = {"rollbacks": run.monitor.taken} if run.monitor and run.monitor.taken else {}
    write_status(run.folder, **status, **health, **rollbacks)


def record_finished(folder: Path, results: dict[str, float]) -> dict[str, float]:
    """Say of a run which has taken all its steps, and was killed before it could, that it is finished.

    Its last evaluation stands in ``metrics.jsonl``; of several processes the first says so.
    """
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        with owned(folder, wait=True):
            records = [one for one in read_records(folder / "metrics.jsonl") if _is_fid(one)]
            if records:
                best = min(records, key=lambda record: float(record["value"]))
                results |= {records[-1]["metric"]: records[-1]["value"], f"best/{best['metric']}": best["value"]}
                results = plain_numbers(results)
            write_status(folder, state="finished", results=results)
            print(f"{folder}: finished already ({shown_results({'results': results})})")
    return results


def _is_fid(record: Mapping[str, Any]) -> bool:
    """Whether it is of an evaluation while training; one whose value was not finite is none."""
    numbers = isinstance(record.get("value"), int | float)
    return numbers and isinstance(record.get("metric"), str) and record.get("split") == "train"


def checkpoint_in(folder: Path) -> Path:
    """The checkpoint that a resumed run goes on from.

    Raises:
        ValueError: there is none.
    """
    found = newest_whole(folder / "checkpoints")
    if found is None:
        kind = what_is(folder / "checkpoints" / "last.ckpt")
        words = f"its checkpoints/last.ckpt is {kind}" if kind else "it has no checkpoints/last.ckpt to go on with"
        raise ValueError(f"resume={folder}: {words}")
    return found


def step_of(checkpoint: Path) -> int:
    """The step that it was saved at."""
    return int(load_checkpoint(checkpoint)["global_step"])


def fit(run: Run) -> None:
    """Train, from the start or from a checkpoint.

    Raises:
        NotFiniteError: something is not finite; with ``trainer.detect_anomaly``, which operation it came from.
    """
    log_hyperparameters(run.trainer, asdict(run.config), begins=run.start is None)
    try:
        run.trainer.fit(run.gan, run.data, ckpt_path=run.start, weights_only=True)
    except MisconfigurationException as error:  # which Lightning finds only now
        raise ValueError(f"trainer: {' '.join(str(error).split())}") from error
    except RuntimeError as error:
        if "returned nan values" not in str(error):
            raise
        raise NotFiniteError(f"step {run.trainer.global_step + 1}: {error} (where it was called: above)") from error
    finally:
        close(run.trainer)
