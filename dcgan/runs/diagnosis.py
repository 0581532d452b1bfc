"""What state a run is in: one look after another comes in, and the state that they agree on comes out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from dcgan.runs.signals import Reference, Signals
from dcgan.runs.signs import DIVERGING, HEALTHY, MEMORISING, NO_SIGN, RULES, Bounds, Look, Sign, class_share


class Finding(NamedTuple):
    """The state of a run; of a healthy one, since when it is that again."""

    state: str
    since: int  # the first step of the look that began it
    figure: str

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to say."""
        return self.state == HEALTHY


@dataclass
class _Streak:
    """What looks in a row say of one state."""

    against: int = 0  # so many, up to the last one
    since: int = 0  # the first step of their first
    fine: int = 0  # so many without, once it is said
    said: bool = False


class Diagnosis:
    """The state that looks agree on.

    Args:
        real: what samples are compared with.
        patience: how many looks in a row must agree before a state is said, and before it is taken back.
    """

    def __init__(self, real: Reference, *, patience: int, bounds: Bounds | None = None) -> None:
        self.real, self.patience, self.bounds = real, patience, bounds or Bounds()
        self.finding = Finding(HEALTHY, 0, "")
        self.without_held_out = self.finding  # the same as if there had been no held-out images: what is acted on
        self._streaks = {state: _Streak() for state in RULES}
        self._step = 0  # of the last look
        self._share: float | None = None  # these two as ``Look`` has them
        self._had = 0.0

    @property
    def suspects(self) -> bool:
        """Whether the last look was against the run, be it said or not; what held-out images show does not count."""
        return any(streak.against or streak.said for state, streak in self._streaks.items() if state != MEMORISING)

    def begin(self, step: int) -> None:
        """Say of nothing that it began before ``step``, where nobody looked."""
        self._step = step

    def see(self, seen: Signals) -> Finding:
        """Take one look into account, and say what state the run is in."""
        counted = class_share(seen, self.real)
        self._share = self._share if counted is None else counted
        self._had = max(self._had, counted or 0.0)
        look, first = Look(seen, self.real, self.bounds, self._share, self._had), self._step + 1
        signs = {state: self._sign(state, look) for state in RULES}
        for state, sign in signs.items():
            if sign is not None:
                self._count(self._streaks[state], sign.reached, first)
        self._step = seen.step
        self.finding = self._found(self.finding, list(RULES), signs)
        others = [state for state in RULES if state != MEMORISING]
        self.without_held_out = self._found(self.without_held_out, others, signs)
        return self.finding

    def _found(self, before: Finding, states: Sequence[str], signs: Mapping[str, Sign | None]) -> Finding:
        """The first of the states that is said; a healthy run waits while looks begin to be against it for another."""
        said = next((state for state in states if self._streaks[state].said), None)
        if said is None or (before.healthy and any(self._streaks[one].against for one in states[: states.index(said)])):
            return Finding(HEALTHY, before.since if before.healthy else self._step, "")
        sign = signs[said]
        return Finding(said, self._streaks[said].since, sign.figure if sign is not None else before.figure)

    def _sign(self, state: str, look: Look) -> Sign | None:
        """The strongest, if the look can tell; what is not finite is so of a run that diverges."""
        broken = _not_finite(look.seen)
        if broken:
            return Sign(math.inf, f"{broken} is not finite") if state == DIVERGING else NO_SIGN
        if look.seen.step <= self.bounds.warmup:
            return NO_SIGN
        return max(RULES[state](look), key=lambda sign: sign.reached, default=None)

    def _count(self, streak: _Streak, reached: float, first: int) -> None:
        against = reached >= (self.bounds.release if streak.said else 1)
        if against and not streak.against and not streak.said:
            streak.since = first
        streak.against = streak.against + 1 if against else 0
        streak.fine = 0 if against else streak.fine + 1
        streak.said = streak.fine < self.patience if streak.said else streak.against >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know to say the same."""
        streaks = {state: asdict(streak) for state, streak in self._streaks.items()}
        classes = {"share": self._share, "had": self._had}
        found = {"finding": list(self.finding), "without_held_out": list(self.without_held_out)}
        return {**found, "streaks": streaks, "step": self._step, **classes}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.finding, self._step = Finding(*state_dict["finding"]), state_dict["step"]
        self.without_held_out = Finding(*state_dict.get("without_held_out", state_dict["finding"]))
        self._share, self._had = state_dict["share"], state_dict["had"]
        self._streaks = {state: _Streak(**state_dict["streaks"].get(state, {})) for state in RULES}


def _not_finite(seen: Signals) -> str | None:
    """The first of the numbers that is not."""
    numbers = ((name, value) for name, value in vars(seen).items() if isinstance(value, float))
    return next((name for name, value in numbers if not math.isfinite(value)), None)
