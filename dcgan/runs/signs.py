"""What speaks against a run in one look, by rules: each is a number over its bound; 1 or more, and it does."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    won: float = 0.995  # the same: there is nothing left that would fool it; a healthy DCGAN is above it for 500 steps,
    unlike: float = 0.4  # so it has won only where the samples' rank, spread or classes are below so much of the real
    # Change over two looks by that over one: 1.4 for a random walk, 0 for a swing; r3gan, healthy, is once at 0.69
    returned: float = 0.5
    swing: float = 0.3  # change between two looks, of the real images' spread, that is worth the name
    classes: float = 0.5  # exp of the entropy of the classes, over that of as many real images; two of ten: 0.2
    # The share of classes that a run must have had before they count as lost, or else be so many steps old: without
    # convolutions samples are of three classes in effect for 500 steps, because they are no digits yet
    had: float = 0.6
    late: int = 1500
    rank: float = 0.25  # effective rank of the samples, over the real images'
    spread: float = 0.4  # root mean square distance of the samples from their mean, over the real images'
    obeyed: float = 0.3  # samples of the class that they were asked for, once they have so many of the real images'
    told: float = 0.7  # classes: a narrow ResNet draws digits long before it heeds labels
    still: float = 0.01  # change between two looks, of the real images' spread, that is none
    mean: float = 0.25  # mean pixel of the samples less that of real images; black to white is 2
    wide: float = 1.7  # spread of the samples, over the real images'
    # Squared distance of the samples' mean features from the real images', over these images' variance: real images
    # 0.03, healthy convolutions below 0.3 from step 300 on, an MLP at 3 until step 500; so from step `late` on this
    # much, and before in proportion more
    far: float = 1.0


HEALTHY = "healthy"
DIVERGING = "diverging"
MEMORISING = "memorising"  # alone of what held-out images show, by which nothing is to be chosen
# As TensorBoard numbers them. Of several that hold the first is said: what comes first may cause the others.
STATES = (
    *(HEALTHY, DIVERGING, MEMORISING, "discriminator_blind", "discriminator_won", "oscillating"),
    *("class_collapse", "sample_collapse", "not_learning"),
)


class Look(NamedTuple):
    """What one look saw, and what it is compared with."""

    seen: Signals
    real: Reference
    bounds: Bounds
    share: float | None  # of the real images' classes, in effect, that samples had when they were counted last
    had: float  # the most that they have had so far; 0: they were never counted

    @property
    def likeness(self) -> float:
        """How much samples have of what real images have: the least of rank, spread and classes; 1: as much."""
        return min(self.seen.rank / self.real.rank, self.seen.spread, 1.0 if self.share is None else self.share)

    @property
    def alike(self) -> bool:
        """Whether the samples differ in so few ways that how D judges them, as one, follows from that."""
        return self.seen.rank < self.bounds.rank * self.real.rank


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
    if look.alike or (moved is not None and moved < look.bounds.still):
        return [NO_SIGN]
    figure = f"in {share:.0%} of pairs D ranks the real image above the fake ({bound:.0%})"
    return [Sign((1 - share) / (1 - bound), figure)]


def _won(look: Look) -> list[Sign]:
    share, bounds, likeness = look.seen.ordered, look.bounds, look.likeness
    if look.alike:
        return [NO_SIGN]
    figure = f"in {share:.1%} of pairs D ranks the real image above the fake ({bounds.won:.1%})"
    return [Sign(min(_above_half(share, bounds.won), _over(bounds.unlike, likeness)), figure)]


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
    """By spread only at the real images' brightness: a mean that is far off says more."""
    seen, bounds = look.seen, look.bounds
    rank = f"the samples' effective rank is {seen.rank:.1f}, of real images {look.real.rank:.1f}"
    spread = f"the samples' spread is {seen.spread:.2f} of the real ({bounds.spread:g})"
    signs = [Sign(_over(bounds.rank * look.real.rank, seen.rank), f"{rank} ({bounds.rank:g} of it)")]
    if abs(seen.mean) < bounds.mean:
        signs.append(Sign(_over(bounds.spread, seen.spread), spread))
    return signs


def _not_learning(look: Look) -> list[Sign]:
    seen, bounds = look.seen, look.bounds
    signs = [
        Sign(abs(seen.mean) / bounds.mean, f"samples' mean pixel is off by {seen.mean:+.2f} ({bounds.mean:g})"),
        Sign(seen.spread / bounds.wide, f"the samples' spread is {seen.spread:.2f} of the real ({bounds.wide:g})"),
    ]
    if seen.obeyed is not None and ((look.share or 0.0) >= bounds.told or seen.step >= bounds.late):
        figure = f"{seen.obeyed:.0%} of samples are of the class that they were asked for ({bounds.obeyed:.0%})"
        signs.append(Sign(_over(bounds.obeyed, seen.obeyed), figure))
    if seen.distance is not None:
        bound = bounds.far * max(1.0, bounds.late / seen.step)
        figure = f"samples' mean features are {seen.distance:.2g} of the variance off the real images' ({bound:.2g})"
        signs.append(Sign(seen.distance / bound, figure))
    if seen.moved is not None:
        bound = bounds.still * seen.rate  # as its rate falls to zero, a generator that is well comes to rest
        signs.append(Sign(_over(bound, seen.moved), f"samples change by {seen.moved:.3f} between looks ({bound:.2g})"))
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
