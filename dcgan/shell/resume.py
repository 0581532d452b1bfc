"""The configuration of a run that is resumed."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from dcgan.config.check import check
from dcgan.config.rules import shown
from dcgan.config.schema import TrainConfig, path_keys
from dcgan.shell.contents import what_is
from dcgan.shell.status import read_status
from dcgan.shell.versions import of_this_version, version_of
from dcgan.shell.words import pasted

# What may be changed when a run is resumed: how long, where and how it is shown, not what is computed.
FREE_TRAINER_KEYS = (
    "gpus|accelerator|devices|num_nodes|strategy|max_steps|max_epochs|max_time|"
    "log_every_n_steps|enable_checkpointing|"
    "enable_progress_bar|enable_model_summary|profiler|detect_anomaly|default_root_dir"
)
LENGTH = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time")  # over which a rate falls
FREE_ON_RESUME = re.compile(
    rf"trainer\.({FREE_TRAINER_KEYS})|(logger|samples|checkpoints|health)(\..*)?|data\.(root|folder|memory)|metrics\.weights|resume"
)

INFERRED = ("data.resolution", "data.channels", "data.classes", "data.content")  # where nobody says


class NothingLeftError(ValueError):
    """A run that has taken all its steps, or more."""

    def __init__(self, message: str, *, step: int) -> None:
        super().__init__(message)
        self.step = step


AUTO = "auto"  # resume=auto: start the run, or go on with it


def can_go_on(folder: Path) -> bool:
    """Whether there is a run in ``folder`` that is finished, or has come to a checkpoint."""
    if not (folder / "config.yaml").is_file():
        return False
    saved = any((folder / "checkpoints" / f"{name}.ckpt").exists() for name in ("last", "previous"))
    return saved or read_status(folder).get("state") == "finished"


def of_a_run(path: Path, key: str = "run") -> str:
    """What to say of a path that is no run folder, but something in one; else nothing."""
    within = next((one for one in path.absolute().parents if can_go_on(one)), None)
    return f"; it is of one: {pasted(key, within)}" if within and path.exists() else ""


def results_if_finished(folder: Path, config: TrainConfig) -> dict[str, float] | None:
    """The numbers of the run in ``folder``, if it is as long as ``config`` wants it; None: it is not finished."""
    status, run = read_status(folder), _read(folder / "config.yaml")
    if status.get("state") != "finished":
        return None
    results, wanted = status.get("results", {}), OmegaConf.create(asdict(config))
    if config.trainer.max_steps >= 0 and config.trainer.max_epochs is config.trainer.max_time is None:
        steps = results.get("steps")
        return results if isinstance(steps, int) and steps >= config.trainer.max_steps else None
    return results if all(OmegaConf.select(run, key) == OmegaConf.select(wanted, key) for key in LENGTH) else None


def resumed(typed: DictConfig, overrides: Sequence[str], *, folder: Path) -> DictConfig:
    """The configuration of the run in ``folder``, with only those of its values changed that were typed now.

    Args:
        typed: what the command line composes to.
        overrides: the words of the command line.

    Raises:
        ValueError: something was typed that would make it another run, or there is no such run.
    """
    if typed.init is not None and typed.resume not in (None, AUTO):
        raise ValueError(f"init={shown(typed.init)}: is of a run that begins, and resume= goes on; leave it out")
    path = folder / "config.yaml"
    if not path.is_file():
        raise ValueError(
            f"resume={shown(typed.resume)}: no run folder (it has no config.yaml){of_a_run(folder, 'resume')}"
        )
    run = _read(path)
    with of_this_version(str(folder), version_of(folder)):
        check(run, TrainConfig)
    _take_paths(run, typed, overrides)
    try:  # without what an experiment sets for an option that was replaced, as the run has it
        known = OmegaConf.create(asdict(check(typed, TrainConfig, typed=overrides)))
    except ValueError:
        known = typed
    for override in overrides:
        key = re.split(r"[=@]", override.lstrip("+~"))[0].replace("/", ".")
        if key in ("health", "logger"):  # another option, without the keys of the one before
            OmegaConf.update(run, key, typed[key], merge=False, force_add=True)
        if key == "data" and OmegaConf.select(run, "data.folder") is not None:
            key = "data.name"  # data.folder cannot be typed, as it must be, without the option that has it
        for leaf in _leaves(typed, "" if key == "experiment" else key):
            now, then = OmegaConf.select(known, leaf), OmegaConf.select(run, leaf)
            if FREE_ON_RESUME.fullmatch(leaf):
                if leaf in LENGTH and now != then and _has_schedule(run):
                    raise ValueError(
                        f"{leaf}={now}: the run {folder} has {then}, over which its learning rate falls "
                        f"(optimizer.schedule={run.optimizer.schedule}); leave it, or start a new run"
                    )
                OmegaConf.update(run, leaf, now, force_add=True)
            elif now is None and leaf in INFERRED:  # from the same images, or it will be refused
                continue
            elif now != then and (leaf, now) != ("trainer.precision", "auto"):  # which the run has resolved already
                raise ValueError(f"{leaf}={now}: the run {folder} has {then}; leave it, or start a new run")
    return run


def refuse_another(config: TrainConfig, run: TrainConfig, *, folder: Path) -> None:
    """Hold what a line composes to against the run in its folder, whose values ``resumed`` keeps where none is typed.

    Raises:
        ValueError: the line that started the run had something typed that this one has not.
    """
    now, then = (OmegaConf.create(asdict(one)) for one in (config, run))
    for key in [*_leaves(now, ""), *_leaves(then, "")]:
        here, there = OmegaConf.select(now, key), OmegaConf.select(then, key)
        is_free = (FREE_ON_RESUME.fullmatch(key) and key not in LENGTH) or (here is None and key in INFERRED)
        if here != there and not is_free and (key, here) != ("trainer.precision", "auto"):
            told = f"the run {folder} has {shown(there)}, and this line does not say so"
            raise ValueError(f"{key}={shown(here)}: {told}; type {key}={shown(there)}, or take another name=")


LARGEST = 2**20  # bytes of a run's configuration, which has 3,000


def _read(path: Path) -> DictConfig:
    kind = what_is(path)
    if kind not in (None, "text"):
        raise ValueError(f"{path}: no YAML: it is {kind}")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: has {path.stat().st_size} bytes, and is no run's configuration")
    try:
        text = path.read_text(encoding="utf-8")
        with path.absolute().open(encoding="utf-8") as file:  # which the reader's errors name
            aliases = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(file))
        if aliases:  # some lines of which fill any memory
            raise ValueError(f"{path}: holds YAML aliases, and is no run's configuration")
        if "${" in text:  # which would be filled in, from the environment too
            raise ValueError(f"{path}: holds ${{...}}, and is no run's configuration")
        run = OmegaConf.load(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no YAML: not UTF-8 ({error.reason})") from error
    if not isinstance(run, DictConfig):
        raise ValueError(f"{path}: holds a list, and is no run's configuration")
    return run


def _take_paths(run: DictConfig, typed: DictConfig, overrides: Sequence[str]) -> None:
    """Have ``run`` look where the command line and the environment say: its folder may be a stranger's."""
    root, weights = run.data.root, OmegaConf.select(run, "metrics.weights")
    folder = OmegaConf.select(run, "data.folder")
    for key in set(path_keys(TrainConfig)) - {"resume"}:
        if OmegaConf.select(run, key) is not None:
            OmegaConf.update(run, key, OmegaConf.select(typed, key))
    if weights is not None and run.metrics.weights is None:
        raise ValueError(f"metrics.weights: the run had {weights}; a run folder chooses no path here: type it again")
    if folder is not None and run.data.folder is None:
        raise ValueError(
            f"data.folder: the run had {folder}; a run folder chooses no path here: "
            f"type data={run.data.name} data.folder={folder} again"
        )
    said = "DCGAN_DATA" in os.environ or any(re.match(r"\+*data\.root=", word) for word in overrides)
    if root != run.data.root and not said:
        print(f"note: data.root={run.data.root}: the run had {root}, which must be typed again", file=sys.stderr)


def _has_schedule(run: DictConfig) -> bool:
    return bool(OmegaConf.select(run, "optimizer.schedule", default="constant") != "constant")


def _leaves(config: DictConfig, key: str) -> Iterator[str]:
    node = OmegaConf.select(config, key) if key else config
    if isinstance(node, DictConfig):
        for name in map(str, node):
            yield from _leaves(config, f"{key}.{name}" if key else name)
    else:
        yield key
