"""The pictures of the page: typical curves of healthy runs, and each cause beside them.

python experiments/2026-11-30_failures/figures.py
"""

import base64
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from cases import ARCHITECTURES, CAUSES
from matplotlib.axes import Axes
from PIL import Image
from traces import Judged, Traced, read_all

HERE = Path(__file__).parent
PREFERRED = "dcgan"  # the architecture that a cause is shown on, where it broke there
CURVES: dict[str, Callable[[Traced], Sequence[tuple[int, float]]]] = {
    "G's loss": lambda one: scalar(one, "loss/generator"),
    "D's loss": lambda one: scalar(one, "loss/discriminator"),
    "pairs in which D is right": lambda one: [(seen.step, seen.ordered) for seen in one.signals],
    "D above held-out images": lambda one: [
        (seen.step, seen.recognised) for seen in one.signals if seen.recognised is not None
    ],
    "rank, of real images'": lambda one: [(seen.step, seen.rank / one.reference.rank) for seen in one.signals],
    "spread, of real images'": lambda one: [(seen.step, seen.spread) for seen in one.signals],
    "FID": lambda one: [(line["step"], float(line["fid"])) for line in one.lines.get("evaluation", [])],
}


def scalar(one: Traced, name: str) -> list[tuple[int, float]]:
    return [(line["step"], float(line[name])) for line in one.lines.get("scalars", [])]


def samples(one: Traced, which: int = -1) -> tuple[int, np.ndarray]:
    """The last grid that is finite."""
    picture = one.lines["picture"][which]
    return picture["step"], np.array(Image.open(io.BytesIO(base64.b64decode(picture["png"]))).convert("L"))


def draw(axis: Axes, name: str, one: Traced | None, healthy: Sequence[Traced]) -> None:
    """A curve over those of healthy runs of the same architecture."""
    for other in healthy:
        points = CURVES[name](other)
        axis.plot(*zip(*points, strict=True), color="0.75", linewidth=0.7)
    points = [(step, value) for step, value in CURVES[name](one) if math.isfinite(value)] if one else []
    if points:
        axis.plot(*zip(*points, strict=True), color="tab:red", linewidth=1.8)
    if name == "FID":
        axis.set_yscale("log")
    if name.endswith("loss"):
        axis.set_ylim(-1, 6)  # of Wasserstein's, which is no loss of logits, a part
    axis.set_title(name, fontsize=8)
    axis.tick_params(labelsize=7)


def show(axis: Axes, picture: np.ndarray, title: str) -> None:
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axis.set_title(title, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])


def of_cause(cause: str, one: Judged, healthy: Sequence[Traced]) -> None:
    names = list(CURVES)
    figure, axes = plt.subplots(
        1, 1 + len(names), figsize=(14, 2.2), gridspec_kw={"width_ratios": [1.15] + [1] * len(names)}
    )
    step, picture = samples(one.traced)
    show(axes[0], picture, f"samples, step {step}")
    for axis, name in zip(axes[1:], names, strict=True):
        draw(axis, name, one.traced, healthy)
        if one.onset:
            axis.axvline(one.onset.step, color="tab:red", linewidth=0.8, linestyle=":")
    result = one.traced.result
    words = " ".join(word for word in result["words"] if word not in ARCHITECTURES[result["architecture"]])
    said = " + ".join(part for part in (words, result["bug"]) if part)
    figure.suptitle(f"{cause}, {result['architecture']}: {said}", fontsize=8, x=0.01, ha="left")
    figure.tight_layout(w_pad=0.3)
    figure.savefig(HERE / f"{slug(cause)}.png", dpi=80)
    plt.close(figure)


def of_healthy(healthy: Sequence[Traced]) -> None:
    names = list(CURVES)
    figure, axes = plt.subplots(3, 3, figsize=(11, 6.4))
    for axis, name in zip(axes.flat[:7], names, strict=True):
        draw(axis, name, None, healthy)
        axis.set_xlabel("step", fontsize=7)
    default = next(one for one in healthy if one.result["variant"] == "default")
    for axis, which in zip(axes.flat[7:], (0, -1), strict=True):
        step, picture = samples(default, which)
        show(axis, picture, f"samples, step {step}")
    figure.tight_layout()
    figure.savefig(HERE / "healthy.png", dpi=80)
    plt.close(figure)


def ranges(healthy: Sequence[Traced]) -> str:
    """What healthy runs show in their second half: the tenth and ninetieth of a hundred looks, as Markdown."""
    looks = [(seen, one.reference) for one in healthy for seen in one.signals[len(one.signals) // 2 :]]
    columns: dict[str, list[float]] = {
        "D's loss": [seen.loss_discriminator for seen, _ in looks],
        "G's loss": [seen.loss_generator for seen, _ in looks],
        "D's logits of real": [seen.logit_real for seen, _ in looks],
        "pairs in which D is right": [seen.ordered for seen, _ in looks],
        "D above held-out images": [seen.recognised for seen, _ in looks if seen.recognised is not None],
        "rank": [seen.rank / real.rank for seen, real in looks],
        "spread": [seen.spread for seen, _ in looks],
        "change between looks": [seen.moved for seen, _ in looks if seen.moved is not None],
    }
    return "\n".join(
        f"| {name} | {np.quantile(values, 0.1):.2f} | {np.quantile(values, 0.9):.2f} |"
        for name, values in columns.items()
    )


def slug(cause: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in cause.lower())


def main() -> None:
    runs = read_all()
    healthy = {
        name: [one.traced for one in runs if one.kind == "healthy" and one.traced.architecture == name]
        for name in {one.traced.architecture for one in runs}
    }
    for name, some in healthy.items():
        print(f"{name}, {len(some)} runs", ranges([one for one in some if one.run.data == "mnist"]), sep="\n")
    of_healthy([one for one in healthy[PREFERRED] if one.run.data == "mnist"])
    for cause in CAUSES:
        failing = [one for one in runs if one.traced.cause == cause and one.kind == "failing"]
        failing.sort(key=lambda one: one.traced.architecture != PREFERRED)
        if failing:
            of_cause(cause, failing[0], healthy[failing[0].traced.architecture])


if __name__ == "__main__":
    main()
