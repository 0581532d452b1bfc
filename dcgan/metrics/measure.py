"""All metrics of a set of features in one pass, and the record that holds them."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dcgan.features import FeatureSpace
from dcgan.metrics.bootstrap import REPLICATES, Estimate, mean, multiplicities
from dcgan.metrics.classes import class_measures, histogram, inception_score, sampling_floor
from dcgan.metrics.frechet import Moments, frechet_estimate
from dcgan.metrics.kernel import kernel_distance
from dcgan.metrics.manifold import Balls, Manifold, manifold
from dcgan.metrics.protocol import protocol
from dcgan.metrics.reference import NUM_FEATURES, Reference, subset

LEAST_SAMPLES = 10  # for the ten splits of the Inception Score
INTERVAL_SEED = 0


def measure(
    features: Tensor, *, space: FeatureSpace, real: Reference, replicates: int = REPLICATES
) -> tuple[dict[str, Estimate], Manifold]:
    """Every metric of float64 features (N, F), N >= 10, against ``real``, which must have features.

    Intervals come from resampling the samples; those of recall and coverage, which are means over the real images, from
    resampling these. Of more than 10,000 samples, 10,000 take part in precision, recall, density and coverage.

    Returns:
        The metrics by name, and precision to coverage image by image.
    """
    results = monitor(features, space=space, real=real, replicates=replicates)
    results["kid"] = kernel_distance(features, real.balls.centres, seed=INTERVAL_SEED)
    near = manifold(Balls.of(features[subset(len(features), NUM_FEATURES)]), real.balls)
    for name, values in near._asdict().items():
        results[name] = mean(values, multiplicities(len(values), seed=INTERVAL_SEED, replicates=replicates))
    logits = space.logits(features)
    if logits is not None:
        weights = multiplicities(len(features), seed=INTERVAL_SEED, replicates=replicates)
        results["inception_score"] = inception_score(logits, weights, seed=INTERVAL_SEED)
    return results, near


def monitor(features: Tensor, *, space: FeatureSpace, real: Reference, replicates: int = 0) -> dict[str, Estimate]:
    """The metrics of float64 features (N, F), N >= 2, that cost next to nothing: FID and, of a classifier, classes."""
    weights = multiplicities(len(features), seed=INTERVAL_SEED, replicates=replicates)
    results = {"fid": frechet_estimate(features, real.moments, weights)}
    logits = space.logits(features)
    if logits is not None:
        assert real.class_counts is not None
        results |= class_measures(logits, real.class_counts, weights)
    return results


def halves(space: FeatureSpace, real: Reference) -> dict[str, float]:
    """What real images score against real images: one half of those kept in ``real`` against the other."""
    assert real.features is not None
    order = torch.randperm(len(real.features), generator=torch.Generator().manual_seed(0))
    one, other = (real.features[part] for part in order.chunk(2))
    half = Reference(Moments.of(other.double()), real.class_counts, other)
    return values(measure(one.double(), space=space, real=half, replicates=0)[0])


def values(results: Mapping[str, Estimate]) -> dict[str, float]:
    """Without intervals."""
    return {name: result.value for name, result in results.items()}


def record(
    results: Mapping[str, Estimate],
    features: Tensor,
    *,
    space: FeatureSpace,
    real: Reference,
    data: str,
    split: str,
    seed: int | None,
    started: float,
) -> dict[str, Any]:
    """A line for ``metrics.jsonl``: the FID under the name of its protocol, every metric, and all they depend on."""
    logits = space.logits(features)
    measures = {name: _plain(result) for name, result in results.items()}
    if real.class_counts is not None:
        floor = sampling_floor(real.class_counts, real.class_counts, len(features))
        measures["class_kl"]["sampling_floor"] = floor
    return {
        "metric": protocol(space.name, split, len(features)),
        "value": results["fid"].value,
        "measures": measures,
        "histogram": histogram(logits).tolist() if logits is not None and logits.shape[1] <= 10 else None,
        "extractor": space.name,
        "extractor_sha256": space.sha256,
        "data": data,
        "split": split,
        "num_real": int(real.moments.num_images),
        "num_fake": len(features),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
    }


def _plain(result: Estimate) -> dict[str, float]:
    return {name: number for name, number in result._asdict().items() if number is not None}
