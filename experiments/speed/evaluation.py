"""Seconds and memory of an evaluation of 10,000 samples, and of the FID's last step against torchmetrics' own.

    python experiments/speed/evaluation.py                  # the second half of `make bench`; about 4 minutes

Each round is a process of its own, as a user's command is; the samples are real images, so that neither a run nor a
data set's statistics are needed. Limits: 20 s and 1.5 GB on two cores; not slower than torchmetrics.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "evaluation.jsonl"


def evaluation(root: str) -> dict[str, float]:
    """One evaluation in the space ``digits``, piece by piece, in this process."""
    import torch

    from dcgan.data.readers import read
    from dcgan.features.spaces import load_feature_space
    from dcgan.metrics.bootstrap import mean, multiplicities
    from dcgan.metrics.classes import class_measures, inception_score
    from dcgan.metrics.frechet import frechet_estimate
    from dcgan.metrics.kernel import kernel_distance
    from dcgan.metrics.manifold import Balls, manifold
    from dcgan.metrics.measure import measure
    from dcgan.metrics.reference import shipped_reference

    images = read("mnist", Path(root), split="train")[0][:10_000]
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = time.perf_counter() - clock, time.perf_counter()

    space = load_feature_space("digits")
    real = shipped_reference(space, data="mnist", split="test")
    assert real is not None
    assert real.class_counts is not None
    lap("load extractor and reference")
    features = space.extract(images)
    lap("features")
    weights = multiplicities(len(features), seed=0)
    frechet_estimate(features, real.moments, weights)
    lap("FID with interval")
    near = manifold(Balls.of(features), real.balls)
    for values in near:
        mean(values, weights)
    lap("precision, recall, density, coverage")
    kernel_distance(features, real.balls.centres, seed=0)
    lap("KID")
    logits = space.logits(features)
    assert logits is not None
    class_measures(logits, real.class_counts, weights)
    inception_score(logits, weights, seed=0)
    lap("classes")
    del real, features, logits, near
    real = shipped_reference(space, data="mnist", split="test")
    assert real is not None
    clock = time.perf_counter()
    measure(space.extract(images), space=space, real=real)
    lap("all of it, as dcgan.evaluate calls it")
    return {
        **seconds,
        "total": seconds["all of it, as dcgan.evaluate calls it"],
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "threads": torch.get_num_threads(),
    }


def compute(num_features: int, *, rounds: int) -> dict[str, float]:
    """Seconds of FID's ``compute``, ours and torchmetrics', in turns on the same statistics."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    from dcgan.metrics.frechet import FrechetDistance, _Features

    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(num_features, num_features, generator=generator, dtype=torch.float64)
    metrics = {"ours": FrechetDistance, "torchmetrics": FrechetInceptionDistance}
    built = {name: kind(feature=_Features(num_features)) for name, kind in metrics.items()}
    for is_real in (True, False):
        features = torch.randn(3 * num_features, num_features, generator=generator, dtype=torch.float64) @ mixing
        for metric in built.values():
            metric.update(features, real=is_real)
    seconds: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(rounds + 1):
        for name, metric in built.items():
            metric._computed = None
            started = time.perf_counter()
            metric.compute()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    ratios = [ours / theirs for ours, theirs in zip(seconds["ours"][1:], seconds["torchmetrics"][1:], strict=True)]
    return {**medians, "ratio": statistics.median(ratios), "features": num_features}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    parser.add_argument("--one", choices=("evaluation", "compute"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one == "evaluation":
        print(json.dumps(evaluation(arguments.root)))
        return
    if arguments.one == "compute":
        print(json.dumps([compute(128, rounds=arguments.rounds), compute(2048, rounds=3)]))
        return
    from record import record  # here, as the processes that are measured do without it

    command = [sys.executable, __file__, "--root", arguments.root, "--rounds", str(arguments.rounds), "--one"]
    runs = [json.loads(subprocess.check_output([*command, "evaluation"])) for _ in range(arguments.rounds)]
    middle = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    spread = [round(min(run["total"] for run in runs), 2), round(max(run["total"] for run in runs), 2)]
    fid = json.loads(subprocess.check_output([*command, "compute"]))
    result = {
        "rounds": arguments.rounds,
        "evaluation": middle,
        "total_range": spread,
        "fid": fid,
    }
    record(RESULTS, result)
    for name, value in middle.items():
        print(f"  {name:<38} {value:.2f}")
    print(f"  total, least and most of {arguments.rounds}: {spread[0]}, {spread[1]} s (limit 20 s, 1.5 GB)")
    for one in fid:
        print(f"  FID's compute at {one['features']} features: {one['ratio']:.2f} of torchmetrics' time")


if __name__ == "__main__":
    main()
