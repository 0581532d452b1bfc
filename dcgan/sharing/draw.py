"""What is to be drawn: which sample of which seed, of which class, each known by its place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dcgan.config.rules import as_list
from dcgan.config.schema import GenerateConfig, TrainConfig
from dcgan.data.latents import sample_latents
from dcgan.models.base import Generator
from dcgan.sharing.asked import number, typed

Numbers = np.ndarray  # int64 (N,)
GOLDEN = np.uint64(11400714819323198485)  # 2**64 divided by the golden ratio (Knuth, volume 3, section 6.4)


class Row(NamedTuple):
    """The samples of one seed; ``label_of`` says the classes by their numbers, None: the generator takes none."""

    seed: int
    label_of: Callable[[Numbers], Numbers] | None


@dataclass(frozen=True)
class Drawing:
    """``per_row`` samples of each row, one row after the other.

    ``columns``: how many lie side by side; None: nearly a square, of ``num_classes`` above 0 a row for each class.
    """

    rows: Sequence[Row]
    per_row: int
    latent_dim: int
    truncation: float | None = None
    columns: int | None = None
    num_classes: int = 0
    names: Sequence[str] = ()  # of the rows

    def __len__(self) -> int:
        return len(self.rows) * self.per_row

    def latents(self, start: int, stop: int) -> Tensor:
        """Those of the samples at the places from ``start`` up to ``stop``: (N, latent_dim)."""
        return torch.cat(
            [
                sample_latents(
                    seed=row.seed,
                    n=len(numbers),
                    first=numbers.start,
                    latent_dim=self.latent_dim,
                    truncation=self.truncation,
                )
                for row, numbers in self._parts(start, stop)
            ]
        )

    def labels(self, start: int, stop: int) -> Tensor | None:
        """Their classes int64 (N,); None: the generator takes none."""
        found = [
            row.label_of(np.arange(numbers.start, numbers.stop))
            for row, numbers in self._parts(start, stop)
            if row.label_of
        ]
        return torch.from_numpy(np.concatenate(found).astype(np.int64)) if found else None

    def _parts(self, start: int, stop: int) -> Iterator[tuple[Row, range]]:
        """The rows that these are in, and their numbers there."""
        for i in range(start // self.per_row, (stop - 1) // self.per_row + 1):
            first = i * self.per_row
            yield self.rows[i], range(max(start - first, 0), min(stop - first, self.per_row))

    def images(self, generator: Generator) -> Tensor:
        """All of them: uint8 (N, C, H, W)."""
        return generator.draw(self.latents(0, len(self)), self.labels(0, len(self)))


def drawing(config: GenerateConfig, generator: Generator, trained: TrainConfig) -> Drawing:
    """What ``config`` asks a generator for.

    Raises:
        ValueError: it takes no labels, or has no such class; the message says which there are.
    """
    per_row, seeds = number(config), as_list(config.seed)
    names = class_names(trained, num_classes=generator.num_classes)
    patterns = _patterns(config, names, trained)
    columns = per_row if len(seeds) * len(patterns) > 1 else None
    if config.text is not None:
        columns, per_row = len(config.text), per_row * len(config.text)
    several = {"seed": len(seeds) > 1, "class": len(patterns) > 1}
    return Drawing(
        rows=[Row(seed, label_of) for seed in seeds for label_of in patterns.values()],
        per_row=per_row,
        latent_dim=generator.latent_dim,
        truncation=config.truncation,
        columns=columns,
        num_classes=generator.num_classes if config.label is None and config.labels == "even" else 0,
        names=[
            ", ".join(f"{key} {value}" for key, value in {"seed": seed, "class": name}.items() if several[key])
            for seed in seeds
            for name in patterns
        ],
    )


def _patterns(
    config: GenerateConfig, names: Sequence[str], trained: TrainConfig
) -> dict[str, Callable[[Numbers], Numbers] | None]:
    """How each row of a seed is labelled."""
    if config.text is not None:
        return {config.text: in_turn(written(config.text, names))}
    if config.label is not None:
        return {names[label]: in_turn([label]) for label in classes(config.label, names)}
    if config.labels == "data":
        if not names:
            raise ValueError(f"labels=data: {WITHOUT_LABELS.replace('null', 'even')}")
        from dcgan.sharing.real import class_shares  # Lightning loads here

        return {"": in_proportion(class_shares(config, trained, num_classes=len(names)))}
    return {"": in_turn(range(len(names))) if names else None}


def in_turn(labels: Sequence[int]) -> Callable[[Numbers], Numbers]:
    """Sample i is of the class ``labels[i % len(labels)]``."""
    return lambda numbers: np.asarray(labels)[numbers % len(labels)]


def in_proportion(shares: Sequence[float]) -> Callable[[Numbers], Numbers]:
    """Each class as often as its share says: of the first n samples to within a few, for any n.

    Sample i is of the class that the fractional part of i times the golden ratio falls into: such parts lie evenly,
    from the first few on (Weyl 1916). No random number, so the class of sample 17 depends on nothing else.
    """
    ends = np.cumsum(np.asarray(shares, dtype=np.float64))

    def label_of(numbers: Numbers) -> Numbers:
        parts = (numbers.astype(np.uint64) * GOLDEN) / 2.0**64
        return np.searchsorted(ends / ends[-1], parts, side="right").clip(max=len(ends) - 1)

    return label_of


WITHOUT_LABELS = "this model takes no labels; leave it null, or train a conditional one"


def class_names(trained: TrainConfig, *, num_classes: int) -> list[str]:
    """As a person calls the classes of a generator: the folders of one's own images, else numbers from 0."""
    named = getattr(trained.data, "classes", None) or []
    return list(named) if len(named) == num_classes else [str(i) for i in range(num_classes)]


def classes(label: object, names: Sequence[str]) -> list[int]:
    """The numbers of the classes that ``label=`` means, each by its name or, where names are words, its number.

    Raises:
        ValueError: there is no such class.
    """
    if not names:
        raise ValueError(f"label={typed(label)}: {WITHOUT_LABELS}")
    wanted = as_list(label)
    return list(range(len(names))) if wanted == ["all"] else [_class(one, names) for one in wanted]


def _class(label: object, names: Sequence[str]) -> int:
    if str(label) in names:
        return list(names).index(str(label))
    are_words = not any(name.isdigit() for name in names)
    if are_words and isinstance(label, int) and 0 <= label < len(names):
        return label
    raise ValueError(f"label={label}: must be {_which(names)}")


def written(text: str, names: Sequence[str]) -> list[int]:
    """The class of each letter of ``text``.

    Raises:
        ValueError: a letter is none.
    """
    if not names:
        raise ValueError(f"text={text}: {WITHOUT_LABELS}")
    for letter in text:
        if letter not in names:
            raise ValueError(f"text={text}: no class is called {letter!r}; a letter must be {_which(names)}")
    return [list(names).index(letter) for letter in text]


def _which(names: Sequence[str]) -> str:
    if list(names) == [str(i) for i in range(len(names))]:
        return f"from 0 to {len(names) - 1}"
    return f"one of {', '.join(names if len(names) <= 20 else [*names[:20], '...'])}"
