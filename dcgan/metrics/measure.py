"""All metrics of a set of features in one pass, and the record that holds them."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dcgan.data.module import ImageData
from dcgan.features.spaces import FeatureSpace
from dcgan.metrics.bootstrap import REPLICATES, Estimate, mean, multiplicities
from dcgan.metrics.classes import class_measures, histogram, inception_score, label_accuracy, sampling_floor
from dcgan.metrics.frechet import Moments, frechet_estimate
from dcgan.metrics.kernel import kernel_distance
from dcgan.metrics.manifold import Balls, Manifold, manifold
from dcgan.metrics.protocol import protocol
from dcgan.metrics.reference import NUM_FEATURES, Reference, class_counts, subset

LEAST_SAMPLES = 10  # for the ten splits of the Inception Score
LEAST_FOR_HALVES = 20
INTERVAL_SEED = 0


def measure(
    features: Tensor, *, space: FeatureSpace, real: Reference, replicates: int = REPLICATES
) -> tuple[dict[str, Estimate], Manifold]:
    """Every metric of float64 features (N, F), N >= 10, against ``real``, which must have features.

    Intervals come from resampling the samples. Recall and coverage ask whether *any* sample is near, which samples
    drawn twice would spoil; theirs come from how much halves of the samples differ. Of more than 10,000 samples, 10,000
    take part in precision, recall, density and coverage.

    Returns:
        The metrics by name, and precision to coverage image by image.
    """
    results = monitor(features, space=space, real=real, replicates=replicates)
    near = manifold(Balls.of(features[subset(len(features), NUM_FEATURES)]), real.balls)
    for name in ("precision", "density"):
        values = getattr(near, name)
        results[name] = mean(values, multiplicities(len(values), seed=INTERVAL_SEED, replicates=replicates))
    for name in ("recall", "coverage"):
        results[name] = Estimate(float(getattr(near, name).double().mean()))
    if replicates and len(features) >= LEAST_FOR_HALVES:
        results |= _over_halves(features, results, real=real)
    weights = multiplicities(len(features), seed=INTERVAL_SEED, replicates=replicates)
    compared = Compared(features, space.logits(features), real, weights)
    found = {name: metric(compared) for name, metric in METRICS.items()}
    return results | {name: value for name, value in found.items() if value is not None}, near


class Compared(NamedTuple):
    """What a metric of ``METRICS`` is given."""

    features: Tensor  # float64 (N, F), of the samples
    logits: Tensor | None  # float32 (N, K); None: the space has no classifier
    real: Reference  # with features
    weights: Tensor  # float64 (B, N), that resample the samples for an interval


Metric = Callable[[Compared], Estimate | None]
"""None where it says nothing of such samples."""


def _kid(compared: Compared) -> Estimate:
    return kernel_distance(compared.features, compared.real.balls.centres, seed=INTERVAL_SEED)


def _inception_score(compared: Compared) -> Estimate | None:
    logits = compared.logits
    return None if logits is None else inception_score(logits, compared.weights, seed=INTERVAL_SEED)


# To add a metric: its file, and its line here. What ships of real images has no value of it, and is not made anew.
METRICS: dict[str, Metric] = {"kid": _kid, "inception_score": _inception_score}


def _over_halves(features: Tensor, results: Mapping[str, Estimate], *, real: Reference) -> dict[str, Estimate]:
    """Recall and coverage with intervals from how much the two halves of the samples differ, in four divisions.

    The variance over halves is twice that of the whole; 2.78 is Student's t for four degrees of freedom.
    """
    generator = torch.Generator().manual_seed(INTERVAL_SEED)
    variances: dict[str, list[Tensor]] = {"recall": [], "coverage": []}
    for _ in range(4):
        parts = torch.randperm(len(features), generator=generator)[:NUM_FEATURES].chunk(2)
        found = [manifold(Balls.of(features[part]), real.balls) for part in parts]
        for name, seen in variances.items():
            seen.append(torch.stack([getattr(one, name).double().mean() for one in found]).var() / 2)
    intervals = {}
    for name, seen in variances.items():
        value, half = results[name].value, 2.78 * float(torch.stack(seen).mean().sqrt())
        intervals[name] = Estimate(value, max(0.0, value - half), min(1.0, value + half))
    return intervals


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
    half = Reference(Moments.of(other.double()), class_counts(space, other.double()), other)
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
    data: ImageData,
    split: str,
    seed: int | None,
    started: float,
    labels: Tensor | None = None,
) -> dict[str, Any]:
    """A line for ``metrics.jsonl``: the FID under the name of its protocol, every metric, and all they depend on.

    Args:
        labels: int64 (N,), those that the samples were asked for.
    """
    logits = space.logits(features)
    few = logits if logits is not None and logits.shape[1] <= 10 else None
    measures = {name: _plain(result) for name, result in results.items()}
    if real.class_counts is not None:
        floor = sampling_floor(real.class_counts, real.class_counts, len(features))
        measures["class_kl"]["sampling_floor"] = floor
    return {
        "metric": protocol(space.name, split, len(features)),
        "value": results["fid"].value,
        "measures": measures,
        "histogram": histogram(few).tolist() if few is not None else None,
        "label_accuracy": label_accuracy(few, labels) if few is not None and labels is not None else None,
        "extractor": space.name,
        "extractor_sha256": space.sha256,
        "data": data.name,
        "resolution": data.resolution,
        "channels": data.channels,
        "split": split,
        "num_real": int(real.moments.num_images),
        "num_fake": len(features),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
    }


def _plain(result: Estimate) -> dict[str, float]:
    return {name: number for name, number in result._asdict().items() if number is not None}
