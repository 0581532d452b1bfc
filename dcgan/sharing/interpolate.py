"""``mode=interpolate``: pictures on the way from one sample to the next, and from one class to the next."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.config.rules import as_list
from dcgan.config.schema import GenerateConfig
from dcgan.data.images import tile
from dcgan.data.latents import sample_latents
from dcgan.sharing.asked import number, refuse_more
from dcgan.sharing.draw import class_names, classes
from dcgan.sharing.stream import Stream, drawn
from dcgan.sharing.weights import asked_for
from dcgan.sharing.writing import enlarged, labelled, write_animation, write_png

SAMPLES = 4  # of one seed, that a path goes through where no others are named
HIGH, HIGH_ALONE = 56, 224  # pixels of an image among others, and of one that moves
MILLISECONDS = 80  # that it is seen
MOST = 1_000  # images of one picture or animation

Way = Callable[[Tensor, Tensor, float], Tensor]


class Stop(NamedTuple):
    """A sample that the path goes through; ``label`` None: its generator takes none."""

    seed: int
    number: int
    label: int | None


def write(config: GenerateConfig, out: Path) -> None:
    """Draw the path and write it to ``out``."""
    loaded = asked_for(config)
    generator = loaded.generator
    names = class_names(loaded.config, num_classes=generator.num_classes)
    labels = None if config.label is None else classes(config.label, names)
    stops = stops_of(as_list(config.seed), labels, num_classes=len(names))
    latents = [
        sample_latents(
            seed=stop.seed, n=1, first=stop.number, latent_dim=generator.latent_dim, truncation=config.truncation
        )[0]
        for stop in stops
    ]
    shares = None if not names else [_one_hot(stop.label, len(names)) for stop in stops]
    route = Route(latents, shares, steps=number(config), way=WAYS[config.path], loop=config.loop)
    if config.format in ("png", "npz"):
        Stream(route, loaded, config, out).write()
        return
    refuse_more(config, len(route), most=MOST)
    images = torch.cat([images for _, images in drawn(route, generator)])
    if config.format == "grid":
        write_png(strip(images, legs(stops, names, loop=config.loop), steps=route.steps), out)
    else:
        frames = list(enlarged(images, to=HIGH_ALONE))
        write_animation(frames, out, form=config.format, milliseconds=[MILLISECONDS] * len(frames))


def stops_of(seeds: Sequence[int], labels: Sequence[int] | None, *, num_classes: int) -> list[Stop]:
    """The first sample of each seed, of each class; of one seed and no more than one class, its first few samples.

    Where no class is said, each is of the class that it is always of.

    Raises:
        ValueError: there are several seeds and several classes, and not as many.
    """
    usual: Sequence[int | None] = range(num_classes) or [None]
    given: Sequence[int | None] = usual if labels is None else labels
    if len(seeds) == 1 and (labels is None or len(labels) == 1):
        return [Stop(seeds[0], i, given[i % len(given)]) for i in range(SAMPLES)]
    given = given[:1] if labels is None else given
    if len(seeds) > 1 and len(given) > 1 and len(seeds) != len(given):
        raise ValueError(
            f"seed=, label=: {len(seeds)} seeds and {len(given)} classes; name as many of both, or one of either"
        )
    number_of_stops = max(len(seeds), len(given))
    return [Stop(seeds[i % len(seeds)], 0, given[i % len(given)]) for i in range(number_of_stops)]


class Route:
    """The way through ``latents``, ``steps`` images from each to the next; closed, it ends before its beginning.

    Classes are mixed linearly, in the tables that the generator looks them up in.
    """

    def __init__(
        self, latents: Sequence[Tensor], shares: Sequence[Tensor] | None, *, steps: int, way: Way, loop: bool
    ) -> None:
        self.stops, self.shares, self.steps, self.way = latents, shares, steps, way
        self.length = len(latents) * steps if loop else (len(latents) - 1) * steps + 1

    def __len__(self) -> int:
        return self.length

    def latents(self, start: int, stop: int) -> Tensor:
        """(N, latent_dim) of the images at the places from ``start`` up to ``stop``."""
        return self._between(self.stops, self.way, start, stop)

    def labels(self, start: int, stop: int) -> Tensor | None:
        """Their shares of the classes (N, num_classes); None: the generator takes none."""
        return None if self.shares is None else self._between(self.shares, torch.lerp, start, stop)

    def _between(self, ends: Sequence[Tensor], way: Way, start: int, stop: int) -> Tensor:
        places = (divmod(place, self.steps) for place in range(start, stop))
        return torch.stack([way(ends[leg], ends[(leg + 1) % len(ends)], step / self.steps) for leg, step in places])


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Along the great circle from one latent to another (Shoemake 1985, section 3.3), ``share`` of the way.

    Normal latents of many dimensions lie near a sphere. On the straight line between two of them, its middle is of a
    length that the generator never saw (White 2016, "Sampling generative networks", section 2.1).
    """
    one, other = start.double(), end.double()
    angle = torch.acos((F.normalize(one, dim=0) @ F.normalize(other, dim=0)).clamp(-1, 1))
    if angle.sin() < 1e-6:  # they are the same
        return torch.lerp(start, end, share)
    mixed = ((1 - share) * angle).sin() / angle.sin() * one + (share * angle).sin() / angle.sin() * other
    return mixed.to(start.dtype)


WAYS: dict[str, Way] = {"spherical": slerp, "linear": torch.lerp}


def legs(stops: Sequence[Stop], names: Sequence[str], *, loop: bool) -> list[str]:
    """From what to what each stretch of the way goes, in words: only what differs between stops."""
    shown: dict[str, list[object]] = {
        "seed": [stop.seed for stop in stops],
        "sample": [stop.number for stop in stops],
        "class": [None if stop.label is None else names[stop.label] for stop in stops],
    }
    varied = {key: values for key, values in shown.items() if len({*values}) > 1}
    pairs = [(i, (i + 1) % len(stops)) for i in range(len(stops) if loop else len(stops) - 1)]
    return [", ".join(f"{key} {values[i]} to {values[j]}" for key, values in varied.items()) for i, j in pairs]


def strip(images: Tensor, rows: Sequence[str], *, steps: int) -> Tensor:
    """A row for each stretch, both of its ends in it; images (N, C, H, W) -> one picture (3, H', W')."""
    places = [(row * steps + step) % len(images) for row in range(len(rows)) for step in range(steps + 1)]
    return labelled(tile(enlarged(images, to=HIGH)[places], columns=steps + 1), rows=rows)


def _one_hot(label: int | None, num_classes: int) -> Tensor:
    assert label is not None
    return F.one_hot(torch.tensor(label), num_classes).float()
