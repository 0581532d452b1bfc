"""The page of a run, with a slider over the steps whose generators it kept."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dcgan.reports.pictures import evenly
from dcgan.runs.load import load
from dcgan.sharing.forms import write_checked
from dcgan.sharing.progress import kept_steps
from dcgan.sharing.web import write_page
from dcgan.shell.writing import replacing

MOST = 20  # on the slider


class Pages(NamedTuple):
    """``makers``: what writes the generator of a step, by its file's name: an export takes seconds."""

    said: str
    makers: Mapping[str, Callable[[Path], None]]


def write_pages(run: Path, folder: Path, *, checkpoint: str, root: Path) -> Pages:
    """Write the page of a checkpoint into ``folder``, all but the generators of other steps.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong.
    """
    loaded = load(run, checkpoint=checkpoint, device="cpu")
    names = {step: f"step_{step:06d}.onnx" for step in evenly(kept_steps(run), MOST) if step != loaded.step}
    said = write_page(loaded, folder, root=root, others=names)
    return Pages(said, {name: partial(_write_step, run, step) for step, name in names.items()})


def _write_step(run: Path, step: int, path: Path) -> None:
    with replacing(path) as temporary:
        write_checked(load(run, checkpoint=str(step), device="cpu"), temporary, form="onnx")
