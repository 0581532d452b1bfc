"""The figure of this study: grids at 0, 1,000 and 10,000 iterations, losses and accuracies beneath.

python experiments/2026-11-29_forming/figure.py outputs/sweeps     # where the two sweeps are
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dcgan.reports.curves import scalars

NAMES = {"dense": "dense (mlp)", "convolutional": "convolutional (dcgan)"}
STEPS = (0, 1000, 10000)
SHOWN = 5 * (28 + 2) + 2  # pixels: the corner of five by five
CURVES = {
    "losses": {"loss/discriminator": "D", "loss/generator": "G"},
    "share that D gets right": {"accuracy/real": "real", "accuracy/fake": "fake"},
}


def smoothed(values: list[float], width: int = 10) -> np.ndarray:
    return np.convolve(values, np.ones(width) / width, mode="valid")


def main(sweeps: Path) -> None:
    figure = Figure(figsize=(9, 6.6), layout="constrained", dpi=80)
    places = figure.add_gridspec(4, 6, height_ratios=[2, 2, 1.1, 1.1])
    for row, (name, title) in enumerate(NAMES.items()):
        run = sweeps / name / f"{name}_seed-0"
        for column, step in enumerate(STEPS):
            cell = figure.add_subplot(places[row, 2 * column : 2 * column + 2])
            with Image.open(run / "samples" / f"step_{step:06d}.png") as grid:
                cell.imshow(grid.convert("L").crop((0, 0, SHOWN, SHOWN)), cmap="gray", vmin=0, vmax=255)
            cell.set_axis_off()
            cell.set_title(f"{title}, {step:,}" if column == 0 else f"{step:,} iterations", fontsize=9)
    for row, (title, tags) in enumerate(CURVES.items()):
        for column, name in enumerate(NAMES):
            cell = figure.add_subplot(places[2 + row, 3 * column : 3 * column + 3])
            found = scalars(sweeps / name / f"{name}_seed-0", list(tags))
            for tag, label in tags.items():
                steps, values = list(found[tag]), list(found[tag].values())
                curve = smoothed(values)
                cell.plot(steps[len(steps) - len(curve) :], curve, label=label, linewidth=1)
            cell.set_title(f"{NAMES[name]}: {title}", fontsize=8)
            cell.tick_params(labelsize=7)
            cell.legend(fontsize=7, frameon=False)
            cell.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_name("forming.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
