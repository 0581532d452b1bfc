"""A user's mistake in one line."""

import re
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from dcgan.config.catalogue import no_choice
from dcgan.config.check import NOT_GLOBAL, unknown_key
from dcgan.config.schema import SCHEMAS, list_keys, path_keys
from dcgan.shell.contents import what_is
from dcgan.shell.words import unread
from dcgan.shell.writing import is_full

USER_ERRORS = (ValueError, OSError, HydraException, OmegaConfBaseException, YAMLError)
NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory|Unable to allocate", re.IGNORECASE)
INSTEAD = {  # of a path in place of an option's name
    "data": "; data=folder data.folder=<path> takes your own images",
    "metrics": "; metrics=inception metrics.weights=<file> names weights",
    "experiment": "; hydra.searchpath=[file://<folder>] finds your own in <folder>/experiment",
    "search": "; hydra.searchpath=[file://<folder>] finds your own in <folder>/search",
}

OF_HYDRA = {  # which does not say where
    "Unsupported item value in defaults : bool": (
        'a file\'s defaults: on and off need quotes, as in `override /health: "off"`, or YAML makes them booleans'
    ),
    "Config group override must be a string or a list. Got NoneType": (
        "null: is no option of a group; name one, or leave it out (--help lists them)"
    ),
}


def is_mistake(error: BaseException) -> bool:
    """Whether a person can mend it, so that it is one line and no traceback: also what was asked for does not fit."""
    return isinstance(error, USER_ERRORS) or _no_memory(error)


def _no_memory(error: BaseException) -> bool:
    """Of NumPy, of PyTorch on a CPU, and on a GPU."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))


def explain(error: Exception, entry: str) -> str:
    """One line for a user's mistake."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _of_hydra(error, entry)
    if isinstance(error, YAMLError):
        return bad_yaml(error)
    if isinstance(error, UnicodeDecodeError):
        return _no_text(error)
    if isinstance(error, OSError) and is_full(error):
        return f"disk full: {error.filename or Path.cwd()}: {error.strerror}; free some space, or write elsewhere"
    line = " ".join(str(error).split())
    if not isinstance(error, USER_ERRORS):
        wanted = re.search(r"(?:tried to|unable to) allocate ([\d.]+ \w+)", line, re.IGNORECASE)
        amount = f" ({wanted[1]} more were asked for)" if wanted else ""
        line = f"out of memory{amount}; lower model.width, data.batch_size or the number that was raised"
    return next((ours for theirs, ours in OF_HYDRA.items() if line.startswith(theirs)), line)


@contextmanager
def said_once() -> Iterator[None]:
    """Inside, a disk that fills under a thread is no traceback: TensorBoard's tells it to whoever next writes."""
    before = threading.excepthook

    def hook(raised: threading.ExceptHookArgs) -> None:
        if raised.exc_value is None or not is_full(raised.exc_value):
            before(raised)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def bad_yaml(error: YAMLError) -> str:
    """The file, where in it, and what is wrong."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if not isinstance(error, MarkedYAMLError) or mark is None:
        return f"no YAML: {' '.join(str(error).split())}"
    reason = "holds a tab; indent with spaces" if r"'\t'" in str(error.problem) else f"no YAML: {error.problem}"
    return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: {reason}"


def _no_text(error: UnicodeDecodeError) -> str:
    """Of a file that Hydra reads; only its frame knows which."""
    frames = (frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__))
    path = next((Path(names["full_path"]) for names in frames if "full_path" in names), None)
    kind = what_is(path) if path else None
    return f"{path or 'a YAML file'}: no YAML: {f'it is {kind}' if kind else 'not UTF-8'}; save it as text in UTF-8"


def _of_hydra(error: Exception, entry: str) -> str:
    text = str(error)
    if isinstance(error, OverrideParseException):
        return unread(str(error.override).removeprefix("++"), entry)  # of for_hydra
    missing = str(error.missing_cfg_file or "") if isinstance(error, MissingConfigException) else ""
    if isinstance(error, MissingConfigException) and (error.options is not None or "submitit" in missing):
        return _no_option(missing, error.options or [])
    if text.startswith("Ambiguous value for argument"):
        word = text.split("'")[1].removeprefix("++")
        how = f" are a sweep; add -m (python -m dcgan.{entry} -m ...)"
        if entry == "tune":
            how = "; type one, or name the key in a space (conf/search/)"
        key, _, values = word.partition("=")
        if key in path_keys(SCHEMAS[entry]):
            how = f"{how if entry == 'train' else ''}; quote a path with a comma: '{key}=\"{values}\"'"
        elif key in list_keys(SCHEMAS[entry]):
            how += f"; a list is {key}=[{values}]"
        return f"{word}: several values{how}"
    if match := re.match(r"In 'experiment/(.+?)': Could not override '(.+?)'", text):
        return _no_override(*match.groups())
    if match := re.match(r"Could not override '(.+?)'", text):
        return unknown_key(match[1], SCHEMAS[entry])
    first, *others = text.splitlines()
    first = re.sub(r"^Multiple values for (\w+)\..*", r"+\1=...: one is chosen already; leave out the +", first)
    return " ".join([first, *others[:1]]) if first.endswith(":") else first


def _no_option(missing: str, options: Sequence[str]) -> str:
    group, _, option = missing.partition("/")
    if "submitit" in missing:
        return f"{missing}: submitit is not installed; pip install 'dcgan[slurm]'"
    if group == "hydra":
        inner, _, option = option.partition("/")
        group = f"hydra/{inner}"
    if group == "experiment" and not options:  # a group of the same name was looked for beside the experiment
        group, _, option = option.partition("/")
        return f"experiment: in the file's defaults it must be `override /{group}: {option}`"
    there = f"there are {', '.join(options)}"
    if "/" in option or "." in option:
        return f"{group}={option}: a path, where an option's name is wanted; {there}{INSTEAD.get(group, '')}"
    wrong = no_choice(option) if group == "metrics" else None
    return f"{group}={option}: {wrong or f'no such option; {there}'}"


def _no_override(experiment: str, what: str) -> str:
    if "@experiment." in what:
        return f"experiment={experiment}: {NOT_GLOBAL}"
    group = what.partition("@")[0].removeprefix("experiment/")
    return f"experiment={experiment}: in the file's defaults it must be `override /{group}: ...`"
