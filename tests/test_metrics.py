import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import config

from dcgan.classifier import Classifier, accuracy
from dcgan.data.module import load_mnist
from dcgan.features import DIGITS, DIGITS_SHA256, FeatureSpace, load_feature_space
from dcgan.metrics import append_record, evaluate_samples, frechet_distance, protocol, reference
from dcgan.runs import build_gan


class Pixels(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()


PIXELS = FeatureSpace("pixels", "0" * 64, Pixels())


@pytest.fixture(scope="session")
def digits() -> FeatureSpace:
    return load_feature_space("digits")


@pytest.mark.parametrize(
    ("number", "name"),
    [(2000, "fid_digits_train_2k"), (10_000, "fid_digits_train_10k"), (200, "fid_digits_train_200")],
)
def test_the_name_is_the_protocol(number: int, name: str) -> None:
    assert protocol("digits", "train", number) == name


def test_identical_sets_are_at_distance_zero(mnist_root: Path, digits: FeatureSpace) -> None:
    images, _ = load_mnist(mnist_root, split="test")
    features = digits.extract(images[:2000])
    scale = features.var(0).sum().item()
    assert abs(frechet_distance(features, reference(digits, images[:2000]))) < 1e-5 * scale


def test_shifted_gaussians_are_at_the_squared_distance_of_their_means() -> None:
    images = torch.randint(0, 200, (300, 1, 2, 3), dtype=torch.uint8)
    real = reference(PIXELS, images)
    shifted = PIXELS.extract(images) + torch.tensor([1.0, -2, 3, 0, 5, 7])
    assert frechet_distance(shifted, real) == pytest.approx(1 + 4 + 9 + 25 + 49, rel=1e-6)


def test_scaled_gaussians_are_at_the_distance_of_the_formula() -> None:
    images = torch.randint(0, 200, (300, 1, 2, 3), dtype=torch.uint8)
    features = PIXELS.extract(images)
    twice = features.mean(0) + 2 * (features - features.mean(0))
    expected = features.T.cov().trace().item()  # tr(S + 4 S - 2 (4 S S)^(1/2)) = tr(S)
    assert frechet_distance(twice, reference(PIXELS, images)) == pytest.approx(expected, rel=1e-6)


def test_worse_images_are_farther(mnist_root: Path, digits: FeatureSpace) -> None:
    train, test = (load_mnist(mnist_root, split=split)[0] for split in ("train", "test"))
    real = reference(digits, train[:5000])
    noise = torch.randint(-60, 60, test[:2000].shape, generator=torch.Generator().manual_seed(0))
    noisy = (test[:2000].short() + noise).clamp(0, 255).byte()
    clean, worse = (frechet_distance(digits.extract(images), real) for images in (test[:2000], noisy))
    assert 0 < clean < worse / 2


def test_the_statistics_are_kept_by_content(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (10, 1, 2, 3), dtype=torch.uint8)
    first = reference(PIXELS, images, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    again = reference(PIXELS, images, cache=tmp_path)
    assert all(map(torch.equal, first, again))
    assert kept.stat().st_mtime_ns == stamp
    reference(PIXELS, images + 1, cache=tmp_path)
    reference(FeatureSpace("pixels", "1" * 64, Pixels()), images, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_statistics_that_cannot_be_kept_are_computed_all_the_same(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (10, 1, 2, 3), dtype=torch.uint8)
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert reference(PIXELS, images, cache=tmp_path / "file").num_images == 10


def test_the_shipped_classifier_is_what_the_code_says_and_right_on_the_real_test_split(
    mnist_root: Path, digits: FeatureSpace
) -> None:
    assert hashlib.sha256(DIGITS.read_bytes()).hexdigest() == DIGITS_SHA256
    assert DIGITS.stat().st_size <= 2_000_000
    classifier = digits.network.classifier
    assert isinstance(classifier, Classifier)
    assert accuracy(classifier, *load_mnist(mnist_root, split="test")) >= 0.994


def test_features_do_not_depend_on_the_batch_or_on_train_mode(mnist_root: Path, digits: FeatureSpace) -> None:
    images, _ = load_mnist(mnist_root, split="test")
    together = digits.extract(images[:40])
    digits.network.train()
    alone = torch.cat([digits.extract(image[None]) for image in images[:40]])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    assert together.dtype == torch.float64


def test_a_record_holds_all_that_the_value_depends_on(tmp_path: Path, digits: FeatureSpace) -> None:
    gan = build_gan(config())
    real = reference(digits, torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8))
    state = torch.get_rng_state()
    record = evaluate_samples(gan, space=digits, real=real, split="train", num_samples=40, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    append_record(tmp_path / "metrics.jsonl", record)
    append_record(tmp_path / "metrics.jsonl", record)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [record, record]
    assert record["metric"] == "fid_digits_train_40"
    assert (record["num_real"], record["num_fake"], record["seed"]) == (50, 40, 3)
    assert record["extractor_sha256"] == DIGITS_SHA256
    assert np.isfinite(record["value"])
    again = evaluate_samples(gan, space=digits, real=real, split="train", num_samples=40, seed=3)
    assert again["value"] == record["value"]
