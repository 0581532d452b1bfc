"""What is kept of real images: shipped with an extractor, computed before, or computed now."""

import functools
import hashlib
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dcgan.features.spaces import FeatureSpace
from dcgan.metrics.classes import histogram
from dcgan.metrics.frechet import Moments
from dcgan.metrics.manifold import Balls
from dcgan.shell.writing import replacing, to_json

NUM_FEATURES = 10_000  # real images that samples are compared with one by one


@dataclass(frozen=True)
class Reference:
    """The real images of one split in one feature space."""

    moments: Moments
    class_counts: Tensor | None  # (K,), what the classifier says of them; None: the space has none
    features: Tensor | None  # float16 (M, F) of 10,000 of them at most; None: not shipped for this split

    @functools.cached_property
    def balls(self) -> Balls:
        """Where real images are, for precision to coverage."""
        assert self.features is not None
        return Balls.of(self.features.double())


def reference_of(
    space: FeatureSpace,
    images: Tensor,
    *,
    with_features: bool,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
) -> Reference:
    """The reference of real uint8 images (N, C, H, W): shipped with the package, read from ``cache``, or computed.

    Both are known by the content of extractor and images, so they can never be stale.
    """
    sha256 = images_sha256(images)
    for split, shipped in _header(space).get("splits", {}).items():
        if shipped["images_sha256"] == sha256:
            kept = _shipped(space, split)
            if with_features and kept.features is None:
                return replace(kept, features=_some_features(space, images, device))
            return kept
    path = cache / f"reference_{space.sha256[:16]}_{sha256[:16]}.safetensors" if cache else None
    kept_before = _kept(path, space, len(images)) if path else None
    if kept_before:
        return kept_before
    if len(images) > NUM_FEATURES:
        print(f"note: computing the {space.name} features of {len(images):,} real images, once", file=sys.stderr)
    computed = compute_reference(space, images, device=device)
    if path:
        try:
            _write(computed, path)
        except OSError as error:
            warnings.warn(f"what was computed of the real images could not be kept: {error}", stacklevel=2)
    return computed


def statistics_folder(root: Path) -> Path:
    """Where the statistics of real images are kept: beside the data they came from."""
    return root / "statistics"


def shipped_reference(space: FeatureSpace, *, data: str, split: str) -> Reference | None:
    """The reference of the official split of a data set, where it ships with features: no data set is needed."""
    header = _header(space)
    if header.get("data") == data and header["splits"][split]["has_features"]:
        return _shipped(space, split)
    return None


def shipped_scores(space: FeatureSpace, *, data: str, split: str) -> Mapping[str, Mapping[str, float]]:
    """What real images score against this split, where that ships: by number of images of the other split; halves."""
    header = _header(space)
    return header["splits"][split]["scores"] if header.get("data") == data else {}


def compute_reference(space: FeatureSpace, images: Tensor, *, device: torch.device | str = "cpu") -> Reference:
    """The reference of real uint8 images (N, C, H, W)."""
    features = space.extract(images, device=device)
    some = features[subset(len(images), NUM_FEATURES)].half()
    return Reference(Moments.of(features), class_counts(space, features), some)


def _some_features(space: FeatureSpace, images: Tensor, device: torch.device | str) -> Tensor:
    return space.extract(images[subset(len(images), NUM_FEATURES)], device=device).half()


def subset(num_images: int, size: int) -> Tensor:
    """The indices of ``size`` images at most, always the same ones, in their order."""
    if num_images <= size:
        return torch.arange(num_images)
    return torch.randperm(num_images, generator=torch.Generator().manual_seed(0))[:size].sort().values


def images_sha256(images: Tensor) -> str:
    """The hash of uint8 images, shape included."""
    result = hashlib.sha256(str(tuple(images.shape)).encode())
    result.update(images.contiguous().numpy().data)
    return result.hexdigest()


def class_counts(space: FeatureSpace, features: Tensor) -> Tensor | None:
    """How many of the real images (N, F) fall into each class (K,), or equal ones where the space wants these."""
    logits = space.logits(features)
    if logits is None:
        return None
    return torch.ones(logits.shape[1], dtype=torch.int64) if space.uniform_classes else histogram(logits)


def _from_tensors(tensors: Mapping[str, Tensor]) -> Reference:
    moments = Moments(*(tensors[name] for name in Moments._fields))
    return Reference(moments, tensors.get("class_counts"), tensors.get("features"))


def _tensors(kept: Reference) -> dict[str, Tensor]:
    tensors = {**kept.moments._asdict(), "class_counts": kept.class_counts, "features": kept.features}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _kept(path: Path, space: FeatureSpace, num_images: int) -> Reference | None:
    """What was kept; None: nothing, or what is damaged, of another format, or not ours to read. It is computed then."""
    try:
        kept = _from_tensors(load(path.read_bytes()))
    except (OSError, SafetensorError, KeyError):
        return None
    total, outer, count = kept.moments
    shapes = [total.shape * 2, (min(num_images, NUM_FEATURES), *total.shape)]
    found = [outer.shape, kept.features.shape if kept.features is not None else None]
    has_classes = kept.class_counts is not None
    fits = found == shapes and torch.equal(count, torch.tensor(num_images)) and has_classes == (space.head is not None)
    return kept if fits else None


def _write(computed: Reference, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(save(_tensors(computed)))  # save_file's are for their owner alone


# --- the file beside a shipped extractor's weights


def write_shipped(path: Path, *, header: Mapping[str, Any], splits: Mapping[str, Reference]) -> None:
    """Write what ships with an extractor: a compressed ``.npz`` of numbers, its header a JSON text."""
    arrays = {
        f"{split}_{name}": tensor.numpy() for split, kept in splits.items() for name, tensor in _tensors(kept).items()
    }
    np.savez_compressed(path, header=np.array(to_json(header)), **arrays)  # type: ignore[arg-type]


def _header(space: FeatureSpace) -> dict[str, Any]:
    """The header of the file shipped with the extractor; empty where there is none for exactly these weights."""
    if space.shipped is None or not space.shipped.is_file():
        return {}
    with np.load(space.shipped, allow_pickle=False) as file:
        header = json.loads(str(file["header"]))
    return header if header["extractor_sha256"] == space.sha256 else {}


def _shipped(space: FeatureSpace, split: str) -> Reference:
    assert space.shipped is not None
    return _read_shipped(space.shipped, split)


@functools.cache
def _read_shipped(path: Path, split: str) -> Reference:
    """Once in a process: the balls around real images take a second, and many runs may be scored against them."""
    with np.load(path, allow_pickle=False) as file:
        names = {name: name.removeprefix(f"{split}_") for name in file.files if name.startswith(f"{split}_")}
        return _from_tensors({short: torch.from_numpy(file[name]) for name, short in names.items()})
