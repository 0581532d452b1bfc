"""``mode=grid``: the samples themselves, as one picture, or any number of them as files."""

from pathlib import Path

import torch
from torch import Tensor

from dcgan.config.schema import GenerateConfig
from dcgan.data.images import grid, tile
from dcgan.sharing.asked import refuse_more
from dcgan.sharing.draw import Drawing, drawing
from dcgan.sharing.stream import Stream
from dcgan.sharing.weights import asked_for
from dcgan.sharing.writing import enlarged, write_png

MOST = 10_000  # images of one picture
HIGH = 112  # pixels of a line that is written


def write(config: GenerateConfig, out: Path) -> None:
    """Draw what is asked for and write it to ``out``."""
    loaded = asked_for(config)
    asked = drawing(config, loaded.generator, loaded.config)
    if config.format != "grid":
        Stream(asked, loaded, config, out).write()
        return
    refuse_more(config, len(asked), most=MOST)
    write_png(picture(asked.images(loaded.generator), asked, is_text=config.text is not None), out)


def picture(images: Tensor, asked: Drawing, *, is_text: bool = False) -> Tensor:
    """Images (N, C, H, W) as they are laid out, in one picture; those of a text touch, line below line."""
    if is_text:
        assert asked.columns is not None
        lines = [torch.cat(list(line), 2) for line in images.split(asked.columns)]
        return torch.cat([enlarged(line, to=HIGH) for line in lines], 1)
    if asked.columns is None:
        return grid(images, num_classes=asked.num_classes)
    return tile(images, columns=asked.columns)
