"""How far generated images are from real ones. A metric's name is its protocol: ``fid_<space>_<split>_<N>``."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from dcgan.features import FeatureSpace
from dcgan.gan import GAN


class Reference(NamedTuple):
    """Sums over the features of real images, in float64: all that the Fréchet distance needs of them."""

    total: Tensor  # (F,)
    outer: Tensor  # (F, F), the sum of f f^T
    num_images: Tensor  # int64 scalar


def protocol(space: str, split: str, num_samples: int) -> str:
    """The name of an FID: which features, which real images, how many samples. ``fid_digits_train_2k``."""
    count = f"{num_samples // 1000}k" if num_samples % 1000 == 0 else str(num_samples)
    return f"fid_{space}_{split}_{count}"


def reference(
    space: FeatureSpace, images: Tensor, *, cache: Path | None = None, device: torch.device | str = "cpu"
) -> Reference:
    """The statistics of real uint8 images (N, C, H, W), read from ``cache`` if they were computed before.

    The file is named by the content of extractor and images, so it can never be stale.
    """
    path = cache / f"{space.sha256[:16]}_{_sha256(images)[:16]}.safetensors" if cache else None
    if path and path.is_file():
        with suppress(SafetensorError):  # a damaged file is written again
            return Reference(**load_file(path))
    features = space.extract(images, device=device)
    statistics = Reference(features.sum(0), features.T @ features, torch.tensor(len(features)))
    if path:
        try:
            _write(statistics, path)
        except OSError as error:
            warnings.warn(
                f"the statistics of the real images could not be kept for the next run: {error}", stacklevel=2
            )
    return statistics


def frechet_distance(features: Tensor, real: Reference) -> float:
    """FID (Heusel et al. 2017, eq. 6) of float64 features (N, F), N >= 2, to ``real``, by torchmetrics."""
    # Each process has all it needs; torchmetrics would otherwise wait for the others, which do not compute.
    fid = FrechetInceptionDistance(feature=_Features(features.shape[1]), sync_on_compute=False)
    fid.real_features_sum, fid.real_features_cov_sum, fid.real_features_num_samples = real
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``compute`` method of metric", category=UserWarning)
        fid.update(features, real=False)
        return float(fid.compute())


def evaluate_samples(
    gan: GAN, *, space: FeatureSpace, real: Reference, split: str, num_samples: int, seed: int
) -> dict[str, Any]:
    """Score ``num_samples`` (>= 2) samples of the averaged generator against the statistics of a real split.

    Returns:
        A record for ``metrics.jsonl``: the value, and everything that it depends on.
    """
    started = time.perf_counter()
    features = space.extract(gan.sample(n=num_samples, seed=seed), device=gan.device)
    return {
        "metric": protocol(space.name, split, num_samples),
        "value": frechet_distance(features, real),
        "extractor": space.name,
        "extractor_sha256": space.sha256,
        "split": split,
        "num_real": int(real.num_images),
        "num_fake": num_samples,
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
    }


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


class _Features(nn.Module):
    """Tells torchmetrics that what it is given are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _sha256(images: Tensor) -> str:
    return hashlib.sha256(str(tuple(images.shape)).encode() + images.contiguous().numpy().tobytes()).hexdigest()


def _write(statistics: Reference, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    save_file(statistics._asdict(), temporary)
    temporary.replace(path)
