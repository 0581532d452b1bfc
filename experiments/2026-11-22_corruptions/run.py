"""Does the FID rise with the strength of a corruption? Six corruptions, five strengths, three extractors.

    python experiments/2026-11-22_corruptions/run.py        # goes on where it stopped; about 10 minutes of one core

10,000 training images (always the same, shuffled) are corrupted and measured against the test split. One JSON line in
results.jsonl for each corruption, strength and extractor; figure.png shows them, and corruptions.png what was done.
"""

import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms import functional
from torchvision.utils import make_grid

from dcgan.data.images import save_png
from dcgan.data.readers import read
from dcgan.features.spaces import load_feature_space
from dcgan.metrics.measure import measure, values
from dcgan.metrics.reference import shipped_reference, subset

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
EXTRACTORS = ("digits", "digits1", "digits2")
STRENGTHS = (0, 1, 2, 3, 4, 5)  # 0: as they are


def noise(images: Tensor, strength: int) -> Tensor:
    """Gaussian, of a standard deviation of 12 grey levels for each step."""
    added = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * 12 * strength
    return (images + added).round().clamp(0, 255).byte()


def blur(images: Tensor, strength: int) -> Tensor:
    """Gaussian, of 0.4 pixels for each step."""
    return functional.gaussian_blur(images, [9, 9], [0.4 * strength] * 2) if strength else images


def occlusion(images: Tensor, strength: int) -> Tensor:
    """A black square, 2 pixels wider for each step, somewhere in the middle 20 pixels (of 28)."""
    side = images.shape[-1]
    corners = torch.randint(4, 15, (len(images), 2), generator=torch.Generator().manual_seed(0)) + (side - 28) // 2
    place = torch.arange(side)
    inside = [(place >= corner[:, None]) & (place < corner[:, None] + 2 * strength) for corner in corners.T]
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1), 0)


def swirl(images: Tensor, strength: int) -> Tensor:
    """Rotated about the centre, by 0.25 radians for each step at the centre and less outwards."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, images.shape[-1])] * 2, indexing="ij")
    angle = 0.25 * strength * torch.exp(-2 * (x**2 + y**2))
    where = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1)
    moved = torch.nn.functional.grid_sample(
        images.float(), where.expand(len(images), -1, -1, -1), align_corners=True, padding_mode="zeros"
    )
    return moved.round().byte()


def repetition(images: Tensor, strength: int) -> Tensor:
    """A mode collapse: for each step, another tenth of the images is replaced by copies of one of them."""
    number = len(images) * strength // 10
    return torch.cat([images[:1].expand(number, -1, -1, -1), images[number:]])


def erosion(images: Tensor, strength: int) -> Tensor:
    """Strokes made thinner: a fifth, for each step, of the way to the minimum over 3 x 3 pixels."""
    eroded = -torch.nn.functional.max_pool2d(-images.float(), 3, 1, 1)
    return images.float().lerp(eroded, strength / 5).round().byte()


CORRUPTIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "noise": noise,
    "blur": blur,
    "occlusion": occlusion,
    "swirl": swirl,
    "repetition": repetition,
    "erosion": erosion,
}


def main() -> None:
    torch.set_num_threads(1)
    images = read("mnist", Path(os.environ.get("DCGAN_DATA") or "data"), split="train")[0]
    images = images[subset(len(images), 10_000)]
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    finished = {(line["corruption"], line["strength"], line["extractor"]) for line in done}
    for extractor in EXTRACTORS:
        if all((name, strength, extractor) in finished for name in CORRUPTIONS for strength in STRENGTHS):
            continue  # digits2 no longer ships
        space = load_feature_space(extractor)
        real = shipped_reference(space, data="mnist", split="test")
        assert real is not None
        for name, corrupt in CORRUPTIONS.items():
            for strength in STRENGTHS:
                if (name, strength, extractor) in finished:
                    continue
                started = time.process_time()
                features = space.extract(corrupt(images, strength))
                found = values(measure(features, space=space, real=real, replicates=0)[0])
                line = {"corruption": name, "strength": strength, "extractor": extractor, **found}
                line["cpu_seconds"] = round(time.process_time() - started, 1)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                done.append(line)
                print(f"{extractor} {name} {strength}: {found['fid']:.3f}", flush=True)
    examples = [corrupt(images[-2:], strength) for corrupt in CORRUPTIONS.values() for strength in STRENGTHS]
    save_png(make_grid(torch.cat(examples), nrow=2 * len(STRENGTHS), pad_value=64), HERE / "corruptions.png")
    draw(done)
    report(done)


def series(lines: list[dict[str, float]], corruption: str, extractor: str, metric: str = "fid") -> list[float]:
    chosen = [line for line in lines if (line["corruption"], line["extractor"]) == (corruption, extractor)]
    return [line[metric] for line in sorted(chosen, key=lambda line: line["strength"])]


def draw(lines: list[dict[str, float]]) -> None:
    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, name in zip(figure.subplots(2, 3).flat, CORRUPTIONS, strict=True):
        for extractor in EXTRACTORS:
            axes.plot(STRENGTHS, series(lines, name, extractor), marker="o", label=extractor)
        axes.set_yscale("log")
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend()
    figure.supxlabel("strength")
    figure.supylabel("FID against the test split, 10,000 images")
    figure.savefig(HERE / "figure.png", dpi=80)


def report(lines: list[dict[str, float]]) -> None:
    rising = 0
    for name in CORRUPTIONS:
        for extractor in EXTRACTORS:
            found = series(lines, name, extractor)
            monotone = all(low < high for low, high in itertools.pairwise(found))
            rising += monotone
            print(
                f"{name:<10} {extractor:<8} {'rises' if monotone else 'DOES NOT RISE'}", *(f"{v:8.2f}" for v in found)
            )
    print(f"{rising} of {len(CORRUPTIONS) * len(EXTRACTORS)} rise with every step")


if __name__ == "__main__":
    main()
