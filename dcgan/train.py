"""``python -m dcgan.train [group=option ...] [key=value ...]``: train a GAN, into a run folder.

From Python: ``dcgan.train(["loss=hinge", "trainer.max_steps=200"])``.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from dcgan.config.catalogue import CATALOGUE, OWN
from dcgan.config.check import check
from dcgan.config.options import OwnData
from dcgan.config.rules import expanded, shown
from dcgan.config.schema import TrainConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.composed import composed
from dcgan.shell.processes import this_process
from dcgan.shell.resume import AUTO, NothingLeftError, can_go_on, refuse_another, results_if_finished, resumed
from dcgan.shell.slurm import listen
from dcgan.shell.status import shown_results
from dcgan.shell.words import pasted, value_of

if TYPE_CHECKING:
    from dcgan.runs.evaluation import Judge
    from dcgan.runs.run import Run


def train(
    config: TrainConfig,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    in_sweep: bool = False,
    auto: bool = False,
    judge: "Judge | None" = None,
) -> dict[str, float]:
    """Train as ``config`` says, into ``folder``: a new one, or the one that ``config.resume`` names.

    Args:
        auto: the folder may be that of an attempt which never came to a checkpoint, or of a run that has taken all its
            steps.
        judge: asked after each evaluation but the last whether to go on; a run that is not stays ``pruned``.

    Returns:
        The run's numbers: steps, seconds, images/s, and the last and best FID where it was evaluated.

    Raises:
        ValueError, FileNotFoundError: before anything is written, one line on what is wrong.
        SystemExit: somebody asked it to stop; it is saved.
    """
    # torch loads here: --help, and what the configuration alone shows wrong, answer without it
    from dcgan.runs import run as runs

    try:
        run = runs.build_run(config, runs.shared_folder(folder))
    except NothingLeftError as error:
        if not auto:
            raise
        return runs.record_finished(folder, {"steps": error.step})  # killed between its last checkpoint and its status
    if in_sweep and run.trainer.world_size > 1:
        raise ValueError(f"trainer.devices={run.trainer.num_devices}: a job of a sweep trains on one device; take 1")
    if run.evaluation is not None:
        run.evaluation.judge = judge
    with runs.held(run, auto=auto):
        return _train(run, overrides, auto=auto)


def _train(run: "Run", overrides: Sequence[str], *, auto: bool) -> dict[str, float]:
    """In a folder that is ours."""
    from dcgan.runs import run as runs
    from dcgan.runs.rollback import fit_or_go_back
    from dcgan.runs.stop import leave

    runs.record_status(run, state="running", process=this_process())
    started = time.perf_counter()
    try:
        runs.record_start(run, overrides)
        while (again := fit_or_go_back(run)) is not None:
            run, started = again, time.perf_counter()  # as of a run that is resumed
            runs.record_status(run, state="running", process=this_process())
            runs.record_start(run, overrides)
    except BaseException as error:
        if run.stop.heard and isinstance(error, KeyboardInterrupt | SystemExit):  # told twice: stopped at once
            runs.record_status(run, state="interrupted")
            print(_next_steps(run, stopped=True), file=sys.stderr)
            raise SystemExit(128 + run.stop.heard) from error
        if isinstance(error, OSError) and error.errno and error.filename is None:  # of the dashboard's own
            error.filename = str(run.folder)
        with suppress(OSError):
            if run.folder.exists():
                runs.record_status(run, state="failed", error=f"{type(error).__name__}: {error}")
        raise
    if run.trainer.global_step == run.first_step:
        if run.start is None:
            runs.record_status(run, state="failed", error="no step was taken")
        else:  # nothing was left, as after a rollback in its last second
            runs.record_status(run, state="finished", results={"steps": run.first_step})
            if auto:
                return {"steps": run.first_step}
        raise ValueError(f"{run.folder}: no step was taken; raise trainer.max_steps, max_epochs or max_time")
    results = _results(run, seconds=time.perf_counter() - started)
    told = None if run.trainer.global_step == run.trainer.max_steps else run.stop.received  # in the last step: too late
    pruned = run.evaluation is not None and run.evaluation.pruned
    state = "pruned" if pruned else "interrupted" if told else "finished"
    runs.record_status(run, state=state, results=results)
    if run.trainer.is_global_zero:
        print(summary(run, results, stopped=state != "finished"), flush=True)
        for note in _never_reached(run) if state == "finished" else ():
            print(f"note: {note}", file=sys.stderr)
    if told:
        leave(run.trainer, told)
    return results


def _never_reached(run: "Run") -> Iterator[str]:
    """What a run was too short for."""
    from dcgan.runs.health import skipped

    steps, config = run.trainer.global_step, run.config
    if config.optimizer.warmup is not None and 0 < steps <= config.optimizer.warmup:
        yield f"optimizer.warmup={config.optimizer.warmup}: the run ended at step {steps}, before its rates had risen"
    every = getattr(config.penalty, "every", None)
    if every is not None and steps < every:
        yield f"penalty.every={every}: the run ended at step {steps}, before its first penalty"
    if (skips := skipped(run.trainer)) >= steps:
        told = f"{skips} or more updates in {steps} steps were skipped, since their gradients overflowed"
        yield f"trainer.precision=16-mixed: {told}; train longer, or take 32-true or bf16-mixed"


def _results(run: "Run", *, seconds: float) -> dict[str, float]:
    steps = run.trainer.global_step
    images = (steps - run.first_step) * run.config.data.batch_size * run.config.d_steps
    results = {"steps": steps, "seconds": round(seconds, 1), "images_per_second": round(images / seconds, 1)}
    if run.evaluation is not None and run.evaluation.latest is not None and run.evaluation.best is not None:
        name = run.evaluation.name
        results |= {name: run.evaluation.latest, f"best/{name}": run.evaluation.best}
    return results


def summary(run: "Run", results: dict[str, float], *, stopped: bool = False) -> str:
    """What a person wants to know when the bar is gone: the numbers, where things are, and what to type next."""
    minutes, seconds = divmod(round(results["seconds"]), 60)
    speed = f"{results['images_per_second']:.0f} images/s"
    word = "stopped at" if stopped else "finished"
    lines = [f"\n{word} step {results['steps']} after {minutes}:{seconds:02d} ({speed})", f"  run      {run.folder}"]
    evaluation = run.evaluation
    if evaluation is not None and evaluation.latest is not None:
        best = f"best {evaluation.best:.2f} at step {evaluation.best_step}"
        lines.append(f"  FID      {evaluation.latest:.2f} ({evaluation.name}; {best})")
    lines.append(f"  samples  {run.grids.path}")
    return "\n".join([*lines, _next_steps(run, stopped=stopped)]).rstrip()


def _next_steps(run: "Run", *, stopped: bool) -> str:
    if not run.last.exists():
        return ""
    if stopped:
        return f"  go on    python -m dcgan.train {pasted('resume', run.folder)}"
    word = pasted("run", run.folder)
    report = " ".join([word, *_told_again(run.config)])
    return f"  report   python -m dcgan.evaluate {report}\n  draw     python -m dcgan.generate {word} n=64 seed=3"


def _told_again(config: TrainConfig) -> list[str]:
    """What ``evaluate`` is to be told beside the run, whose word for a path it does not take, to measure anything."""
    data, weights = config.data, getattr(config.metrics, "weights", None)
    words = [pasted("data.folder", Path(data.folder))] if isinstance(data, OwnData) else []
    if config.metrics.name == OWN and data.root != (os.environ.get("DCGAN_DATA") or "data"):
        words.append(pasted("data.root", Path(data.root)))  # where its extractor is
    if weights is not None:
        words += [f"metrics={config.metrics.name}", pasted("metrics.weights", Path(weights))]
    elif config.metrics.name == "none" and not CATALOGUE[data.name].space:
        words.append(f"metrics={OWN}")
    return words


def start_or_go_on(
    config: DictConfig,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    in_sweep: bool = False,
    judge: "Judge | None" = None,
) -> dict[str, float]:
    """Train what ``config`` composes to in ``folder``, whatever there is of that run already: ``resume=auto``.

    Args:
        judge: as ``train`` takes it.

    Returns:
        The run's numbers, also of one that was finished already.

    Raises:
        ValueError: another run is in the folder, or as ``train``.
    """
    typed = check(config, TrainConfig, typed=overrides)
    if not (typed.trainer.enable_checkpointing or in_sweep):
        raise ValueError("resume=auto: goes on from checkpoints; leave trainer.enable_checkpointing as it is")
    if not can_go_on(folder):
        typed.resume = None
        return train(typed, folder, overrides=overrides, in_sweep=in_sweep, auto=True, judge=judge)
    run = check(resumed(config, overrides, folder=folder), TrainConfig)
    refuse_another(typed, run, folder=folder)
    run.resume = str(folder)
    if (results := results_if_finished(folder, run)) is not None:
        print(f"{folder}: finished already ({shown_results({'results': results})})")
        return results
    return train(run, folder, overrides=overrides, in_sweep=in_sweep, auto=True, judge=judge)


class Trained(NamedTuple):
    """A run that was trained, or was finished already."""

    folder: Path
    results: dict[str, float]  # steps, seconds, images_per_second, and the last and best FID where it was evaluated


def main(config: DictConfig, launch: Launch) -> dict[str, float]:
    """Train what the command line composed to."""
    listen()
    return _started(config, launch).results


def _started(config: DictConfig, launch: Launch) -> Trained:
    if launch.sweep is not None or shown(config.resume) == AUTO:
        folder = launch.standing_folder(check(config, TrainConfig, typed=launch.overrides).name)
        results = start_or_go_on(config, folder, overrides=launch.overrides, in_sweep=launch.sweep is not None)
        return Trained(folder, results)
    if config.resume is None:
        typed = check(config, TrainConfig, typed=launch.overrides)
        folder = launch.folder(typed.name)
        return Trained(folder, train(typed, folder, overrides=launch.overrides))
    folder = Path(expanded(shown(config.resume)))
    if launch.told is not None:
        raise ValueError(f"hydra.run.dir={launch.told}: resume={folder} goes on in its own folder; leave it out")
    typed = check(resumed(config, launch.overrides, folder=folder), TrainConfig)
    typed.resume = str(folder)
    return Trained(folder, train(typed, folder, overrides=launch.overrides))


class _Command(ModuleType):
    """This module as it is called: ``dcgan.train`` is the command's module, and in Python its function."""

    def __call__(self, overrides: Sequence[str] = ()) -> Trained:
        """Train what ``python -m dcgan.train <overrides>`` would.

        Args:
            overrides: the words, ``["experiment=quick", "trainer.max_steps=200"]``.

        Raises:
            ValueError, FileNotFoundError: one line on what is wrong.
            SystemExit: somebody asked it to stop; it is saved.
        """
        words = list(overrides)
        told = next((Path(value_of(word)) for word in words if word.startswith("hydra.run.dir=")), None)
        config = composed(words, entry="train")
        from dcgan.runs.called import nothing_left_behind  # torch loads here

        with nothing_left_behind():
            return _started(config, Launch(words, sweep=None, told=told))


sys.modules[__name__].__class__ = _Command

if __name__ == "__main__":
    cli("train", main)
