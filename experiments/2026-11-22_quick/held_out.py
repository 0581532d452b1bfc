"""Runs judged by an extractor that nobody has looked at while choosing the recipe: 10,000 samples, the test split.

    python -m dcgan.features.train_classifier --seed 3 --out digits_3.safetensors
    python experiments/2026-11-22_quick/held_out.py digits_3.safetensors outputs/<run> ...

Draws from each run's best checkpoint, as evaluate does, samples of seed 0; as many training images are scored before.
Appends to held_out.jsonl.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

from safetensors.torch import load_file
from wider_noise import scores

from dcgan.data.readers import read
from dcgan.features.classifier import Classifier
from dcgan.features.spaces import ClassifierFeatures, FeatureSpace
from dcgan.runs.load import load
from dcgan.runs.provenance import provenance

RESULTS = Path(__file__).parent / "held_out.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    arguments = parser.parse_args()
    classifier = Classifier()
    classifier.load_state_dict(load_file(arguments.weights))
    sha256 = hashlib.sha256(arguments.weights.read_bytes()).hexdigest()
    space = FeatureSpace(arguments.weights.stem, sha256, ClassifierFeatures(classifier), head=classifier.head)
    train, test = (read("mnist", Path(arguments.root), split=split)[0] for split in ("train", "test"))
    real = space.extract(test)
    measured = [({"images": "real"}, scores(train[: len(test)], real, space))]
    for run in arguments.runs:
        generator, config, _, step = load(run, checkpoint="best", device="cpu")
        commit = json.loads((run / "provenance.jsonl").read_text())["git_commit"]
        what = {"images": config.name, "seed": config.seed, "step": step, "commit_of_run": commit}
        measured.append((what, scores(generator.sample(n=len(test), seed=0), real, space)))
    for what, measures in measured:
        print(what, measures)
        line = {"extractor": space.name, "sha256": sha256, **what, "measures": measures}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line | provenance([]) | {"command": ["python", *sys.argv]}) + "\n")


if __name__ == "__main__":
    main()
