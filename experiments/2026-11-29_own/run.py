"""Is the FID of ``metrics=own`` worth something? Six corruptions, five strengths, and five generators that are known.

    python experiments/2026-11-29_own/run.py WORK        # goes on where it stopped; about 17 minutes of one core

WORK is a folder for data sets and judges. Held-out images, corrupted as in ../2026-11-22_corruptions, and what known
generators would draw, are measured against the training split by both judges, trained with labels and without. One
JSON line in results.jsonl for each. What they were trained on they are never shown, but by the memorisers.
"""

import argparse
import itertools
import json
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcgan.config.options import FolderData
from dcgan.data.module import ImageData
from dcgan.data.readers import read
from dcgan.features.own import own_space
from dcgan.features.spaces import FeatureSpace
from dcgan.metrics.copies import find_copies, nearest
from dcgan.metrics.floor import floor_of
from dcgan.metrics.measure import measure, monitor, values
from dcgan.metrics.reference import Reference, compute_reference, reference_of, subset

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SETS = {  # name: resolution, channels, samples
    "fashion": (28, 1, 2000),
    "fashion_unlabelled": (28, 1, 2000),
    "shapes": (32, 3, 500),
    "shapes_unlabelled": (32, 3, 500),
}
STRENGTHS = (0, 1, 2, 3, 4, 5)  # 0: as they are
MEMORISED, SMALL = 200, 5000
CORRUPTIONS = runpy.run_path(str(HERE.parent / "2026-11-22_corruptions" / "run.py"))["CORRUPTIONS"]


def data_of(name: str, work: Path) -> ImageData:
    """The set as ``data=folder`` reads it."""
    resolution, channels, _ = SETS[name]
    write = _write_fashion if name.startswith("fashion") else _write_shapes
    folder = write(name, work)
    own = FolderData(
        name="folder",
        root=str(work),
        folder=str(folder),
        batch_size=2,
        resolution=resolution,
        channels=channels,
        memory=4,
        background="black",
        unreadable="stop",
    )
    return ImageData(
        name="folder", root=work, batch_size=2, resolution=resolution, channels=channels, d_steps=1, seed=0, own=own
    )


def _write_fashion(name: str, work: Path) -> Path:
    path = work / f"{name}.npz"
    if not path.exists():
        arrays = {}
        for split in ("train", "test"):
            images, labels = read("fashion_mnist", Path(os.environ.get("DCGAN_DATA") or "data"), split=split)
            arrays |= {f"x_{split}": images[:, 0].numpy()} | ({} if "un" in name else {f"y_{split}": labels.numpy()})
        np.savez(path, **arrays)
    return path


def _write_shapes(name: str, work: Path) -> Path:
    path = work / name
    if not path.exists():
        runpy.run_path(str(HERE / "shapes.py"))["write_shapes"](path)
        for file in path.glob("*/*/*.png") if "un" in name else ():
            file.replace(file.parents[1] / f"{file.parent.name}_{file.stem}.png")  # the order of the folders
    return path


def generators(data: ImageData, labelled: ImageData, number: int) -> dict[str, Tensor]:
    """What generators that are known would draw: so many images each. ``labelled`` are the same, with labels."""
    labels, labels_of_test = (labelled.split(split).labels for split in ("train", "test"))
    train, test = data.split("train").images, data.split("test").images
    held_out = test[subset(len(test), number)]
    generator = torch.Generator().manual_seed(0)
    classes = {"one class": train[labels == 0]}
    if len(train) < SMALL:  # of which the training images of a class are a good part of the reference
        classes["one class, held out"] = test[labels_of_test == 0]
    noise = torch.randn(held_out.shape, generator=generator) * 6
    order = torch.randperm(len(train), generator=generator)
    return {
        "held-out images": held_out,
        "the same, slight noise": (held_out + noise).round().clamp(0, 255).byte(),
        "200 training images": train[order[:MEMORISED]].repeat(number // MEMORISED + 1, 1, 1, 1)[:number],
        "all training images": train[order[:number]],
        **{name: one.repeat(number // len(one) + 1, 1, 1, 1)[:number] for name, one in classes.items()},
    }


def corrupted(data: ImageData, number: int) -> Iterator[tuple[str, int, Tensor]]:
    """Every corruption at every strength, of held-out images in an order of no class."""
    test = data.split("test").images
    images = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:number]]
    for name, strength in itertools.product(CORRUPTIONS, STRENGTHS):
        yield name, strength, CORRUPTIONS[name](images, strength)


def lines_of(name: str, work: Path) -> Iterator[dict[str, Any]]:
    """All that is found of one set."""
    data, number = data_of(name, work), SETS[name][2]
    train, test = data.split("train"), data.split("test")
    labelled = data_of(name.removesuffix("_unlabelled"), work)  # in the same order
    space = own_space(data)
    judges = [one for one in (space, *space.judges) if isinstance(one, FeatureSpace)]
    real = [reference_of(one, train.images, with_features=True, cache=work / "statistics") for one in judges]
    for one, known in zip(judges, real, strict=True):
        yield {"set": name, "judge": one.name, "floor": floor_of(known)._asdict()}
    for (corruption, strength, images), (one, known) in itertools.product(
        corrupted(data, number), zip(judges, real, strict=True)
    ):
        fid = monitor(one.extract(images), space=one, real=known)["fid"].value
        yield {"set": name, "judge": one.name, "corruption": corruption, "strength": strength, "fid": fid}
    of_test = nearest(test.images, train.images)
    for known_as, images in generators(data, labelled, number).items():
        copies = find_copies(nearest(images, train.images), of_test)
        for one, known in zip(judges, real, strict=True):
            found = values(measure(one.extract(images), space=one, real=known, replicates=0)[0])
            by_test = _coverage(one, images, compute_reference(one, test.images))
            line = {"set": name, "judge": one.name, "generator": known_as, **found, **by_test}
            yield line | {"copies": copies.share, "copies_of_test": copies.real_share, "accused": copies.accused}


def _coverage(space: FeatureSpace, images: Tensor, test: Reference) -> dict[str, float]:
    """As ``evaluate`` reports them: against the test split."""
    found = values(measure(space.extract(images), space=space, real=test, replicates=0)[0])
    return {f"{name}_test": found[name] for name in ("fid", "recall", "coverage")}


def report(lines: list[dict[str, Any]]) -> None:
    """What rises and what does not, and the generators in the order of their FIDs."""
    for key in dict.fromkeys((line["set"], line["judge"]) for line in lines):
        mine = [line for line in lines if (line["set"], line["judge"]) == key]
        print(*key, *(line["floor"] for line in mine if "floor" in line))
        for corruption in CORRUPTIONS:
            fids = [line["fid"] for line in mine if line.get("corruption") == corruption]
            rises = all(low < high for low, high in itertools.pairwise(fids))
            print(f"  {corruption:<11}{'rises' if rises else 'DOES NOT RISE':<14}", *(f"{fid:8.2f}" for fid in fids))
        for line in sorted((line for line in mine if "generator" in line), key=lambda line: line["fid"]):
            names = ("fid", "fid_test", "kid", "recall_test", "coverage_test", "copies")
            print(f"  {line['generator']:<24}", *(f"{name} {line[name]:.3f}" for name in names), line["accused"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    for name in SETS:
        if not any(line["set"] == name for line in lines):
            found = list(lines_of(name, work))
            with RESULTS.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in found)
            lines += found
    report(lines)


if __name__ == "__main__":
    main()
