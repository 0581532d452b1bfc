"""What to turn when a run goes wrong, and which network's rate is lowered where ``health=act`` turns it by itself."""

from collections.abc import Mapping
from typing import NamedTuple

from dcgan.config.combinations import Keys
from dcgan.config.rules import shown
from dcgan.config.schema import TrainConfig

PAGE = "experiments/2026-11-30_failures/README.md"  # what each state looks like, and what helped


class Remedy(NamedTuple):
    """The network to blame, and in words the key to turn."""

    network: str
    words: str  # may name values, as {keys[augment.name]}, {clip}, and the rates as they are now, {rates[generator]}


SLOWER_D = "lower optimizer.discriminator.lr (now {rates[discriminator]:g})"
SLOWER_G = "lower optimizer.generator.lr (now {rates[generator]:g})"
REMEDIES: Mapping[str, Remedy] = {
    "diverging": Remedy("discriminator", f"{SLOWER_D}, or set optimizer.clip (now {{clip}})"),
    "memorising": Remedy("discriminator", f"take augment=diffaugment (now {{keys[augment.name]}}), or {SLOWER_D}"),
    "discriminator_blind": Remedy(
        "generator", f"raise optimizer.discriminator.lr (now {{rates[discriminator]:g}}), or {SLOWER_G}"
    ),
    "discriminator_won": Remedy("discriminator", SLOWER_D),
    "oscillating": Remedy("generator", SLOWER_G),
    "class_collapse": Remedy("generator", f"{SLOWER_G}, or take model.discriminator.minibatch_stddev=true"),
    "sample_collapse": Remedy("generator", f"{SLOWER_G}, or take model.discriminator.minibatch_stddev=true"),
    "not_learning": Remedy(
        "generator",
        "look at the images (python -m dcgan.doctor), or change optimizer.generator.lr (now {rates[generator]:g}) or "
        "optimizer.discriminator.lr (now {rates[discriminator]:g})",
    ),
}


def knob(state: str, config: TrainConfig, *, rates: Mapping[str, float]) -> str:
    """What to turn in a state, with its value now.

    Args:
        rates: of each network, without the schedule's factor.
    """
    keys = Keys(config)
    return REMEDIES[state].words.format(keys=keys, rates=rates, clip=shown(keys["optimizer.discriminator.clip"]))
