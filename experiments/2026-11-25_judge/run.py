"""Does a judge's FID rise with the strength of a corruption, as the first extractor's does? And how quick is a judge?

    python experiments/2026-11-25_judge/run.py        # goes on where it stopped; about 8 minutes of one core

As ../2026-11-22_corruptions, whose corruptions these are, for the judges and for ``fashion``: 10,000 training images,
always the same, corrupted and measured against the test split. One JSON line in corruptions.jsonl for each corruption,
strength and extractor. FID alone: it is what a judge is asked for.
"""

import itertools
import json
import os
import runpy
import time
from pathlib import Path

import torch

from dcgan.config.catalogue import data_sets_of
from dcgan.data.readers import read
from dcgan.features.spaces import load_feature_space
from dcgan.metrics.measure import monitor
from dcgan.metrics.reference import shipped_reference, subset

HERE = Path(__file__).parent
RESULTS = HERE / "corruptions.jsonl"
EXTRACTORS = ("digits_residual", "fashion", "fashion_residual")
STRENGTHS = (0, 1, 2, 3, 4, 5)  # 0: as they are


def main() -> None:
    torch.set_num_threads(1)
    corruptions = runpy.run_path(str(HERE.parent / "2026-11-22_corruptions" / "run.py"))["CORRUPTIONS"]
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    finished = {(line["corruption"], line["strength"], line["extractor"]) for line in done}
    for extractor in EXTRACTORS:
        (data,) = data_sets_of(extractor)
        images = read(data, Path(os.environ.get("DCGAN_DATA") or "data"), split="train")[0]
        images = images[subset(len(images), 10_000)]
        images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
        space = load_feature_space(extractor)
        real = shipped_reference(space, data=data, split="test")
        assert real is not None
        for name, strength in itertools.product(corruptions, STRENGTHS):
            if (name, strength, extractor) in finished:
                continue
            corrupted = corruptions[name](images, strength)
            started = time.process_time()
            features = space.extract(corrupted)
            extraction = time.process_time() - started
            found = monitor(features, space=space, real=real)
            line = {"corruption": name, "strength": strength, "extractor": extractor, "fid": found["fid"].value}
            line |= {"confident": found["confident"].value, "cpu_seconds_of_features": round(extraction, 2)}
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            done.append(line)
        for name in corruptions:
            fids = [line["fid"] for line in done if (line["corruption"], line["extractor"]) == (name, extractor)]
            rises = all(low < high for low, high in itertools.pairwise(fids))
            print(f"{extractor:<17}{name:<11}{'rises' if rises else 'DOES NOT RISE':<14}", *(f"{v:8.2f}" for v in fids))


if __name__ == "__main__":
    main()
