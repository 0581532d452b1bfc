"""Words of a command line: as Hydra must be given them, and as a person can paste them back."""

import re
import shlex
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from dcgan.config.options import GROUPS
from dcgan.config.rules import NAME, expanded
from dcgan.config.schema import SCHEMAS, known_keys, list_keys, path_keys

GRAMMAR = "=,()[]{}"  # a value that holds one of these may be meant otherwise than it reads: it is never quoted unasked
STOP = "hydra.sweeper.stop_on_failure"
FLAGS = ("help", "hydra-help", "version", "resolve", "run", "multirun", "shell-completion")  # Hydra's
VALUED = ("cfg", "package", "info", "config-path", "config-name", "config-dir", "experimental-rerun")
HYDRAS_PATHS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")


def for_hydra(words: Sequence[str], entry: str) -> list[str]:
    """The words of a command line as Hydra is to be given them.

    A key that some option of a group has is let in (``++``) whatever option was chosen, so that our check refuses it by
    name, with the options that have it, and in a sweep for the jobs that it does not fit, not for all. A path may have
    any characters.
    """
    keys = {key for key in known_keys(SCHEMAS[entry]) if "." in key}
    texts = {*path_keys(SCHEMAS[entry]), *HYDRAS_PATHS, *GROUPS, "experiment", "name", "text"}
    words = [re.sub("^stop_on_failure=", f"{STOP}=", word) for word in words]
    words = _with_sweep(words) if entry == "train" else words
    words = [f"++{word}" if word.split("=")[0] in keys and "=" in word else word for word in words]
    # Hydra's grammar has no word for ~.
    words = [re.sub(r"(?<=[=,])~(?=[/,]|$)", lambda match: expanded(match[0]), word) for word in words]
    words = [_readable(word, is_text=word.lstrip("+").partition("=")[0] in texts) for word in words]
    return sorted(words, key=_sets_something)  # argparse takes them in one piece: a -m may have stood between


def refuse_dashes(words: Sequence[str], entry: str) -> None:
    """Raise ValueError, one line, where a word begins with a dash and is no flag of Hydra's."""
    keys = {*known_keys(SCHEMAS[entry]), *GROUPS, "experiment"}
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if not re.match(r"--?[A-Za-z]", word) or _is_flag(name, valued=bool(equals)):
            continue
        value = value or (following if "=" not in following and following[:1] != "-" else "") or "..."
        key = name.lstrip("-").replace("-", "_")
        if key in keys:
            raise ValueError(f"{word}: keys have no dashes before them; type {key}={value}")
        near = sorted((one for one in keys if one.rpartition(".")[2] == key), key=lambda one: (len(one), one))
        hint = f", as in {near[0]}={value}" if near else "; --help lists them"
        raise ValueError(f"{word}: no such flag; what a run is to be is typed as key=value{hint}")


def _is_flag(name: str, *, valued: bool) -> bool:
    """As argparse takes them: shortened, and a short one with its value behind it."""
    if name.startswith("--"):
        return any(flag.startswith(name[2:]) for flag in (VALUED if valued else VALUED + FLAGS))
    return name[1:3] in ("cp", "cn", "cd", "sc") or name[1] in ("cpi" if valued else "cpihmr")


def _sets_something(word: str) -> bool:
    return not word.startswith("-") and ("=" in word or word.startswith("~"))


def _with_sweep(words: Sequence[str]) -> list[str]:
    """With the folder of a sweep, which follows from its name, unless it is told."""
    names = [word for word in words if word.startswith("name=") and NAME.holds(word.removeprefix("name="))]
    if not names or any(word.startswith("hydra.sweep.dir=") for word in words):
        return list(words)
    return [*words, f"hydra.sweep.dir=outputs/sweeps/{names[-1].removeprefix('name=')}"]


def as_typed(words: Sequence[str]) -> list[str]:
    """Without what ``for_hydra`` put before them."""
    return [word.removeprefix("++") for word in words]


def _readable(word: str, *, is_text: bool) -> str:
    """``key=value`` with the value in quotes where Hydra cannot read it, or would make a number of a text."""
    key, equals, value = word.partition("=")
    if not is_text and re.fullmatch(r"[\w.+-]*", value, re.ASCII):
        return word
    override = _parsed(word)
    if override is None:
        plain = bool(set(value) & set(GRAMMAR)) or not equals
    else:
        plain = not is_text or override.is_sweep_override() or not isinstance(override.value(), bool | int | float)
    return word if plain else f"{key}={_quoted(value)}"


def pasted(key: str, path: Path) -> str:
    """``key=path`` for a person to paste back: quoted, if need be, so that the shell and Hydra both take it."""
    text = str(path.absolute() if str(path).startswith("~") else path)  # ~ means the home folder
    override = _parsed(f"{key}={text}")
    if override is None or override.is_sweep_override() or override.value() != text or "${" in text:
        text = _quoted(text.replace("${", r"\${"))
    return shlex.quote(f"{key}={text}")


def unread(word: str, entry: str) -> str:
    """What to say of a word that Hydra cannot read."""
    key, equals, value = word.partition("=")
    if not equals:
        return f"{word}: not key=value" + (f", as in {shlex.quote(f'run={word}')}" if entry != "train" else "")
    if key in list_keys(SCHEMAS[entry]) and (numbers := ",".join(re.findall(r"[^\s,()\[\]{}]+", value))):
        return f"{word}: not key=value; a list is {shlex.quote(f'{key}=[{numbers}]')}"
    others = dict.fromkeys(re.sub(rf"[\w\s/.+$%*@?|:\\{re.escape(GRAMMAR)}-]", "", value, flags=re.ASCII))
    what = " or ".join([*others, "=, commas or brackets"] if not others or set(value) & set(GRAMMAR) else others)
    return f"{word}: not key=value; quote a value that holds {what}: {shlex.quote(f'{key}={_quoted(value)}')}"


def value_of(word: str) -> Any:
    """What Hydra reads behind ``=``; None: it does not read it."""
    override = _parsed(word)
    return override.value() if override is not None else None


def _quoted(value: str) -> str:
    return QuotedString(value, Quote.double).with_quotes()


def _parsed(word: str) -> Override | None:
    try:
        return _parser().parse_overrides([word])[0]
    except HydraException:
        return None


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()
