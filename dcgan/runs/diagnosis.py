"""What goes wrong in a run, by rules: one look after another comes in, and the state that they agree on comes out.

Every rule is a number of one look over its bound: 1 or more, and the look is against the run.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from dcgan.runs.signals import Reference, Signals


@dataclass(frozen=True)
class Bounds:
    """From where on a number is against the run."""

    warmup: int = 300  # steps in which nothing is held against it: every run begins with garbage that D knows at once
    release: float = 0.9  # of a bound: below so much of it a state that was said is over
    # D's loss, logits, and gradient norms at which nothing is learnt any more; in healthy runs below 4, 30, 100
    loss: float = 10.0
    logit: float = 1000.0
    gradient: float = 1e4
    recognised: float = 0.8  # pairs in which D ranks an image that it trains on above a held-out one; 0.5: it cannot
    blind: float = 0.53  # pairs in which D ranks a real image above a fake; 0.5: it guesses
    won: float = 0.995  # the same: there is nothing left that would fool it
    returned: float = 0.7  # change over two looks by that over one: 1.4 for a random walk, 0 for a swing
    swing: float = 0.3  # change between two looks, of the real images' spread, that is worth the name
    classes: float = 0.5  # exp of the entropy of the classes, over that of as many real images; two of ten: 0.2
    # The share of classes that a run must have had before they count as lost, or else be so many steps old: without
    # convolutions samples are of three classes in effect for 500 steps, because they are no digits yet
    had: float = 0.6
    late: int = 1500
    rank: float = 0.25  # effective rank of the samples, over the real images'
    spread: float = 0.4  # root mean square distance of the samples from their mean, over the real images'
    obeyed: float = 0.3  # samples of the class that they were asked for
    still: float = 0.01  # change between two looks, of the real images' spread, that is none
    mean: float = 0.25  # mean pixel of the samples less that of real images; black to white is 2
    wide: float = 1.7  # spread of the samples, over the real images'


HEALTHY = "healthy"
DIVERGING = "diverging"
# As TensorBoard numbers them. Of several that hold the first is said: what comes first may cause the others.
STATES = (
    *(HEALTHY, DIVERGING, "memorising", "discriminator_blind", "discriminator_won", "oscillating"),
    *("class_collapse", "sample_collapse", "not_learning"),
)


class Look(NamedTuple):
    """What one look saw, and what it is compared with."""

    seen: Signals
    real: Reference
    bounds: Bounds
    had: float  # the most of the real images' classes, in effect, that samples have had so far; 0: none were counted


class Sign(NamedTuple):
    """A number of a look, its bound in words, and how much of it was reached: 1 or more is against the run."""

    reached: float
    figure: str


NO_SIGN = Sign(0.0, "")


def effective(counts: Sequence[int] | None) -> float | None:
    """How many classes there are in effect: exp of the entropy of their shares. None: classes are not counted.

    Two of ten, equally often: exp(log 2) = 2.
    """
    total = sum(counts or ())
    if not counts or not total:
        return None
    return math.exp(-sum(n / total * math.log(n / total) for n in counts if n))


def class_share(seen: Signals, real: Reference) -> float | None:
    """The classes of the samples in effect, over those of as many real images."""
    there, expected = effective(seen.classes), effective(real.classes)
    return there / expected if there and expected else None


# --- the rules: a look -> its signs, of which the strongest counts; none: it cannot tell


def _diverging(look: Look) -> list[Sign]:
    seen, bounds = look.seen, look.bounds
    logit = max(abs(seen.logit_real), abs(seen.logit_fake))
    norms = [norm for norm in (seen.grad_norm_discriminator, seen.grad_norm_generator) if norm is not None]
    return [
        Sign(seen.loss_discriminator / bounds.loss, f"D's loss is {seen.loss_discriminator:.3g} ({bounds.loss:g})"),
        Sign(logit / bounds.logit, f"D's logits are {logit:.3g} ({bounds.logit:g})"),
        *(Sign(norm / bounds.gradient, f"a gradient's norm is {norm:.3g} ({bounds.gradient:g})") for norm in norms),
    ]


def _memorising(look: Look) -> list[Sign]:
    share, bound = look.seen.recognised, look.bounds.recognised
    words = "of pairs D ranks an image that it trains on above a held-out one"
    return [] if share is None else [Sign(_above_half(share, bound), f"in {share:.0%} {words} ({bound:.0%})")]


def _blind(look: Look) -> list[Sign]:
    """Where samples stand still as well, it is no more D's fault than G's."""
    share, bound, moved = look.seen.ordered, look.bounds.blind, look.seen.moved
    if moved is not None and moved < look.bounds.still:
        return [NO_SIGN]
    figure = f"in {share:.0%} of pairs D ranks the real image above the fake ({bound:.0%})"
    return [Sign((1 - share) / (1 - bound), figure)]


def _won(look: Look) -> list[Sign]:
    share, bound = look.seen.ordered, look.bounds.won
    figure = f"in {share:.1%} of pairs D ranks the real image above the fake ({bound:.1%})"
    return [Sign(_above_half(share, bound), figure)]


def _oscillating(look: Look) -> list[Sign]:
    seen, bounds = look.seen, look.bounds
    if seen.moved is None or not seen.returned:
        return []
    figure = f"samples change by {seen.moved:.2f} between looks, and over two by {seen.returned:.2f} of that"
    return [Sign(min(bounds.returned / seen.returned, seen.moved / bounds.swing), f"{figure} ({bounds.returned:g})")]


def _class_collapse(look: Look) -> list[Sign]:
    share, bound = class_share(look.seen, look.real), look.bounds.classes
    if share is None:
        return []
    if look.had < look.bounds.had and look.seen.step < look.bounds.late:
        return [NO_SIGN]
    there, expected = effective(look.seen.classes), effective(look.real.classes)
    return [
        Sign(bound / share, f"samples are of {there:.1f} classes in effect, real images of {expected:.1f} ({bound:g})")
    ]


def _sample_collapse(look: Look) -> list[Sign]:
    seen, bounds = look.seen, look.bounds
    rank = f"the samples' effective rank is {seen.rank:.1f}, of real images {look.real.rank:.1f}"
    return [
        Sign(_over(bounds.rank * look.real.rank, seen.rank), f"{rank} ({bounds.rank:g} of it)"),
        Sign(
            _over(bounds.spread, seen.spread),
            f"the samples' spread is {seen.spread:.2f} of the real ({bounds.spread:g})",
        ),
    ]


def _not_learning(look: Look) -> list[Sign]:
    seen, bounds = look.seen, look.bounds
    signs = [
        Sign(abs(seen.mean) / bounds.mean, f"samples' mean pixel is off by {seen.mean:+.2f} ({bounds.mean:g})"),
        Sign(seen.spread / bounds.wide, f"the samples' spread is {seen.spread:.2f} of the real ({bounds.wide:g})"),
    ]
    if seen.obeyed is not None:
        figure = f"{seen.obeyed:.0%} of samples are of the class that they were asked for ({bounds.obeyed:.0%})"
        signs.append(Sign(_over(bounds.obeyed, seen.obeyed), figure))
    if seen.moved is not None:
        signs.append(
            Sign(
                _over(bounds.still, seen.moved), f"samples change by {seen.moved:.3f} between looks ({bounds.still:g})"
            )
        )
    return signs


RULES: Mapping[str, Callable[[Look], list[Sign]]] = dict(
    zip(
        STATES[1:],
        (_diverging, _memorising, _blind, _won, _oscillating, _class_collapse, _sample_collapse, _not_learning),
        strict=True,
    )
)


def _above_half(share: float, bound: float) -> float:
    """How far a share of pairs is from chance, 0.5, on the way to its bound."""
    return (share - 0.5) / (bound - 0.5)


def _over(bound: float, value: float) -> float:
    return bound / value if value else math.inf


# --- from signs to a state


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
        self._streaks = {state: _Streak() for state in RULES}
        self._step = 0  # of the last look
        self._had = 0.0  # as ``Look`` has it

    @property
    def suspects(self) -> bool:
        """Whether the last look was against the run, be it said or not."""
        return any(streak.against or streak.said for streak in self._streaks.values())

    def see(self, seen: Signals) -> Finding:
        """Take one look into account, and say what state the run is in."""
        self._had = max(self._had, class_share(seen, self.real) or 0.0)
        look, first = Look(seen, self.real, self.bounds, self._had), self._step + 1
        signs = {state: self._sign(state, look) for state in RULES}
        for state, sign in signs.items():
            if sign is not None:
                self._count(self._streaks[state], sign.reached, first)
        self._step = seen.step
        said = next((state for state in RULES if self._streaks[state].said), None)
        if said is not None and self.finding.healthy and self._may_be_another(said):
            said = None
        if said is None:
            self.finding = Finding(HEALTHY, self.finding.since if self.finding.healthy else seen.step, "")
        else:
            sign = signs[said]
            figure = sign.figure if sign is not None else self.finding.figure
            self.finding = Finding(said, self._streaks[said].since, figure)
        return self.finding

    def _may_be_another(self, said: str) -> bool:
        """Whether looks have begun to be against the run for a reason that comes before: one waits for its answer."""
        before = list(RULES)[: list(RULES).index(said)]
        return any(self._streaks[state].against for state in before)

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
        return {"finding": list(self.finding), "streaks": streaks, "step": self._step, "had": self._had}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.finding, self._step = Finding(*state_dict["finding"]), state_dict["step"]
        self._had = state_dict["had"]
        self._streaks = {state: _Streak(**state_dict["streaks"].get(state, {})) for state in RULES}


def _not_finite(seen: Signals) -> str | None:
    """The first of the numbers that is not."""
    numbers = ((name, value) for name, value in vars(seen).items() if isinstance(value, float))
    return next((name for name, value in numbers if not math.isfinite(value)), None)
