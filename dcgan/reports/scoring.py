"""What ``dcgan.evaluate`` does: get samples, compare them with real images in each space, look for copies."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from dcgan.config.catalogue import CATALOGUE, OWN, TRAINED, WITH_WEIGHTS, data_sets_of, misfit
from dcgan.config.options import GROUPS, OwnData
from dcgan.config.registry import lookup
from dcgan.config.schema import CONF, EvaluateConfig, EvaluateData
from dcgan.data.files import read_samples
from dcgan.data.images import PADDED, fit, with_channels
from dcgan.data.latents import random_seed
from dcgan.data.module import ImageData
from dcgan.features.own import own_space
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.metrics.accuracy import AccuracyScore, accuracy_score
from dcgan.metrics.bootstrap import REPLICATES
from dcgan.metrics.copies import Copies, Neighbours, find_copies, nearest
from dcgan.metrics.floor import floor_of
from dcgan.metrics.manifold import Manifold
from dcgan.metrics.measure import LEAST_SAMPLES, halves, measure, record, values
from dcgan.metrics.protocol import protocol
from dcgan.metrics.reference import (
    Reference,
    images_sha256,
    reference_of,
    shipped_reference,
    shipped_scores,
    statistics_folder,
    subset,
)
from dcgan.models.base import class_of_samples
from dcgan.runs.hardware import resolve_device
from dcgan.runs.load import load
from dcgan.training.build import build_data, moved, with_facts

LEAST_FOR_CAS = 200
LEAST_REAL = 2 * LEAST_SAMPLES  # one half of them is compared with the other
SEEN_AT = 28  # pixels, the resolution of the classifiers


@dataclass(frozen=True)
class Samples:
    """What is scored, and where it came from."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor | None
    data: ImageData  # the real images to compare with
    space: FeatureSpace
    seed: int | None
    origin: Mapping[str, Any]  # for the record
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class Score:
    """All that one evaluation found."""

    samples: Samples
    records: list[dict[str, Any]]  # the space's own, those of its judges, then copies and CAS
    near: Manifold  # in the space itself, image by image
    real: Reference
    neighbours: Neighbours | None


def samples_of_run(run: Path, config: EvaluateConfig) -> Samples:
    """Samples of a checkpoint's averaged generator.

    With ``split=train`` everything defaults to what training used, so that its logged value comes out again. For the
    reported numbers the samples are others than those by which the checkpoint was chosen.

    Raises:
        ValueError, OSError: one line on what is wrong.
    """
    generator, trained, checkpoint, step = load(run, checkpoint=config.checkpoint, device=config.device)
    trained.data = moved(trained.data, root=config.data.root, folder=config.data.folder)
    metrics = config.metrics or trained.metrics
    name, weights = metrics.name, getattr(config.metrics, "weights", None)
    theirs = getattr(trained.metrics, "weights", None)
    if config.metrics is None and theirs is not None:
        raise ValueError(
            f"metrics.weights: the run had {theirs}; a run folder chooses no path here: "
            f"type metrics={name} metrics.weights=<file>, or metrics={name} for the published ones"
        )
    if name == "none":
        name, weights = _space_of(trained.data.name), None
    _check_fit(name, trained.data.name)
    default = CATALOGUE[trained.data.name].num_samples
    if config.split == "train":
        default = max(getattr(trained.metrics, "num_samples", default), LEAST_SAMPLES)
    num_samples = config.num_samples or default
    labels = class_of_samples(num_samples, num_classes=generator.num_classes)
    if num_samples < generator.num_classes:
        raise ValueError(f"num_samples={num_samples}: this generator has {generator.num_classes} classes; draw as many")
    if config.cas and labels is None:
        raise ValueError("cas=true: this generator takes no labels; CAS needs a model.conditional=true, or an .npz")
    if config.cas:
        _check_cas(run, labels, data=trained.data.name, num_samples=num_samples)
    trained, _ = with_facts(trained)
    data = build_data(trained)
    seed = _seed(trained.seed, split=config.split) if config.seed is None else config.seed
    space = own_space(data) if name == OWN else load_feature_space(name, weights=weights)
    return Samples(
        images=generator.sample(n=num_samples, seed=seed),
        labels=labels,
        data=data,
        space=space,
        seed=seed,
        origin={"run": str(run), "step": step, "checkpoint": checkpoint},
        device=next(generator.parameters()).device,
    )


def _space_of(data: str) -> str:
    """The feature space that knows a data set."""
    space = CATALOGUE[data].space
    if not space:
        raise ValueError(f"metrics=: no feature space that ships knows data={data}; say {TRAINED}{WITH_WEIGHTS}")
    return space


def _seed(seed: int, *, split: str) -> int:
    return seed if split == "train" else random_seed(seed, "evaluation") % 2**32


def samples_of_file(path: Path, config: EvaluateConfig, *, name: str | None = None) -> Samples:
    """Samples that another tool has written.

    Args:
        name: what they are called in notes and records, if not by the file.

    Raises:
        ValueError, OSError: one line on what is wrong.
    """
    metrics, data_name = _space_and_data(config)
    known = CATALOGUE[data_name]
    found = read_samples(path, channels=known.channels, on_black=known.reader != "own")
    images, labels = found.images, found.labels
    wanted = config.num_samples or CATALOGUE[data_name].num_samples
    if len(images) < wanted:
        count = f"{len(images)} image{'s' * (len(images) != 1)}"
        fewer = f"num_samples={len(images)} makes it {protocol(metrics, config.split, len(images))}, another protocol"
        fix = fewer if len(images) >= LEAST_SAMPLES else f"{LEAST_SAMPLES} at least are scored"
        raise ValueError(
            f"samples={path}: holds {count}, {protocol(metrics, config.split, wanted)} needs {wanted}; {fix}"
        )
    if config.cas:
        _check_cas(path, labels, data=data_name, num_samples=wanted, why=found.why_unlabelled)
    chosen = subset(len(images), wanted)  # a file may be in the order of its classes
    num_images, images, labels = len(images), images[chosen], labels[chosen] if labels is not None else None
    data = _data_like(images, name=data_name, where=config.data)
    weights = getattr(config.metrics, "weights", None)
    space = own_space(data) if metrics == OWN else load_feature_space(metrics, weights=weights)
    converted = _conversions(images, metrics=metrics, data=data_name)
    for note in [*found.notes, *converted.values()]:
        print(f"note: {name or f'samples={path}'}: {note}", file=sys.stderr)
    origin = {"samples": name or str(path), "samples_sha256": images_sha256(images), "num_in_file": num_images}
    return Samples(
        images=images,
        labels=labels,
        data=data,
        space=space,
        seed=config.seed,
        origin=origin | {"converted": [*found.converted, *converted]},
        device=resolve_device(config.device),
    )


def _space_and_data(config: EvaluateConfig) -> tuple[str, str]:
    """What to compare samples of unknown origin with: either of ``metrics`` and ``data.name`` tells the other."""
    metrics = config.metrics.name if config.metrics else None
    if metrics in ("inception", OWN) and config.data.name is None:
        raise ValueError(f"metrics={metrics}: knows any data set; say which one, as in data.name=mnist")
    name = config.data.name or next(iter(data_sets_of(metrics or "")), "mnist")
    lookup(CATALOGUE, name, key="data.name")
    metrics = metrics or _space_of(name)
    _check_fit(metrics, name)
    return metrics, name


def _data_like(images: Tensor, *, name: str, where: EvaluateData) -> ImageData:
    """The real images in the form of these, as a run that draws such was trained on them."""
    channels, resolution = images.shape[1:3]
    own = _own_like(images, name=name, where=where) if CATALOGUE[name].reader == "own" else None
    root = Path(where.root)
    return ImageData(
        name=name,
        root=root,
        batch_size=1,
        resolution=resolution,
        channels=channels,
        d_steps=1,
        seed=0,
        own=own,
    )


def _own_like(images: Tensor, *, name: str, where: EvaluateData) -> OwnData:
    """What ``conf/data/`` says of one's own images, at the size of these."""
    if where.folder is None:
        raise ValueError(f"data.folder: no value; data.name={name} needs it: data.folder=<path> of the real images")
    told = OmegaConf.load(CONF / "data" / f"{name}.yaml").data
    told.merge_with(
        {"root": where.root, "folder": where.folder, "resolution": images.shape[2], "channels": images.shape[1]}
    )
    own = GROUPS["data"].own[name](**told)
    assert isinstance(own, OwnData)
    return own


def _conversions(images: Tensor, *, metrics: str, data: str) -> dict[str, str]:
    """What the feature space will do to the pixels, a run's being treated alike: for the record, and as notes."""
    if metrics in ("inception", OWN):  # that resizes whatever it is given; this was trained on images of their form
        return {}
    found, size = {}, images.shape[-1]
    if size != SEEN_AT:
        how, rest = "brought", "so are the real images"
        if 0 < size - SEEN_AT <= PADDED:
            how, rest = "cropped", f"if digits were enlarged to {size}, not padded, resize them to {SEEN_AT} first"
        word = f"{size} x {size} {how} to {SEEN_AT} x {SEEN_AT}"
        found[word] = f"{word}, as a run's with data.resolution={size}; {rest}"
    if images.shape[1] > CATALOGUE[data].channels:
        spread = int((images.amax(1) - images.amin(1)).max())
        word = "colour averaged to grey"
        found[word] = f"{word}, as a run's with data.channels=3; channels differ by up to {spread} of 255"
    return found


def _check_fit(metrics: str, data: str) -> None:
    wrong = misfit(metrics, data)
    if wrong:
        raise ValueError(f"metrics={metrics}: {wrong}")


def _check_cas(path: Path, labels: Tensor | None, *, data: str, num_samples: int, why: str = "") -> None:
    if CATALOGUE[data].num_classes != 10:
        raise ValueError(f"cas=true: is for data sets of ten classes, not {data}; leave it false")
    if labels is None:
        wanted = "cas=true needs their labels, as whole numbers in an array named labels in an .npz"
        raise ValueError(f"samples={path}: {wanted}{f'; {why}' if why else ''}")
    if int(labels.max()) > 9:
        raise ValueError(f"samples={path}: holds the label {int(labels.max())}; cas=true knows 0 to 9")
    if num_samples < LEAST_FOR_CAS:
        raise ValueError(f"num_samples={num_samples}: cas=true needs at least {LEAST_FOR_CAS} to train on")


def score(samples: Samples, *, split: str, memorisation: bool, cas: bool) -> Score:
    """Measure in the space and by its judges, and what else is asked for.

    Raises:
        ValueError, OSError: the real images are needed and cannot be had.
    """
    first, near, real = _score_in(samples.space, samples, split=split, replicates=REPLICATES)
    records = [first | _real_scores(samples, real, split=split)]
    for one in samples.space.judges if split == "test" else ():
        judge = load_feature_space(one) if isinstance(one, str) else one
        found, _, of_judge = _score_in(judge, samples, split=split, replicates=0)
        scores = _shipped_scores(judge, samples, split=split).get(str(len(samples.images)))
        if judge is one:  # it ships nowhere
            scores = _other_split(judge, samples, of_judge, split=split)
        records.append(found | {"real": scores})
    neighbours = None
    num_samples = len(samples.images)
    if memorisation:
        copies, neighbours = _find_copies(samples)
        name = protocol("pixels", "train", num_samples, metric="copies")
        found = {**copies._asdict(), "accused": copies.accused}
        records.append(_record(name, copies.share, found, samples=samples))
    if cas:
        accuracy = _accuracy_score(samples)
        name = protocol(samples.data.name, "test", num_samples, metric="cas")
        records.append(_record(name, accuracy.real, accuracy._asdict(), samples=samples))
    return Score(samples, [{**samples.origin, **one} for one in records], near, real, neighbours)


def _score_in(
    space: FeatureSpace, samples: Samples, *, split: str, replicates: int
) -> tuple[dict[str, Any], Manifold, Reference]:
    started = time.perf_counter()
    real = _reference(space, samples, split=split)
    features = space.extract(samples.images, device=samples.device)
    results, near = measure(features, space=space, real=real, replicates=replicates)
    line = record(
        results,
        features,
        space=space,
        real=real,
        data=samples.data,
        split=split,
        seed=samples.seed,
        started=started,
        labels=samples.labels,
    )
    return line, near, real


def _reference(space: FeatureSpace, samples: Samples, *, split: str) -> Reference:
    """Shipped, if the data set is not here or is what was shipped; else computed from it."""
    data = samples.data
    if not data.is_here() and _as_shipped(data):
        shipped = shipped_reference(space, data=data.name, split=split)
        if shipped:
            return shipped
    images = data.split(split).images
    if len(images) < LEAST_REAL:
        raise ValueError(
            f"split={split}: {data.name} has {len(images)} images there; comparing needs {LEAST_REAL} at least"
        )
    return reference_of(
        space,
        images,
        with_features=True,
        cache=statistics_folder(data.root),
        device=samples.device,
    )


def _real_scores(samples: Samples, real: Reference, *, split: str) -> dict[str, Any]:
    """What real images score: as many of the other split, and one half of the split against the other.

    The first is None where that number neither ships nor can be had from the data set.
    """
    space, data, n = samples.space, samples.data, len(samples.images)
    shipped = _shipped_scores(space, samples, split=split)
    other_split = shipped.get(str(n))
    if other_split is None and data.is_here():
        other_split = _other_split(space, samples, real, split=split)
    assert real.features is not None
    sizes = [(len(real.features) + 1) // 2, len(real.features) // 2]
    found = {"real": other_split, "halves": shipped.get("halves") or halves(space, real), "halves_of": sizes}
    return found | ({"needed": floor_of(real).needed} if space.name.startswith(OWN) else {})


def _other_split(space: FeatureSpace, samples: Samples, real: Reference, *, split: str) -> dict[str, float] | None:
    """What as many images of the other split score; None: there are not so many."""
    images, n = samples.data.split({"test": "train", "train": "test"}[split]).images, len(samples.images)
    if len(images) < n:
        return None
    features = space.extract(images[subset(len(images), n)], device=samples.device)
    return values(measure(features, space=space, real=real, replicates=0)[0])


def _shipped_scores(space: FeatureSpace, samples: Samples, *, split: str) -> Mapping[str, Mapping[str, float]]:
    data = samples.data
    return shipped_scores(space, data=data.name, split=split) if _as_shipped(data) else {}


def _as_shipped(data: ImageData) -> bool:
    """Whether its images, padded and repeated to more channels at most, are in grey at 28 x 28 the shipped ones."""
    return 0 <= data.resolution - SEEN_AT <= PADDED


def _find_copies(samples: Samples) -> tuple[Copies, Neighbours]:
    train, test = (samples.data.split(split).images for split in ("train", "test"))
    neighbours = nearest(samples.images, train)
    return find_copies(neighbours, nearest(test, train)), neighbours


def _accuracy_score(samples: Samples) -> AccuracyScore:
    assert samples.labels is not None
    test = samples.data.split("test")
    plain = (with_channels(fit(images, resolution=28), channels=1) for images in (samples.images, test.images))
    images, test_images = plain
    return accuracy_score(
        images, samples.labels, test_images=test_images, test_labels=test.labels, seed=samples.seed or 0
    )


def _record(name: str, value: float, found: Mapping[str, Any], *, samples: Samples) -> dict[str, Any]:
    return {
        "metric": name,
        "value": value,
        **found,
        "data": samples.data.name,
        "num_fake": len(samples.images),
        "seed": samples.seed,
    }
