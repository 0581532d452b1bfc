"""A search on Optuna: any number of processes take its trials one by one, and go on with those of the dead."""

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from numpy.random import SeedSequence
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from dcgan.config.rules import one_line, shown
from dcgan.metrics.protocol import read_records
from dcgan.runs.evaluation import Judge
from dcgan.shell.processes import lives, this_process
from dcgan.shell.space import Axis, Choice, Point, trial_folder, words_of
from dcgan.shell.status import FILE as STATUS
from dcgan.shell.status import LOCK, TakenError, read_status

STORED = {"journal": "study.journal", "sqlite": "study.sqlite"}
ASKED = "asked"  # attribute of a study: what its trials share
WORKER, ERROR = "worker", "error"  # attributes of a trial: the process that has it; why it failed


@dataclass(frozen=True)
class Plan:
    """What to search, and where.

    Args:
        words: what every run is told beside what is drawn for it.
        seed: of the sampler; each draw follows from it, the trial's number, and the trials before.
        asked: what all trials share, by which another search in the same folder is told apart.
    """

    folder: Path
    space: Sequence[Axis]
    trials: int
    words: Sequence[str] = ()
    sampler: str = "tpe"
    objectives: Sequence[str] = ("fid",)
    pruning: bool = False
    storage: str = "journal"
    seed: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)

    def point_of(self, trial: FrozenTrial) -> Point:
        """What was drawn for a trial, in the order of the space."""
        return {axis.key: trial.params[axis.key] for axis in self.space if axis.key in trial.params}

    def folder_of(self, trial: FrozenTrial) -> Path:
        """A trial's run folder."""
        return self.folder / trial_folder(trial.number, self.point_of(trial))


def state_of(trial: FrozenTrial) -> str:
    """finished, pruned, failed or running."""
    names = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    return "failed" if ERROR in trial.user_attrs else names.get(trial.state, "running")


Train = Callable[[Point, Path, Judge | None], Any]  # starts or goes on with a run; ValueError: it failed


# --- the study


def open_study(plan: Plan) -> optuna.Study:
    """The search's study, made if there is none.

    Raises:
        ValueError: there is one of another search in the folder; the message names what differs.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    others = [name for kind, name in STORED.items() if kind != plan.storage and (plan.folder / name).exists()]
    if others:
        other = next(kind for kind, name in STORED.items() if name == others[0])
        raise ValueError(f"storage={plan.storage}: the search {plan.folder} is in {others[0]}; take storage={other}")
    plan.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(plan.folder / LOCK):  # for a glance; the kernel lets go of it when its holder dies
        storage, name = _storage(plan), plan.folder.name
        if name not in optuna.get_all_study_names(storage):
            optuna.create_study(
                study_name=name, storage=storage, directions=["minimize"] * len(plan.objectives)
            ).set_user_attr(ASKED, dict(plan.asked))
    study = optuna.load_study(study_name=name, storage=storage, pruner=_pruner(plan))
    _refuse_another(plan, study.user_attrs.get(ASKED, {}))
    return study


def _refuse_another(plan: Plan, then: Mapping[str, Any]) -> None:
    for key in [*plan.asked, *then]:
        if plan.asked.get(key) != then.get(key):
            now, before = (shown(values.get(key)) for values in (plan.asked, then))
            raise ValueError(f"{key}={now}: the search {plan.folder} has {before}; leave it, or take another name=")


def _storage(plan: Plan) -> BaseStorage:
    path = plan.folder / STORED[plan.storage]
    if plan.storage == "journal":
        return JournalStorage(JournalFileBackend(str(path)))
    return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})


def _sampler(plan: Plan, number: int) -> BaseSampler:
    """Made for one trial: of one seed for all, every process would draw the same."""
    seed = int(SeedSequence([plan.seed, number]).generate_state(1)[0])
    return TPESampler(seed=seed) if plan.sampler == "tpe" else RandomSampler(seed=seed)


def _pruner(plan: Plan) -> BasePruner:
    return MedianPruner() if plan.pruning else NopPruner()


def _draw(trial: Trial, axis: Axis) -> None:
    """A value of the axis for a trial, unless it has one."""
    key, values = axis.key, axis.values
    if isinstance(values, Choice):
        trial.suggest_categorical(key, values.values)
    elif isinstance(values.low, int) and isinstance(values.high, int):
        trial.suggest_int(key, values.low, values.high, log=values.log, step=int(values.step or 1))
    else:
        trial.suggest_float(key, values.low, values.high, log=values.log, step=values.step)


# --- its trials


def search(plan: Plan, train: Train, *, after: Callable[[optuna.Study], None] = lambda study: None) -> optuna.Study:
    """Take trials until there are as many as planned, and none is left that a dead process had.

    Args:
        after: called with the study after each.

    Raises:
        ValueError: there is another search in the folder.
        OSError: of the machine, such as a full disk: no trial's fault, so it stays to be gone on with.
        SystemExit: somebody asked it to stop; the run is saved, and the same call goes on with it.
    """
    study = open_study(plan)
    passed_by: set[int] = set()
    while (trial := _take(plan, study, passed_by)) is not None:
        try:
            _attempt(plan, study, trial, train)
        except TakenError as error:  # by a process that no lock of ours reaches, or a person's own
            print(f"note: {error}", file=sys.stderr)
            passed_by.add(trial.number)
        gc.collect()  # as after a job of a sweep
        after(study)
    return study


def _take(plan: Plan, study: optuna.Study, passed_by: set[int]) -> Trial | None:
    """A trial whose process is dead, else a new one, drawn; None: there are enough."""
    with FileLock(plan.folder / LOCK):
        trials = study.get_trials(deepcopy=False)
        dead = [trial for trial in trials if trial.number not in passed_by and not _is_cared_for(plan, trial)]
        if not dead and len(trials) >= plan.trials:
            return None
        study.sampler = _sampler(plan, dead[0].number if dead else len(trials))
        trial = Trial(study, dead[0]._trial_id) if dead else study.ask()
        for axis in plan.space:
            _draw(trial, axis)
        trial.set_user_attr(WORKER, {**this_process(), "since": time.time()})
    return trial


def _is_cared_for(plan: Plan, trial: FrozenTrial) -> bool:
    """Whether it is over, or a living process has it, which is not this one: that one takes the next."""
    if trial.state != TrialState.RUNNING:
        return True
    worker = trial.user_attrs.get(WORKER, {})
    if all(worker.get(key) == value for key, value in this_process().items()):
        return False
    return lives(worker, last_sign=max(worker.get("since", 0.0), _last_sign(plan.folder_of(trial))))


def _last_sign(folder: Path) -> float:
    with suppress(OSError):
        return (folder / STATUS).stat().st_mtime
    return 0.0


def _attempt(plan: Plan, study: optuna.Study, trial: Trial, train: Train) -> None:
    """Train it, from where it stands, and tell the study what came of it."""
    frozen = _frozen(trial)
    point, folder = plan.point_of(frozen), plan.folder_of(frozen)
    print(f"\n--- trial {trial.number} ({trial.number + 1} of {plan.trials}): {' '.join(words_of(point))}", flush=True)
    try:
        if read_status(folder).get("state") != "pruned":  # and killed before it could tell
            train(point, folder, _judge(trial) if plan.pruning else None)
        values = _values(folder, plan.objectives)
    except TakenError:
        raise
    except (ValueError, RuntimeError) as error:  # a memory that is full is torch's RuntimeError
        line = one_line(str(error))
        print(f"error: trial {trial.number}: {line}", file=sys.stderr, flush=True)
        trial.set_user_attr(ERROR, line)
        # Not as FAIL: of such Optuna's samplers take no notice, and go where runs diverge again and again.
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return
    if read_status(folder).get("state") == "pruned":
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    else:
        study.tell(trial, values, skip_if_finished=True)


def _frozen(trial: Trial) -> FrozenTrial:
    """As the study has it now."""
    return trial.study.get_trials(deepcopy=False)[trial.number]


def _judge(trial: Trial) -> Judge:
    """Whether a trial is worth going on with, by the median of the others at the same step."""

    def is_worth_it(step: int, value: float) -> bool:
        if step not in _frozen(trial).intermediate_values:
            trial.report(value, step)  # a run that goes on evaluates again what it had not saved
        return not trial.should_prune()

    return is_worth_it


def _values(folder: Path, objectives: Sequence[str]) -> list[float]:
    """The best FID of a run on the training split, and the CPU-seconds that training took, evaluations left out."""
    records = [
        one
        for one in read_records(folder / "metrics.jsonl")
        if one.get("split") == "train" and one["value"] is not None
    ]
    if not records:
        raise ValueError(f"{folder}: was not evaluated; lower metrics.every, or raise trainer.max_steps")
    values = {"fid": min(one["value"] for one in records), "cpu_seconds": records[-1].get("cpu_seconds")}
    return [float(values[name]) for name in objectives]
