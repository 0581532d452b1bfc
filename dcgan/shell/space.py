"""Search spaces: keys of ``dcgan.train`` with what may be drawn for each, in Hydra's notation. No torch, no Optuna."""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from dcgan.config.check import check
from dcgan.config.options import Metrics
from dcgan.config.rules import one_line
from dcgan.config.schema import TrainConfig
from dcgan.shell.composed import composed
from dcgan.shell.folders import folder_name
from dcgan.shell.resume import FREE_ON_RESUME, LENGTH

NOTATION = "such as interval(0.1, 1), tag(log, interval(1e-4, 1e-2)), int(interval(8, 64)), range(1, 9), choice(a, b)"
CORNERS = 24  # a tenth of a second each


class Interval(NamedTuple):
    """Numbers from ``low`` to ``high``, both included; whole ones if both are ``int``."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


class Choice(NamedTuple):
    """A few values, each as it is typed behind ``=``."""

    values: tuple[str, ...]


class Axis(NamedTuple):
    """One key of a space."""

    key: str
    text: str  # as its file has it
    values: Interval | Choice

    @property
    def ends(self) -> tuple[float | str, ...]:
        """What is looked at before anything starts: both ends, or every choice."""
        values = self.values
        return values.values if isinstance(values, Choice) else (values.low, values.high)


Point = Mapping[str, float | str]  # a value for each key


def words_of(point: Point) -> list[str]:
    """As they are typed for ``dcgan.train``."""
    return [f"{key}={value}" for key, value in point.items()]


def trial_folder(number: int, point: Point) -> str:
    """The name of a trial's run folder: its number, and what varied, to four digits."""
    short = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in point.items()}
    return folder_name(f"trial_{number:04d}", words_of(short))


def read_space(space: Mapping[str, Any], *, name: str) -> list[Axis]:
    """The axes of ``conf/search/<name>.yaml``.

    Raises:
        ValueError: one line on the first that is not as it must be.
    """
    try:
        if not space:
            raise ValueError("is empty; a space has keys of dcgan.train")
        return [Axis(key, str(text), _values(key, text)) for key, text in space.items()]
    except ValueError as error:
        raise ValueError(f"search={name}: {one_line(str(error))}") from error


def _values(key: str, text: Any) -> Interval | Choice:
    override, shown = _parsed(key, text), f"{key}: {text}"
    sweep = override.value()
    if not isinstance(sweep, ChoiceSweep | RangeSweep | IntervalSweep):
        raise ValueError(f"{shown}: one value is no axis; write several, or type {key}={text} on the command line")
    if unknown := sweep.tags - {"log"}:
        raise ValueError(f"{shown}: tag {min(unknown)}: no such tag; there is log")
    if sweep.tags and not isinstance(sweep, IntervalSweep):
        raise ValueError(f"{shown}: log is of an interval; tag(log, int(interval(8, 64))) draws whole numbers")
    if getattr(sweep, "shuffle", False):
        raise ValueError(f"{shown}: there is no order to shuffle; leave it out")
    if isinstance(sweep, IntervalSweep):
        return _interval(sweep, shown)
    if isinstance(sweep, RangeSweep):
        return _range(sweep, shown)
    values = tuple(dict.fromkeys(map(str, override.sweep_string_iterator())))
    _refuse_few(len(values), shown)
    return Choice(values)


def _refuse_few(number: int, shown: str) -> None:
    if number < 2:
        values = "one value" if number == 1 else "no value"
        raise ValueError(f"{shown}: has {values}, and an axis two or more; add some, or type it on the command line")


def _parsed(key: str, text: Any) -> Override:
    if isinstance(text, dict):
        raise ValueError(f"{key}: holds keys of its own; write {key}.{next(iter(text), 'key')}: ... in one line")
    if not isinstance(text, str | int | float):
        raise ValueError(f"{key}: {text}: not in Hydra's notation, {NOTATION}")
    try:
        return OverridesParser.create().parse_overrides([f"{key}={text}"])[0]
    except HydraException as error:
        raise ValueError(f"{key}: {text}: not in Hydra's notation, {NOTATION}") from error


def _interval(sweep: IntervalSweep, shown: str) -> Interval:
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{shown}: must have two finite ends")
    if low >= high:
        wrong = "is empty" if low == high else "is reversed"
        raise ValueError(f"{shown}: the interval {wrong}; its first end must be below its second")
    if log and low <= 0:
        raise ValueError(f"{shown}: has no logarithm at {low:g}; begin above 0, or leave out log")
    return Interval(low, high, log)


def _range(sweep: RangeSweep, shown: str) -> Interval:
    """Of which the end is left out, as in Hydra and Python; in decimals, for 0.1 + 2 * 0.1 is not 0.3 otherwise."""
    start, stop, step = (Decimal(str(value)) for value in (sweep.start, sweep.stop, sweep.step))
    number = math.ceil((stop - start) / step) if step else 0
    _refuse_few(number, shown)
    low, high = sorted((start, start + step * (number - 1)))
    kind = int if isinstance(sweep.start, int) and isinstance(sweep.step, int) else float
    return Interval(kind(low), kind(high), step=kind(abs(step)))


# --- what it composes to


def key_of(word: str) -> str:
    """The key, or the group, that a word of a command line sets."""
    return word.lstrip("+~").partition("=")[0].partition("@")[0]


def check_space(space: Sequence[Axis], words: Sequence[str], *, name: str, own: Sequence[str]) -> dict[str, Any]:
    """Compose and check the corners of a space, before anything starts.

    Args:
        words: what was typed for all runs.
        own: keys of ``dcgan.tune``, which no space may have.

    Returns:
        What all runs share and what decides what they compute: dotted keys and their values, the space's left out.

    Raises:
        ValueError: one line on the first corner that would not train, or whose FID could not be compared.
    """
    typed = {key_of(word) for word in words}
    if "resume" in typed:
        raise ValueError("resume: the same line goes on with a search; leave it out")
    for axis in space:
        if axis.key in {*own, "resume"} or axis.key.startswith("hydra"):
            raise ValueError(f"search={name}: {axis.key}: is not of one run; leave it out of a space")
        if axis.key == "seed":
            raise ValueError(f"search={name}: seed: would be chosen for its luck; leave it out of a space")
        if axis.key != key_of(axis.key):
            raise ValueError(f"search={name}: {axis.key}: write {key_of(axis.key)}")
        if axis.key in typed:
            raise ValueError(f"{axis.key}: was typed, and is searched by search={name}; leave one of them out")
    _refuse_corners(space, words, name=name)
    shared = dict(_flat(OmegaConf.to_container(composed(words, entry="train"), resolve=True), ""))
    free = {key for key in shared if key not in LENGTH and FREE_ON_RESUME.fullmatch(key)}
    return {key: value for key, value in shared.items() if key not in free | {axis.key for axis in space}}


def _refuse_corners(space: Sequence[Axis], words: Sequence[str], *, name: str) -> None:
    protocols: dict[tuple[Any, ...], str] = {}
    for point in corners(space):
        shown = " ".join(words_of(point))
        told = [*words, *words_of(point)]
        try:
            config = check(composed(told, entry="train"), TrainConfig, typed=told)
        except ValueError as error:
            raise ValueError(f"search={name}: {shown}: {error}{_whole_numbers(space, str(error))}") from error
        if not isinstance(config.metrics, Metrics):
            raise ValueError(f"metrics={config.metrics.name}: a search reads what evaluations record; leave it out")
        if not config.trainer.enable_checkpointing:
            raise ValueError("trainer.enable_checkpointing=false: a search goes on from checkpoints; leave it out")
        data, metrics = config.data, config.metrics
        protocols[metrics.name, metrics.num_samples, data.name, data.resolution, data.channels] = shown
    if len(protocols) > 1:
        one, other, *_ = protocols.values()
        raise ValueError(f"search={name}: {one} and {other}: are measured otherwise, so their FIDs have no order")


def _whole_numbers(space: Sequence[Axis], error: str) -> str:
    """What to write where a whole number was wanted."""
    wanted = [axis for axis in space if error.startswith(f"{axis.key}=") and "must be a whole number" in error]
    return f"; write int({wanted[0].text})" if wanted and isinstance(wanted[0].values, Interval) else ""


def corners(space: Sequence[Axis]) -> Iterator[Point]:
    """Some of them, every end and every choice among them; all, where they are few."""
    keys, ends = [axis.key for axis in space], [axis.ends for axis in space]
    if math.prod(map(len, ends)) <= CORNERS:
        yield from (dict(zip(keys, values, strict=True)) for values in itertools.product(*ends))
        return
    chosen, longest = random.Random(0), max(map(len, ends))
    for turn in range(longest):
        yield dict(zip(keys, (one[turn % len(one)] for one in ends), strict=True))
    for _ in range(CORNERS - longest):
        yield dict(zip(keys, map(chosen.choice, ends), strict=True))


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
