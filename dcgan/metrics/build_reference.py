"""Compute what ships beside an extractor's weights, so that nobody needs a data set to score samples.

``python -m dcgan.metrics.build_reference --space digits`` writes statistics of both splits, the features of the test
split, and what real images score, for the extractor and the data set whose SHA-256 it holds.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcgan.config.catalogue import data_sets_of
from dcgan.data.readers import read
from dcgan.features.spaces import CLASSIFIERS, load_feature_space
from dcgan.metrics.measure import halves, measure, values
from dcgan.metrics.reference import NUM_FEATURES, compute_reference, images_sha256, subset, write_shipped
from dcgan.shell.streams import forgiving


def build_reference(name: str, *, root: Path, out: Path | None = None) -> Path:
    """Write ``out``, by default the file in the package, for the feature space ``name``."""
    space = load_feature_space(name)
    (data,) = data_sets_of(name)
    images = {split: read(data, root, split=split)[0] for split in ("train", "test")}
    references = {split: compute_reference(space, images[split]) for split in images}
    splits: dict[str, Any] = {}
    for split, other in (("train", "test"), ("test", "train")):
        samples = space.extract(images[other][subset(len(images[other]), NUM_FEATURES)])
        found, _ = measure(samples, space=space, real=references[split], replicates=0)
        splits[split] = {
            "images_sha256": images_sha256(images[split]),
            "has_features": split == "test",
            "scores": {str(len(samples)): values(found), "halves": halves(space, references[split])},
        }
    references["train"] = replace(references["train"], features=None)  # 10,000 of them would double the package
    header = {"extractor_sha256": space.sha256, "data": data, "splits": splits}
    out = out or space.shipped
    assert out is not None
    write_shipped(out, header=header, splits=references)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=sorted(CLASSIFIERS), required=True)
    parser.add_argument("--root", type=Path, default=os.environ.get("DCGAN_DATA") or "data", help="of the data sets")
    parser.add_argument("--out", type=Path, help="default: beside the weights in the package")
    arguments = parser.parse_args()
    with forgiving():
        print(build_reference(arguments.space, root=arguments.root, out=arguments.out))


if __name__ == "__main__":
    main()
