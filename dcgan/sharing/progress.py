"""``mode=progress``: the same latents from step 0 to the last; of a run that kept only grids, those."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor

from dcgan.config.schema import GenerateConfig
from dcgan.data.images import GAP, tile
from dcgan.models.base import Generator
from dcgan.reports.pictures import evenly, grids, opened
from dcgan.runs.load import SUFFIX, Loaded
from dcgan.sharing.asked import USES, nearest, number, refuse_more, typed
from dcgan.sharing.draw import drawing
from dcgan.sharing.grid import picture
from dcgan.sharing.weights import generator_of, untrained
from dcgan.sharing.writing import enlarged, labelled, write_animation, write_png
from dcgan.shell.reading import small_text
from dcgan.shell.zoo import source

IN_STRIP, IN_ANIMATION = 12, 200  # moments
MOST = 400  # images of each
HIGH, HIGH_MOVING = 56, 320  # pixels of an image in the strip, and of the grid that moves
SECONDS, LAST = 6, 2  # that an animation of many frames takes, and that its last stays
SLOWEST, FASTEST = 500, 60  # milliseconds of a frame


class Moment(NamedTuple):
    """What was drawn at a step: a column of images (N, C, H, W), and their grid (3, H', W'); what the images are of."""

    step: int
    column: Tensor
    whole: Tensor
    names: Sequence[str] = ()


def write(config: GenerateConfig, out: Path) -> None:
    """Draw the moments and write them to ``out``."""
    run = source(config.run, config.zoo)
    shown = IN_STRIP if config.format == "grid" else IN_ANIMATION
    kept = kept_steps(run)
    moments = list(_drawn(run, kept, config, shown) if kept else _of_grids(run, config, shown))
    if config.format == "grid":
        write_png(strip(moments), out)
        return
    frames = [_frame(moment) for moment in moments]
    each = min(SLOWEST, max(FASTEST, 1000 * SECONDS // len(frames)))
    write_animation(frames, out, form=config.format, milliseconds=[*[each] * (len(frames) - 1), 1000 * LAST])


def kept_steps(run: Path) -> list[int]:
    """The steps whose generators a run kept on its way."""
    names = (path.name.removesuffix(SUFFIX).removeprefix("step_") for path in run.glob(f"checkpoints/step_*{SUFFIX}"))
    return sorted(int(name) for name in names if name.isdigit())


def _drawn(run: Path, kept: Sequence[int], config: GenerateConfig, most: int) -> Iterator[Moment]:
    """From the checkpoints; before the first step, from the weights that the seed gives, unless others were taken."""
    last = generator_of(run, checkpoint="last", device=config.device, weights=config.weights)
    asked = drawing(config, last.generator, last.config)
    refuse_more(config, len(asked), most=MOST)
    names = [name if i == 0 else "" for name in asked.names for i in range(asked.per_row)]
    first = [0] if last.config.init is None else []
    for step in _chosen(sorted({*first, *kept, last.step}), config, most=most):
        images = asked.images(_at(run, step, last, config))
        yield Moment(step, images, picture(images, asked, is_text=config.text is not None), names)


def _at(run: Path, step: int, last: Loaded, config: GenerateConfig) -> Generator:
    if step == last.step:
        return last.generator
    if step == 0:
        return untrained(last.config, device=config.device, weights=config.weights)
    return generator_of(run, checkpoint=str(step), device=config.device, weights=config.weights).generator


def _of_grids(run: Path, config: GenerateConfig, most: int) -> Iterator[Moment]:
    """From the grids that a run drew as it trained, whose samples nobody can choose any more."""
    there = grids(run)
    if not there:
        raise FileNotFoundError(f"run={run}: kept no checkpoints and no grids to show; is it a run folder?")
    for key, (unasked, modes) in USES.items():
        value = getattr(config, key)
        if "progress" in modes and key not in ("n", "steps") and unasked not in (value, [value]):
            raise ValueError(
                f"{key}={typed(value)}: {run} kept only grids of what it drew then (checkpoints.keep=true keeps "
                f"generators); leave {key} out"
            )
    print(f"note: {run} kept no checkpoints on its way; showing its grids", file=sys.stderr)
    side = _resolution(run)
    for step in _chosen(sorted(there), config, most=most):
        whole = _read(there[step])
        rows = min(number(config), (whole.shape[1] - GAP) // (side + GAP))
        column = whole[:, GAP:, GAP : GAP + side]
        yield Moment(step, torch.stack([column[:, i * (side + GAP) :][:, :side] for i in range(rows)]), whole)


def _chosen(there: Sequence[int], config: GenerateConfig, *, most: int) -> list[int]:
    return evenly(there, most) if config.steps is None else nearest(there, config.steps)


def _read(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.asarray(opened(path)).copy()).permute(2, 0, 1)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; remove it") from error


def _resolution(run: Path) -> int:
    try:
        return int(yaml.safe_load(small_text(run / "config.yaml"))["data"]["resolution"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{run}/config.yaml: says no data.resolution, the size of the images in its grids") from error


def strip(moments: Sequence[Moment]) -> Tensor:
    """A column for each moment, a row for each sample."""
    columns = [enlarged(moment.column, to=HIGH) for moment in moments]
    images = torch.stack(columns, 1).flatten(0, 1)
    names = [f"{moment.step:,}" for moment in moments]
    rows = moments[0].names if any(moments[0].names) else ()
    return labelled(tile(images, columns=len(moments)), rows=rows, columns=names, below="steps of training")


def _frame(moment: Moment) -> Tensor:
    return labelled(enlarged(moment.whole, to=HIGH_MOVING), below=f"step {moment.step:,}")
