"""A sweep before its first job: all are composed, checked and named by what varies; only what is missing is run."""

import copy
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dcgan.config.check import check, has_no_use
from dcgan.config.options import GROUPS
from dcgan.config.rules import one_line
from dcgan.config.schema import TrainConfig
from dcgan.shell.errors import USER_ERRORS, explain
from dcgan.shell.folders import folder_name
from dcgan.shell.resume import AUTO, can_go_on, refuse_another, results_if_finished, resumed
from dcgan.shell.status import read_status
from dcgan.shell.submitted import watch_without_accounts
from dcgan.shell.sweep import SweepSummary, told_at_once
from dcgan.shell.words import as_typed

CHOICES = {*GROUPS, "experiment", "sweep"}  # of files; all other words set values


class Job(NamedTuple):
    """One run of a sweep."""

    words: tuple[str, ...]  # of the command line, as Hydra is given them
    varied: tuple[str, ...]  # those of them that differ from job to job, as they were typed
    config: DictConfig | Exception  # why there is none
    subdir: str  # as Hydra was told; a dot: it was not


class Planned(NamedTuple):
    """A job and the folder that follows from what varied."""

    words: tuple[str, ...]
    folder: str
    state: str  # finished, running (in another process), or whatever its folder says; empty: there is none


class DCGANSweeper(Sweeper):
    """Hydra's grid, but that nothing starts where one job cannot, and that what is done already is left alone.

    Args:
        params: what is swept unless it is typed, ``{"seed": "0,1,2"}``.
        stop_on_failure: start no job after one has failed.
    """

    def __init__(self, params: dict[str, str] | None, stop_on_failure: bool) -> None:
        self.params, self.stop_on_failure = params or {}, stop_on_failure

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra has, and the launcher that was chosen."""
        self.config, self.loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Check and name all jobs, then launch those that are not finished.

        Raises:
            ValueError: some cannot run; which, and why, is printed before, and nothing was started.
        """
        assert self.config is not None
        assert self.launcher is not None
        if self.stop_on_failure not in (True, False):
            raise ValueError(f"stop_on_failure={self.stop_on_failure}: must be true or false")
        folder, typed = Path(self.config.hydra.sweep.dir), [*(f"{k}={v}" for k, v in self.params.items()), *arguments]
        if (folder / "multirun.yaml").exists() and not _is_named(self.config):
            raise ValueError(f"{folder}: another sweep was started in this second; give this one a name=")
        jobs = plan(_jobs(typed, self.loader, self.config), folder)
        print(f"sweep {folder}: {_counted(jobs)}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        batch = [[*job.words, f"hydra.sweep.subdir={job.folder}"] for job in jobs if not _is_over(job)]
        elsewhere = "submitit" in self.config.hydra.launcher._target_
        if elsewhere:
            watch_without_accounts()
        try:
            with told_at_once(folder) if elsewhere else nullcontext():
                return self.launcher.launch(batch, initial_job_idx=0) if batch else []
        except (SystemExit, KeyboardInterrupt):
            if _is_named(self.config):
                print(f"sweep {folder}: stopped; the same line goes on with it", file=sys.stderr)
            raise
        except Exception as error:  # of the launcher: a job's own become a row of the table
            SweepSummary.failed = True
            print(f"error: {type(error).__name__}: {one_line(str(error))}", file=sys.stderr)


DCGANSweeper.__module__ = (
    "hydra_plugins.dcgan"  # Hydra takes sweepers from that package alone: it is there by this name too
)
sys.modules[DCGANSweeper.__module__] = sys.modules[__name__]


def _is_named(config: DictConfig) -> bool:
    return any(str(word).startswith("hydra.sweep.dir=") for word in config.hydra.overrides.hydra)


def _is_over(job: Planned) -> bool:
    return job.state in ("finished", "running")


def _counted(jobs: Sequence[Planned]) -> str:
    """``8 jobs (3 finished already, 1 died)``."""
    words = {"finished": "finished already"}
    counts = Counter(job.state for job in jobs if job.state)
    known = [
        f"{counts[state]} {words.get(state, state)}"
        for state in sorted(counts, key=lambda state: (state != "finished", state))
    ]
    return f"{len(jobs)} jobs" + (f" ({', '.join(known)})" if known else "")


def _jobs(words: Sequence[str], loader: Any, master: DictConfig) -> Iterator[Job]:
    """Every combination of what is swept, composed. Files are read once for each choice of options.

    Raises:
        ValueError: no job has a use for some key, and so none of its values was refused.
    """
    parser = OverridesParser.create(config_loader=loader)
    typed = {one.key_or_group: one for one in parser.parse_overrides(list(words))}  # of one key the last
    swept = {key for key, one in typed.items() if one.is_sweep_override()}
    read = cache(parser.parse_override)
    compose = cache(lambda choices: loader.load_sweep_config(master, list(choices)))
    used: set[str] = set()
    for number, combination in enumerate(itertools.product(*map(_values, typed.values()))):
        overrides = [read(word) for word in combination]
        try:
            job = _composed(overrides, swept, compose, number)
        except USER_ERRORS as error:  # an option that is not there
            job = Job(combination, _varied(overrides, swept), error, ".")
        used |= {read(word).key_or_group for word in job.words}
        yield job
    if unused := typed.keys() - used:
        raise ValueError(f"{min(unused)}: no job of this sweep has a use for it; leave it out")


def _values(override: Override) -> list[str]:
    """The words that an override stands for in one job or the other."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        (word,) = as_typed([str(override.input_line)])
        raise ValueError(f"{word}: a sweep takes values, a,b,c; intervals are of dcgan.tune")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _composed(
    overrides: Sequence[Override], swept: set[str], compose: Callable[[tuple[str, ...]], DictConfig], number: int
) -> Job:
    values = [one for one in overrides if _is_value(one)]
    config = copy.deepcopy(compose(tuple(str(one.input_line) for one in overrides if not _is_value(one))))
    foreign = []
    with open_dict(config):
        for one in sorted(values, key=lambda one: not one.key_or_group.endswith(".name")):
            if one.is_add() and OmegaConf.select(config, one.key_or_group) is not None:
                raise ValueError(f"{one.input_line}: there is a {one.key_or_group} already; leave out the +")
            if _is_foreign(one, config, swept):
                foreign.append(one)
            else:
                OmegaConf.update(config, one.key_or_group, one.value(), merge=True, force_add=True)
        config.hydra.job.num = number  # which the subfolder may be called by
        subdir = str(config.hydra.sweep.subdir)
        del config["hydra"]
    used = [one for one in overrides if one not in foreign]
    return Job(tuple(str(one.input_line) for one in used), _varied(used, swept), config, subdir)


def _varied(overrides: Sequence[Override], swept: set[str]) -> tuple[str, ...]:
    return tuple(as_typed([str(one.input_line) for one in overrides if one.key_or_group in swept]))


def _is_value(override: Override) -> bool:
    return override.key_or_group not in CHOICES and override.package is None and not override.is_delete()


def _is_foreign(override: Override, config: DictConfig, swept: set[str]) -> bool:
    """Whether it is a key of an option that this job has not chosen, where other jobs choose others."""
    group = override.key_or_group.partition(".")[0]
    names = {key for key in swept if key.startswith(f"{group}.") and key.endswith(".name")}
    return bool(({group, "experiment"} & swept) | names) and has_no_use(config, override.key_or_group)


def plan(jobs: Iterator[Job], sweep: Path) -> list[Planned]:
    """Each run once, with its folder in ``sweep`` and what is known of it.

    Raises:
        ValueError: some jobs cannot run; each was named on the way.
    """
    planned: list[Planned] = []
    wrong: dict[tuple[str, ...], str] = {}
    seen: set[str] = set()
    names: Counter[str] = Counter()
    for job in {job.words: job for job in jobs}.values():
        try:
            if isinstance(job.config, Exception):
                raise job.config
            config = check(job.config, TrainConfig, typed=as_typed(job.words))
            if config.resume not in (None, AUTO):
                raise ValueError(f"resume={config.resume}: is of one run; a sweep goes on by its name=")
            if (identity := repr(asdict(config))) not in seen:
                seen.add(identity)
                name = _name(job, config, names)
                planned.append(Planned(job.words, name, _state(job.config, job.words, config, sweep / name)))
        except USER_ERRORS as error:
            wrong[job.varied] = explain(error, "train")
    if len({*wrong.values()}) == 1 and not planned:
        raise ValueError(next(iter(wrong.values())))
    for varied, line in wrong.items():
        job_named = f"{' '.join(varied)}: "
        print(f"error: {'' if line.startswith(job_named) else job_named}{line}", file=sys.stderr)
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(wrong) + len(planned)} jobs cannot run (above); none was started")
    return planned


def _name(job: Job, config: TrainConfig, names: Counter[str]) -> str:
    """By what varied, or as ``hydra.sweep.subdir`` says; with a number where it is another job's already."""
    told = [word for word in job.varied if not word.startswith("name=")]
    name = folder_name(config.name, told) if job.subdir == "." else job.subdir
    names[name] += 1
    return name if names[name] == 1 else f"{name}-{names[name]}"


def _state(composed: DictConfig, words: Sequence[str], config: TrainConfig, folder: Path) -> str:
    """What became of a job so far.

    Raises:
        ValueError: another run is in its folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: a file is where the job's folder would be; take another name=")
    state = str(read_status(folder).get("state", ""))
    visible = [path.name for path in folder.glob("[!.]*")]  # a lock, or what a killed writer left, is nobody's
    if visible and not state and "config.yaml" not in visible:
        raise ValueError(f"{folder}: is not empty, and holds no run; take another name=")
    if state != "running" and can_go_on(folder):
        again = check(resumed(composed, as_typed(words), folder=folder), TrainConfig)
        refuse_another(config, again, folder=folder)
        if state == "finished" and results_if_finished(folder, again) is None:
            return "to go on"
    return state
