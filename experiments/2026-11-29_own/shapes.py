"""A small colour set to try judges on: circles, squares, triangles and crosses at 32x32, drawn from a seed.

python experiments/2026-11-29_own/shapes.py shapes   # 1,500 to train on, 500 to test, by classes
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, FINE = 32, 4  # drawn four times as large, and reduced: edges are smooth
NUMBERS = {"train": 1500, "test": 500}
CLASSES = ("circle", "square", "triangle", "cross")


def picture(rng: np.random.Generator, name: str) -> Image.Image:
    """A shape of any bright colour, size, place and turn, on a dim ground that goes from one colour to another."""
    ends, along = rng.uniform(0, 90, (2, 3)), np.linspace(0, 1, SIDE * FINE)[:, None, None]
    ground = np.broadcast_to((1 - along) * ends[0] + along * ends[1], (SIDE * FINE, SIDE * FINE, 3))
    image = Image.fromarray(ground.astype(np.uint8))
    centre, radius, turn = rng.uniform(10, 22, 2) * FINE, rng.uniform(5, 9) * FINE, rng.uniform(0, 2 * np.pi)
    colour = tuple(int(level) for level in rng.uniform(110, 256, 3))
    draw = ImageDraw.Draw(image)
    if name == "circle":
        draw.ellipse([*(centre - radius), *(centre + radius)], fill=colour)
    elif name == "cross":
        for one in (turn, turn + np.pi / 2):
            arm = radius * np.array([np.cos(one), np.sin(one)])
            draw.line([*(centre - arm), *(centre + arm)], fill=colour, width=int(radius * 0.5))
    else:
        draw.regular_polygon((*centre, radius), {"square": 4, "triangle": 3}[name], np.degrees(turn), fill=colour)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def write_shapes(out: Path) -> None:
    """Both splits."""
    rng = np.random.default_rng(0)
    for split, number in NUMBERS.items():
        for i in range(number):
            name = CLASSES[i % len(CLASSES)]
            path = out / split / name / f"{i:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(rng, name).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    write_shapes(parser.parse_args().out)


if __name__ == "__main__":
    main()
