"""Back to before a run went wrong, at half the rate of the network to blame; what came after stays in ``branches/``."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback, Timer
from tqdm import tqdm

from dcgan.runs.act import BEST, Act, UnwellError, kept, names
from dcgan.runs.checkpoints import LAST, PREVIOUS, AtomicCheckpointIO, DamagedError, linked, load_checkpoint
from dcgan.runs.dashboard import STEPPED
from dcgan.runs.health import NotFiniteError
from dcgan.runs.monitor import Monitor
from dcgan.runs.remedies import REMEDIES
from dcgan.runs.rewind import steps_after
from dcgan.runs.run import Run, build_run, fit
from dcgan.shell.writing import replacing

FACTOR = 0.5  # of the rate, for each rollback that a network is blamed for


def fit_or_go_back(run: Run) -> Run | None:
    """Train to the end: None; or the run that is to go on instead, for ``health=act`` took this one back.

    Raises:
        UnwellError, NotFiniteError: it went wrong, and is not to go back, or not once more, or cannot.
    """
    try:
        fit(run)
    except (UnwellError, NotFiniteError) as error:
        return _went_back(run, error)
    return None


def _went_back(run: Run, error: UnwellError | NotFiniteError) -> Run:
    """The run as it goes on from the newest checkpoint that was well; its folder reads as if it had gone so at once."""
    act, found = run.act, kept(run.folder / "checkpoints")
    if act is None or act.config.action != "rollback" or run.stop.heard:
        raise error
    if found is None:
        raise ValueError(f"{error}; no checkpoint was kept to go back to") from error
    try:
        return _back_to(found, run, act, error)
    except (DamagedError, OSError) as reason:
        raise ValueError(f"{error}; cannot go back: {reason}") from error


def _back_to(found: Path, run: Run, act: Act, error: UnwellError | NotFiniteError) -> Run:
    checkpoint = load_checkpoint(found / f"{LAST}.ckpt")
    known = max(act.monitor.taken, checkpoint["callbacks"].get(Monitor.__qualname__, {}).get("taken", []), key=len)
    if len(known) >= act.config.rollbacks:
        raise ValueError(f"{error}; health.rollbacks={act.config.rollbacks} were taken") from error
    told = act.monitor.said if isinstance(error, NotFiniteError) else error.told
    network = error.network if isinstance(error, NotFiniteError) else REMEDIES[told["state"]].network
    step, at = int(checkpoint["global_step"]), run.trainer.global_step
    taken = [*known, {**told, "at": at, "back_to": step, "slower": network}]
    _slow_down(checkpoint, taken)
    callbacks: Sequence[Callback] = run.trainer.callbacks  # type: ignore[attr-defined]
    for timer in (one for one in callbacks if isinstance(one, Timer)):  # of trainer.max_time: what is over stays over
        checkpoint["callbacks"][timer.state_key] = timer.state_dict()
    _branch(run.folder, found, checkpoint, number=len(taken))
    _tell(taken, error, act)
    again = build_run(replace(run.config, resume=str(run.folder)), run.folder, start=run.last)
    if run.evaluation is not None and again.evaluation is not None:
        again.evaluation.judge = run.evaluation.judge
    assert again.monitor is not None
    again.monitor.taken = taken
    return again


def _slow_down(checkpoint: dict[str, Any], taken: Sequence[Mapping[str, Any]]) -> None:
    """Lower the rates in a checkpoint by the rollbacks that it does not know of yet, and tell it of them."""
    state = checkpoint["callbacks"].setdefault(Monitor.__qualname__, {})  # of one that was saved without: nothing
    for one in taken[len(state.get("taken", [])) :]:
        for group in checkpoint["optimizer_states"][STEPPED.index(one["slower"])]["param_groups"]:
            for key in ("lr", "initial_lr"):
                group[key] *= FACTOR
    state["taken"] = list(taken)


def _branch(folder: Path, found: Path, checkpoint: dict[str, Any], *, number: int) -> None:
    """Keep what came after the checkpoint beside the run, and put the checkpoint in its place, last of all.

    A process that is killed meanwhile goes on from where the run was, and comes here again.
    """
    step, branch, there = int(checkpoint["global_step"]), folder / "branches" / str(number), folder / "checkpoints"
    branch.mkdir(parents=True, exist_ok=True)
    with replacing(branch / "metrics.jsonl") as temporary:
        temporary.write_text("".join(f"{json.dumps(line)}\n" for line in steps_after(folder, step=step)))
    later = [path for path in there.glob("step_*") if _step_of(path) > step]
    for path in [*names(there, (LAST, BEST)), *later]:
        if not (branch / path.name).exists():  # else a process that was killed has come so far, or further
            linked(path, branch / path.name)
    for path in [path for path in folder.glob("samples/step_*.png") if _step_of(path) > step]:
        path.replace(branch / path.name)
    for path in [*later, *names(there, (PREVIOUS, BEST))]:
        path.unlink()
    for path in found.glob("*.generator.safetensors"):
        linked(path, there / path.name)
    for path in names(found, (BEST,)):
        linked(path, there / path.name)
    AtomicCheckpointIO().save_checkpoint(checkpoint, there / f"{LAST}.ckpt")


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step_").partition(".")[0])


def _tell(taken: Sequence[Mapping[str, Any]], error: Exception, act: Act) -> None:
    """What is done; why, the monitor has said, but of what is not finite."""
    one, number = taken[-1], len(taken)
    why = f"{error}; " if isinstance(error, NotFiniteError) else f"step {one['at']}: "
    where = f"back to step {one['back_to']}, at half optimizer.{one['slower']}.lr"
    tqdm.write(f"health: {why}{where} ({number} of {act.config.rollbacks}; branches/{number})", sys.stderr)
