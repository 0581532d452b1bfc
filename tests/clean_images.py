"""Small clean sets of images, and what a check-up says of them."""

from pathlib import Path

import numpy as np
from PIL import Image

from dcgan.config.options import FolderData
from dcgan.reports.checkup.examine import examine
from dcgan.reports.checkup.finding import Diagnosis
from dcgan.reports.checkup.seen import look

ONE = "train/disc/004.png"
SIDE = 28
CLASSES = ("bar", "disc", "pole", "ring")
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def shape(label: int, rng: np.random.Generator, *, channels: int = 3) -> np.ndarray:
    """A bright shape of the class, somewhere on a dark, grainy ground."""
    row, column, size = rng.uniform(10, 17), rng.uniform(10, 17), rng.uniform(4, 8)
    radius = np.hypot(ROWS - row, COLUMNS - column)
    masks = {
        "bar": (abs(ROWS - row) < size / 2.5) & (abs(COLUMNS - column) < 9),
        "disc": radius < size,
        "pole": (abs(COLUMNS - column) < size / 2.5) & (abs(ROWS - row) < 9),
        "ring": (radius < size + 2) & (radius > size - 1),
    }
    colour = np.array([[220, 60, 40], [60, 210, 70], [70, 90, 230], [210, 200, 50]][label]) + rng.integers(-25, 26, 3)
    image = np.where(masks[CLASSES[label]][..., None], colour, 25) + rng.integers(-9, 10, (SIDE, SIDE, 3))
    return np.clip(image[..., :channels], 0, 255).astype(np.uint8)


def save(image: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(path)
    return path


def clean(folder: Path, *, number: int = 30) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", number), ("test", 9)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                save(shape(label, rng), folder / split / name / f"{i:03}.png")
    return folder


def data(folder: Path, **keys: object) -> FolderData:
    keys = {"name": "folder", "folder": str(folder), "root": "data", "batch_size": 2, "memory": 4.0} | keys
    return FolderData(**({"background": "black", "unreadable": "stop"} | keys))  # type: ignore[arg-type]


def diagnosed(folder: Path, *, scored: int | None = None, **keys: object) -> Diagnosis:
    return examine(look(data(folder, **keys)), scored=scored)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))
