"""``python -m dcgan.generate run=<run folder> n=64 seed=3``: images from a run's averaged generator; needs no data."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from dcgan.cli import Launch, cli
from dcgan.config.check import check
from dcgan.config.schema import GenerateConfig

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {"grid": ".png", "png": "", "npz": ".npz"}


def generate(config: GenerateConfig) -> Path:
    """Draw ``n`` images and write them as ``format`` says; return where they are.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong; nothing is written.
        FileExistsError: ``out`` exists and ``overwrite`` is false.
    """
    from dcgan import runs

    out = Path(config.out) if config.out else _default_out(config)
    if out.exists():
        _refuse_to_replace(out, config)
    gan, _, _ = runs.load_gan(Path(config.run), checkpoint=config.checkpoint, device=config.device)
    images = gan.sample(n=config.n, seed=config.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(images, out, form=config.format)
    return out


def _default_out(config: GenerateConfig) -> Path:
    name = f"{config.format}_{config.checkpoint}_seed{config.seed}_n{config.n}{SUFFIXES[config.format]}"
    return Path(config.run) / "generated" / name


def _refuse_to_replace(out: Path, config: GenerateConfig) -> None:
    """Only what this command wrote itself is ever replaced: a file by a file, a folder of images by such a folder."""
    if not config.overwrite:
        raise FileExistsError(f"out={out}: exists; choose another, or overwrite=true")
    if out.is_dir() != (config.format == "png"):
        kind = "folder" if out.is_dir() else "file"
        raise FileExistsError(f"out={out}: is a {kind}, which format={config.format} does not write; choose another")
    if out.is_dir() and not all(re.fullmatch(r"\d{6}\.png", path.name) for path in out.iterdir()):
        raise FileExistsError(f"out={out}: holds other files too; choose another folder")


def _write(images: "Tensor", out: Path, *, form: str) -> None:
    """Write beside ``out`` first: an interrupted command leaves no half of it."""
    import numpy as np

    from dcgan.images import grid, save_png

    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".generate-") as folder:
        temporary = Path(folder) / f"images{SUFFIXES[form]}"
        if form == "grid":
            save_png(grid(images), temporary)
        elif form == "npz":
            array = images.squeeze(1).numpy() if images.shape[1] == 1 else images.permute(0, 2, 3, 1).numpy()
            np.savez_compressed(temporary, images=array)
        else:
            for i, image in enumerate(images):
                save_png(image, temporary / f"{i:06d}.png")
        if out.is_dir():
            shutil.rmtree(out)
        temporary.replace(out)


def main(config: DictConfig, launch: Launch) -> Path:
    """Generate what the command line names, and say where it is."""
    out = generate(check(config, GenerateConfig))
    print(out)
    return out


if __name__ == "__main__":
    cli("generate", main)
