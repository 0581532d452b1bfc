"""``python -m dcgan.generate run=<run folder> n=64 seed=3``: images from a run's averaged generator; needs no data."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import GenerateConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.writing import naming

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {"grid": ".png", "png": "", "npz": ".npz"}


def generate(config: GenerateConfig) -> Path:
    """Draw ``n`` images and write them as ``format`` says; return where they are.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong; nothing is written.
        FileExistsError: ``out`` exists and ``overwrite`` is false.
    """
    out = _named(Path(config.out), config) if config.out else _default_out(config)
    if out.exists():
        _refuse_to_replace(out, config)
    from dcgan.runs.load import load_generator  # torch loads here

    generator = load_generator(config.run, checkpoint=config.checkpoint, device=config.device)
    labels = _labels(config, num_classes=generator.num_classes)
    images = generator.sample(n=config.n, seed=config.seed, labels=labels)
    rows = generator.num_classes if config.label is None else 0
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(images, labels, out, form=config.format, rows=rows)
    return out


def _labels(config: GenerateConfig, *, num_classes: int) -> "Tensor | None":
    """Of each image; None for a generator that takes none."""
    import torch

    from dcgan.models.base import class_of_samples

    if config.label is None:
        return class_of_samples(config.n, num_classes=num_classes)
    if not num_classes:
        raise ValueError(f"label={config.label}: this model takes no labels; leave it null, or train a conditional one")
    if config.label >= num_classes:
        raise ValueError(f"label={config.label}: must be from 0 to {num_classes - 1}")
    return torch.full((config.n,), config.label)


def _default_out(config: GenerateConfig) -> Path:
    label = "" if config.label is None else f"_label{config.label}"
    name = f"{config.format}_{config.checkpoint}_seed{config.seed}{label}_n{config.n}{SUFFIXES[config.format]}"
    return Path(config.run) / "generated" / name


def _named(out: Path, config: GenerateConfig) -> Path:
    """``out`` with the ending of what ``format`` writes; another's is refused, for readers go by it."""
    from dcgan.data.pictures import SUFFIXES as PICTURES

    if out.parent.is_file():
        raise ValueError(f"out={out}: {out.parent} is a file; choose another folder")
    ending, given = SUFFIXES[config.format], out.suffix.lower()
    if out.is_dir() or given == ending or (out.exists() and not ending):  # refused by what is there, not by its name
        return out
    if not ending:  # a folder, whose name may hold a dot
        if given in {*PICTURES, ".npz", ".npy"}:
            raise ValueError(f"out={out}: format=png writes a folder of pictures; leave {out.suffix} out")
        return out
    if given:
        kind = {".png": "a PNG", ".npz": "an .npz"}[ending]
        raise ValueError(f"out={out}: format={config.format} writes {kind}; let its name end in {ending}")
    return out.with_name(out.name + ending)


def _refuse_to_replace(out: Path, config: GenerateConfig) -> None:
    """Only what this command wrote itself is ever replaced: a file by a file, a folder of images by such a folder."""
    if not config.overwrite:
        raise FileExistsError(f"out={out}: exists; choose another, or overwrite=true")
    if out.is_dir() != (config.format == "png"):
        kind = "folder" if out.is_dir() else "file"
        raise FileExistsError(f"out={out}: is a {kind}, which format={config.format} does not write; choose another")
    if out.is_dir() and not all(re.fullmatch(r"\d{6}\.png", path.name) for path in out.iterdir()):
        raise FileExistsError(f"out={out}: holds other files too; choose another folder")


def _write(images: "Tensor", labels: "Tensor | None", out: Path, *, form: str, rows: int) -> None:
    """Write beside ``out`` first: an interrupted command leaves no half of it."""
    import numpy as np

    from dcgan.data.images import grid, save_png

    with naming(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=".generate-") as folder:
        temporary = Path(folder) / f"images{SUFFIXES[form]}"
        if form == "grid":
            save_png(grid(images, num_classes=rows), temporary)
        elif form == "npz":
            array = images.squeeze(1).numpy() if images.shape[1] == 1 else images.permute(0, 2, 3, 1).numpy()
            arrays: dict[str, Any] = {"images": array} | ({} if labels is None else {"labels": labels.numpy()})
            np.savez_compressed(temporary, **arrays)
        else:
            for i, image in enumerate(images):
                save_png(image, temporary / f"{i:06d}.png")
        if out.is_dir():
            shutil.rmtree(out)
        temporary.replace(out)


def main(config: DictConfig, launch: Launch) -> Path:
    """Generate what the command line names, and say where it is."""
    out = generate(check(config, GenerateConfig, typed=launch.overrides))
    print(out)
    return out


if __name__ == "__main__":
    cli("generate", main)
