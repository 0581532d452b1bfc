"""What says of a trace that something goes wrong: the monitor, and baselines, a number over a bound each."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from onset import fid_of
from traces import Traced

from dcgan.runs.diagnosis import Diagnosis
from dcgan.runs.signs import Bounds

PATIENCE = 3  # as conf/health/on.yaml has it
COUNT_EVERY = 100  # steps: classes take as long as the rest of a look


class Said(NamedTuple):
    """What a detector says at a step; an empty state is healthy."""

    step: int
    state: str


def monitor(traced: Traced, bounds: Bounds | None = None, patience: int = PATIENCE) -> list[Said]:
    """``dcgan/runs/diagnosis.py``, replayed."""
    diagnosis = Diagnosis(traced.reference, patience=patience, bounds=bounds)
    said = []
    for seen in traced.signals:
        counted = diagnosis.suspects or seen.step % COUNT_EVERY == 0  # as the monitor does
        finding = diagnosis.see(seen if counted else replace(seen, classes=None, obeyed=None, distance=None))
        said.append(Said(seen.step, "" if finding.healthy else finding.state))
    return said


Series = Sequence[tuple[int, float]]


def gap(traced: Traced) -> Series:
    """The duality gap (Grnarova et al. 2019)."""
    return [(one["step"], float(one["gap"])) for one in traced.lines.get("gap", [])]


def r_t(traced: Traced) -> Series:
    """E[sign D(train)] (Karras et al. 2020, eq. 1)."""
    return [(seen.step, 2 * seen.accuracy_real - 1) for seen in traced.signals]


def r_v(traced: Traced) -> Series:
    """(E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(generated)]) (Karras et al. 2020, eq. 1)."""
    found = []
    for seen in traced.signals:
        if seen.logit_held_out is not None:
            apart = seen.logit_seen - seen.logit_sampled
            found.append((seen.step, (seen.logit_seen - seen.logit_held_out) / apart if apart > 0 else 0.0))
    return found


def singular_of(network: str) -> Callable[[Traced], Series]:
    """The largest growth of a leading singular value since the first look (Brock et al. 2019, section 4)."""

    def series(traced: Traced) -> Series:
        lines = traced.lines.get("singular", [])
        first = [max(float(one), 1e-9) for one in lines[0][network]] if lines else []
        return [
            (line["step"], max(float(one) / start for one, start in zip(line[network], first, strict=True)))
            for line in lines
        ]

    return series


def fid_rise(traced: Traced) -> Series:
    """The FID over its lowest so far."""
    found, best = [], math.inf
    for one in traced.lines.get("evaluation", []):
        best = min(best, fid_of(one))
        found.append((one["step"], fid_of(one) / best))
    return found


def loss_of_generator(traced: Traced) -> Series:
    """Of the logged step."""
    return [(one["step"], float(one["loss/generator"])) for one in traced.lines.get("scalars", [])]


BASELINES: dict[str, Callable[[Traced], Series]] = {
    "duality gap": gap,
    "r_t": r_t,
    "r_v": r_v,
    "singular values of D": singular_of("discriminator"),
    "singular values of G": singular_of("generator"),
    "FID above its lowest": fid_rise,
    "G's loss": loss_of_generator,
}


@dataclass(frozen=True)
class Threshold:
    """From ``warmup`` on, so many numbers in a row above ``bound``."""

    bound: float
    warmup: int
    patience: int

    def said(self, series: Series) -> list[Said]:
        """What it says of a trace's numbers; what is not finite is above any bound."""
        found, row = [], 0
        for step, value in series:
            above = step >= self.warmup and not value <= self.bound
            row = row + 1 if above else 0
            found.append(Said(step, "alarm" if row >= self.patience else ""))
        return found


def thresholds(values: Sequence[float]) -> Iterator[Threshold]:
    """Those to choose from: quantiles of the values themselves."""
    finite = sorted(value for value in values if math.isfinite(value))
    bounds = {finite[round(i * (len(finite) - 1) / 60)] for i in range(61)} if finite else set()
    for bound, warmup, patience in product(sorted(bounds), (0, 150, 300), (1, 2)):
        yield Threshold(bound, warmup, patience)
