"""Draws `samples.png`: the first samples of seed 0 in each setting, beside real images.

python experiments/2026-11-29_few_images/figure.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

HERE = Path(__file__).parent
RUNS = Path("outputs") / "few_images"
CORNER = 6 * 30 + 2  # images of 28 pixels, with gaps


def main() -> None:
    figure, rows = plt.subplots(2, 4, figsize=(8, 4.3))
    for row, augment in zip(rows, ("none", "diffaugment"), strict=True):
        shown = {f"{n:,} images": RUNS / f"{n}_{augment}_0/samples/step_003000.png" for n in (100, 1000, 10_000)}
        for axis, (title, path) in zip(
            row, {**shown, "real": RUNS / "10000_none_0/samples/real.png"}.items(), strict=True
        ):
            axis.imshow(Image.open(path).convert("L").crop((0, 0, CORNER, CORNER)), cmap="gray")
            axis.set_title(title if augment == "none" else "", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(f"augment={augment}", fontsize=9)
    figure.tight_layout()
    figure.savefig(HERE / "samples.png", dpi=95)


if __name__ == "__main__":
    main()
