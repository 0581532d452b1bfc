"""Does noise wider than a generator was trained with buy recall? 10,000 samples against the test split, in ``digits1``.

    python experiments/2026-11-22_quick/wider_noise.py outputs/<run> --times 1 1.15 1.3 1.5 2

Draws from the run's last checkpoint, samples of seed 0. Appends to noise.jsonl.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

from torch import Tensor

from dcgan.data.latents import sample_latents
from dcgan.data.readers import read
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.metrics.frechet import Moments, frechet_distance
from dcgan.metrics.manifold import Balls, manifold
from dcgan.models import base
from dcgan.runs.load import load
from dcgan.runs.provenance import provenance

RESULTS = Path(__file__).parent / "noise.jsonl"


def scores(images: Tensor, real: Tensor, space: FeatureSpace) -> dict[str, float]:
    """Of uint8 images (N, C, H, W) against features (M, F) of real ones."""
    fake = space.extract(images)
    logits = space.logits(fake)
    assert logits is not None
    found = manifold(Balls.of(fake), Balls.of(real))._asdict()
    measures = {name: float(each.double().mean()) for name, each in found.items()}
    measures["fid"] = frechet_distance(fake, Moments.of(real))
    measures["confident"] = float((logits.softmax(1).amax(1) >= 0.9).double().mean())
    return {name: round(value, 3) for name, value in measures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--times", type=float, nargs="+", default=[1, 1.15, 1.3, 1.5, 2])
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    arguments = parser.parse_args()
    generator, config, _, step = load(arguments.run, checkpoint="last", device="cpu")
    space = load_feature_space("digits1")
    images, _ = read("mnist", Path(arguments.root), split="test")
    real = space.extract(images)
    for times in arguments.times:
        with patch.object(base, "sample_latents", lambda times=times, **given: times * sample_latents(**given)):
            fake = generator.sample(n=len(images), seed=0)
        measures = scores(fake, real, space)
        print(times, measures, flush=True)
        line = {"times": times, "name": config.name, "seed": config.seed, "step": step, "measures": measures}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line | provenance([]) | {"command": ["python", *sys.argv]}) + "\n")


if __name__ == "__main__":
    main()
