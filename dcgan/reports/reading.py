"""Run folders as a report reads them: whatever is in one, there is a run or the reason why there is none."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dcgan.config.catalogue import CATALOGUE, JUDGES, judged_by
from dcgan.config.rules import one_line
from dcgan.metrics.protocol import protocol, read_records
from dcgan.runs.compared import hyperparameters
from dcgan.shell.contents import what_is
from dcgan.shell.resume import LARGEST
from dcgan.shell.status import UNFINISHED, read_status, shown_health
from dcgan.shell.words import pasted

MARKS = ("config.yaml", "status.json", "metrics.jsonl", "checkpoints")  # of which a run has one from the beginning
LARGEST_NUMBER = 1e12  # what is above is as good as infinite, and lies in no figure
FEW = 0.5  # of its classes: a run that ends with fewer has collapsed

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What one run folder says."""

    folder: Path
    config: Mapping[str, Any]  # flat: what runs are compared by
    seed: int
    data: str
    space: str  # the features that it was evaluated by
    state: str
    error: str
    records: list[Record]  # of FIDs, in the order in which they were measured
    origin: Mapping[str, Any] = field(default_factory=dict)  # the first line of its provenance
    health: str = ""  # what went wrong while it trained, and what was done about it; empty: nothing that is known

    @cached_property
    def curve(self) -> list[Record]:
        """The evaluations while it trained, by step."""
        found = {one["step"]: one for one in self.records if "checkpoint" not in one and one["split"] == "train"}
        return [found[step] for step in sorted(found)]

    @cached_property
    def tests(self) -> dict[tuple[str, str], Record]:
        """The latest evaluation of each protocol and checkpoint against the test split, those of judges too."""
        found = [one for one in self.records if one["split"] == "test" and "checkpoint" in one]
        return {(one["metric"], str(one["checkpoint"])): one for one in found}

    @property
    def setting(self) -> tuple[Any, ...]:
        """What a run that failed before its first evaluation must share with others to stand among them."""
        keys = ("data.name", "data.resolution", "data.channels", "metrics.name", "metrics.num_samples")
        return tuple(self.config.get(key) for key in keys)

    @property
    def protocol(self) -> str:
        """That of its evaluations while training."""
        num_samples = self.config.get("metrics.num_samples")
        return protocol(self.space, "train", num_samples) if isinstance(num_samples, int) else ""

    @property
    def judge(self) -> str:
        """The extractor of another make; empty: its space has none."""
        name = next(iter(JUDGES.get(self.space, ())[-1:]), "")
        found = (one["extractor"] for one in self.records if one["extractor"].partition("-")[0] == name)
        return next(found, name)

    @property
    def command(self) -> str:
        """The line that started it; empty: it does not say."""
        words = self.origin.get("command")
        return shlex.join(map(str, words)) if isinstance(words, list) and words else ""

    @property
    def experiment(self) -> str:
        """The recipe that was typed."""
        found = self.origin.get("command")
        words = [str(word) for word in found] if isinstance(found, list) else []
        return next((word.partition("=")[2] for word in words if word.lstrip("+").startswith("experiment=")), "none")

    @property
    def unfinished(self) -> str:
        """Why it is no outcome yet, and what to type; empty: it is one."""
        if self.state in ("interrupted", "died"):
            return f"{UNFINISHED[self.state]}; python -m dcgan.train {pasted('resume', self.folder)}"
        if self.state in ("finished", "failed"):
            return ""
        return UNFINISHED.get(self.state, "does not say what became of it (no status.json that can be read)")

    @property
    def unmeasured(self) -> str:
        """The line that would give a run that ended well a number; empty: it has one, or has failed."""
        if self.state != "finished" or self.records:
            return ""
        return f"was never evaluated; python -m dcgan.evaluate {pasted('run', self.folder)}"


@dataclass(frozen=True)
class Unread:
    """A folder that is no run, or none yet."""

    folder: Path
    reason: str


def run_folders(folder: Path) -> list[Path]:
    """The folders in ``folder``, at any depth, that are runs, look like one, or are empty; in order."""
    found = []
    for here, folders, files in os.walk(folder):
        there = {*folders, *files}
        if there & set(MARKS):
            found.append(Path(here))
            folders.clear()
        elif not there and here != str(folder):
            found.append(Path(here))
    return sorted(found)


def read_runs(folder: Path) -> tuple[list[Run], list[Unread]]:
    """All runs below ``folder``, and what is no run with the reason.

    Raises:
        FileNotFoundError: there is none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"run={folder}: no such folder")
    runs: list[Run] = []
    unread = []
    for path in run_folders(folder):
        try:
            runs.append(read_run(path))
        except (ValueError, OSError) as error:
            unread.append(Unread(path, one_line(str(error))))
    if not runs:
        words = f"; {unread[0].folder} {unread[0].reason}" if unread else ""
        raise FileNotFoundError(f"run={folder}: no run folder, nor a folder of them{words}")
    return runs, unread


def read_run(folder: Path) -> Run:
    """One run.

    Raises:
        ValueError, OSError: words that follow the folder's name, on why it is none.
    """
    if not any(folder.iterdir()):
        raise ValueError("is empty")
    status = read_status(folder)
    error = str(status.get("error", ""))
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"failed before it began: {error}" if error else "has no config.yaml: no run of dcgan.train")
    config = _read_config(folder / "config.yaml")
    try:
        data, space, seed = config["data"]["name"], config["metrics"]["name"], config["seed"]
        flat = {one_line(key): _shown(value) for key, value in hyperparameters(config).items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise ValueError("has a config.yaml that is no run's") from cause
    if not isinstance(data, str) or data not in CATALOGUE or not isinstance(seed, int) or not isinstance(space, str):
        raise ValueError("has a config.yaml that is no run's")
    space = CATALOGUE[data].space if space == "none" else space
    records = list(_fids(folder / "metrics.jsonl"))
    origin = next(iter(_json_lines(folder / "provenance.jsonl")), {})
    state = str(status.get("state", ""))
    return Run(folder, flat, seed, data, space, state, one_line(error), records, origin, shown_health(status))


def _read_config(path: Path) -> dict[str, Any]:
    """A file of ours is small, and has neither aliases (some lines of which fill any memory) nor tags."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"has a config.yaml of {path.stat().st_size} bytes, which is no run's")
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        if "*" in text and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("has a config.yaml with YAML aliases, which is no run's")
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"has a config.yaml that is no YAML: it is {what_is(path) or 'damaged'}") from error
    if not isinstance(found, dict):
        raise ValueError(f"has a config.yaml that is no run's: it is {what_is(path) or 'cut'}")
    return found


def _json_lines(path: Path) -> list[Record]:
    try:
        return [*read_records(path)]
    except (OSError, ValueError):
        return []


NUMBERS = ("value", "cpu_seconds")


def _fids(path: Path) -> Iterator[Record]:
    """The lines that are evaluations of the run; a value that is not finite is None in them."""
    for line in _json_lines(path):
        texts = all(isinstance(line.get(key), str) for key in ("metric", "split", "extractor"))
        if not texts or not line["metric"].startswith("fid_") or not _is_step(line.get("step")):
            continue
        measures = line.get("measures")
        numbers = {key: number if _is_finite(number := line.get(key)) else None for key in NUMBERS}
        yield {**line, **numbers, "measures": measures if isinstance(measures, dict) else {}}


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_NUMBER


def _shown(value: str | int | float) -> str | int | float:
    """A value that a terminal and a figure can be given."""
    return one_line(value) if isinstance(value, str) else value if _is_finite(value) else str(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def measured(record: Record | None, name: str) -> float | None:
    """One of a record's measures; None: it has none of that name."""
    found = record["measures"].get(name) if record else None
    value = found.get("value") if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) and _is_finite(value) else None


def is_judge(record: Record) -> bool:
    """Whether it is by an extractor by which nothing is chosen."""
    return judged_by(record["extractor"]) is not None


def has_collapsed(record: Record, *, data: str) -> bool:
    """Whether most classes of the data set are missing."""
    modes, classes = measured(record, "modes"), CATALOGUE[data].num_classes or 0
    return modes is not None and classes > 0 and modes < FEW * classes


def newest(runs: list[Run]) -> Run:
    """Of runs of one seed the one that was started last."""
    return max(runs, key=lambda run: str(run.origin.get("started", "")))
