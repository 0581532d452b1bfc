"""Every metric: closed forms, other people's code on the same features, conventions, and what it must not do."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import prdc
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from dcgan.config.catalogue import data_sets_of
from dcgan.data.readers import read
from dcgan.features.classifier import Classifier, accuracy
from dcgan.features.spaces import ASSETS, CLASSIFIERS, FeatureSpace, load_feature_space
from dcgan.metrics import classes
from dcgan.metrics.accuracy import accuracy_score
from dcgan.metrics.bootstrap import estimate, multiplicities
from dcgan.metrics.classes import class_kl, class_measures, inception_score, num_modes, sampling_floor
from dcgan.metrics.copies import find_copies, nearest
from dcgan.metrics.frechet import Moments, _Features, frechet_distance
from dcgan.metrics.kernel import kernel_distance
from dcgan.metrics.manifold import Balls, manifold
from dcgan.metrics.measure import measure
from dcgan.metrics.protocol import protocol, rank
from dcgan.metrics.reference import (
    Reference,
    compute_reference,
    images_sha256,
    reference_of,
    shipped_reference,
    shipped_scores,
)


class Pixels(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()


PIXELS = FeatureSpace("pixels", "0" * 64, Pixels())


def draw(*shape: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale + shift


@pytest.fixture(scope="session")
def real_and_fake(mnist_root: Path, digits: FeatureSpace) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of 1,500 test images, and of 1,200 that a generator might have made: blurred."""
    images, _ = read("mnist", mnist_root, split="test")
    blurred = torch.nn.functional.avg_pool2d(images[2000:3200].float(), 3, 1, 1).byte()
    return digits.extract(images[:1500]), digits.extract(blurred)


# --- names and ranks


@pytest.mark.parametrize(
    ("number", "name"),
    [(2000, "fid_digits_train_2k"), (10_000, "fid_digits_train_10k"), (200, "fid_digits_train_200")],
)
def test_the_name_is_the_protocol(number: int, name: str) -> None:
    assert protocol("digits", "train", number) == name


def test_only_equal_protocols_are_ranked() -> None:
    one = {"metric": "fid_digits_test_10k", "data": "mnist", "resolution": 28, "channels": 1}
    one |= {"extractor_sha256": "a", "num_real": 10_000, "value": 3.0}
    better = {**one, "value": 2.0}
    assert rank([one, better]) == [better, one]
    others = {"metric": "fid_digits_test_2k", "data": "x", "resolution": 32, "channels": 3}
    others |= {"extractor_sha256": "b", "num_real": 5}
    for key, other in others.items():
        with pytest.raises(ValueError, match=f"not ranked, for they differ in {key}"):
            rank([one, {**better, key: other}])


# --- FID


def test_identical_sets_are_at_distance_zero(real_and_fake: tuple[torch.Tensor, torch.Tensor]) -> None:
    real, _ = real_and_fake
    assert frechet_distance(real, Moments.of(real)) < 1e-5 * real.var(0).sum().item()


def test_shifted_gaussians_are_at_the_squared_distance_of_their_means() -> None:
    features = draw(300, 6, scale=50)
    shifted = features + torch.tensor([1.0, -2, 3, 0, 5, 7])
    assert frechet_distance(shifted, Moments.of(features)) == pytest.approx(1 + 4 + 9 + 25 + 49, rel=1e-6)


def test_scaled_gaussians_are_at_the_distance_of_the_formula() -> None:
    features = draw(300, 6, scale=50)
    twice = features.mean(0) + 2 * (features - features.mean(0))
    expected = features.T.cov().trace().item()  # tr(S + 4 S - 2 (4 S S)^(1/2)) = tr(S)
    assert frechet_distance(twice, Moments.of(features)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated:DeprecationWarning")  # pytorch-fid's use of scipy
def test_fid_agrees_with_three_other_implementations(real_and_fake: tuple[torch.Tensor, torch.Tensor]) -> None:
    real, fake = real_and_fake
    ours = frechet_distance(fake, Moments.of(real))
    theirs = FrechetInceptionDistance(feature=_Features(128))
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-6)
    statistics = [fid_features_to_statistics(features) for features in (fake, real)]
    fidelity = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert ours == pytest.approx(fidelity, rel=1e-6)
    arrays = [part for features in (fake, real) for part in (features.mean(0).numpy(), np.cov(features.numpy().T))]
    assert ours == pytest.approx(float(calculate_frechet_distance(*arrays)), rel=1e-6)


@pytest.mark.parametrize("case", ["fewer samples than features", "duplicates", "a constant feature", "all the same"])
def test_fid_stays_real_finite_and_non_negative(case: str) -> None:
    real, fake = draw(400, 50), draw(300, 50, seed=1)
    if case == "fewer samples than features":
        real, fake = real[:20], fake[:10]
    elif case == "duplicates":
        fake = fake[:3].repeat(100, 1)
    elif case == "a constant feature":
        real[:, 0] = fake[:, 0] = 7
    else:
        fake = fake[:1].repeat(300, 1)
        expected = (fake[0] - real.mean(0)).square().sum() + real.T.cov().trace()  # a point and a Gaussian
        assert frechet_distance(fake, Moments.of(real)) == pytest.approx(float(expected), rel=1e-5)
    for a, b in ((real, fake), (real, real), (fake, fake)):
        value = frechet_distance(a, Moments.of(b))
        assert math.isfinite(value)
        assert value >= 0


def test_worse_images_are_farther(mnist_root: Path, digits: FeatureSpace) -> None:
    test = read("mnist", mnist_root, split="test")[0][:2000]
    shipped = shipped_reference(digits, data="mnist", split="test")
    assert shipped is not None
    noise = torch.randint(-60, 60, test.shape, generator=torch.Generator().manual_seed(0))
    noisy = (test.short() + noise).clamp(0, 255).byte()
    clean, worse = (frechet_distance(digits.extract(images), shipped.moments) for images in (test, noisy))
    assert 0 < clean < worse / 2


# --- KID


def test_kid_of_equal_distributions_is_around_zero_and_of_others_above() -> None:
    real, same, other = draw(3000, 16), draw(3000, 16, seed=1), draw(3000, 16, seed=2, shift=0.5)
    none, some = (kernel_distance(fake, real, seed=0) for fake in (same, other))
    assert none.low is not None
    assert none.high is not None
    assert none.low < 0 < none.high
    assert some.low is not None
    assert some.low > 0
    assert some.value > 20 * abs(none.value)


def test_kid_agrees_with_torch_fidelity(real_and_fake: tuple[torch.Tensor, torch.Tensor]) -> None:
    real, fake = (features[:1000] for features in real_and_fake)
    theirs = kid_features_to_metric(fake, real, kid_subsets=1, kid_subset_size=1000, verbose=False)
    one = float(poly_mmd(real, fake))  # what ours averages over subsets
    assert one == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    ours = kernel_distance(fake, real, seed=0)
    assert ours.low is not None
    assert ours.high is not None
    assert ours.low < one < ours.high


@pytest.mark.filterwarnings("ignore:Metric `:UserWarning")
def test_kid_and_inception_score_are_those_of_torchmetrics(real_and_fake: tuple[torch.Tensor, torch.Tensor]) -> None:
    real, fake = real_and_fake
    torch.manual_seed(3)
    kid = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=100, subset_size=600)
    kid.update(real, real=True)
    kid.update(fake, real=False)
    value, deviation = kid.compute()
    ours = kernel_distance(fake, real, seed=3)
    assert (ours.value, ours.deviation) == pytest.approx((float(value), float(deviation)), rel=1e-6)
    logits = draw(500, 10, scale=3)
    torch.manual_seed(3)
    score = InceptionScore(feature=torch.nn.Identity())
    score.update(logits)
    value, deviation = score.compute()
    ours = inception_score(logits, multiplicities(500, seed=0), seed=3)
    assert (ours.value, ours.deviation) == pytest.approx((float(value), float(deviation)), rel=1e-6)


# --- precision, recall, density, coverage


@pytest.mark.parametrize("k", [3, 5])
def test_manifold_metrics_agree_with_prdc_and_torch_fidelity(
    real_and_fake: tuple[torch.Tensor, torch.Tensor], k: int
) -> None:
    real, fake = real_and_fake
    near = manifold(Balls.of(fake, k=k), Balls.of(real, k=k), k=k)
    theirs = prdc.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=k)
    for name, values in near._asdict().items():
        assert float(values.double().mean()) == pytest.approx(theirs[name], abs=1e-12), name
    fidelity = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=10_000, save_cpu_ram=False, verbose=False
    )
    assert float(near.precision.double().mean()) == pytest.approx(fidelity["precision"], abs=1e-6)
    assert float(near.recall.double().mean()) == pytest.approx(fidelity["recall"], abs=1e-6)


def test_a_collapsed_generator_has_high_precision_and_low_recall() -> None:
    real = draw(2000, 8)
    collapsed = real[:1] + draw(2000, 8, seed=1, scale=0.01)
    near = manifold(Balls.of(collapsed), Balls.of(real))
    assert near.precision.double().mean() > 0.99
    assert near.recall.double().mean() < 0.01
    assert near.coverage.double().mean() < 0.05


def test_a_generator_of_everything_has_low_precision_and_high_recall() -> None:
    real = draw(2000, 8)
    near = manifold(Balls.of(draw(2000, 8, seed=1, scale=5)), Balls.of(real))
    assert near.precision.double().mean() < 0.3
    assert near.recall.double().mean() > 0.7


# --- classes


def test_inception_score_agrees_with_torch_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = draw(500, 10, scale=3)
    monkeypatch.setattr(classes, "SPLITS", 1)  # with more, the two shuffle differently
    theirs = isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="std\\(\\): degrees of freedom", category=UserWarning)
        assert inception_score(logits, multiplicities(500, seed=0), seed=0).value == pytest.approx(theirs, rel=1e-6)


def test_inception_score_has_its_limits() -> None:
    weights = multiplicities(1000, seed=0, replicates=0)
    sure = 30 * torch.eye(10).repeat(100, 1)
    assert inception_score(sure, weights, seed=0).value == pytest.approx(10, rel=0.05)  # all classes, each certain
    assert inception_score(sure[:1].expand(1000, -1), weights, seed=0).value == pytest.approx(1)


def test_class_kl_by_hand() -> None:
    counts, real = torch.tensor([30.0, 10.0, 0.0]), torch.tensor([10.0, 10.0, 20.0])
    assert float(class_kl(counts, real)) == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert float(class_kl(real, real)) == 0
    assert float(class_kl(real, counts)) == math.inf
    assert num_modes(counts) == 2


def test_class_measures_of_known_logits() -> None:
    logits = torch.tensor([[9.0, 0, 0], [9, 0, 0], [0, 9, 0], [0.1, 0, 0]])
    found = class_measures(logits, torch.tensor([2, 1, 1]), multiplicities(4, seed=0))
    assert found["modes"].value == 2
    assert found["confident"].value == 0.75
    assert found["class_kl"].value == pytest.approx(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.25))


def test_the_sampling_floors_of_stacked_mnist_by_monte_carlo(mnist_root: Path) -> None:
    """26,000 draws from 1000 modes: 0.0193 if these are even, 0.0236 with MNIST's frequencies."""
    frequency = read("mnist", mnist_root, split="train")[1].bincount().double() / 60_000
    numbers = torch.einsum("a,b,c->abc", frequency, frequency, frequency).flatten()
    even = torch.ones(1000, dtype=torch.float64) / 1000
    random = np.random.default_rng(0)
    for p, floor in ((even, 0.0193), (numbers, 0.0236)):
        draws = torch.from_numpy(random.multinomial(26_000, p.numpy() / p.numpy().sum(), size=1000)).double()
        simulated = float(class_kl(draws, even).mean())
        assert simulated == pytest.approx(floor, abs=1e-4)
        assert sampling_floor(p, even, 26_000) == pytest.approx(simulated, abs=1e-4)
    few = torch.from_numpy(random.multinomial(30, even.numpy(), size=1000)).double()
    assert sampling_floor(even, even, 30) == pytest.approx(float(class_kl(few, even).mean()), rel=0.01)


def test_stacked_digits_are_read_channel_by_channel(mnist_root: Path) -> None:
    images, labels = read("stacked_mnist", mnist_root, split="test")
    assert images.shape == (10_000, 3, 28, 28)
    space = load_feature_space("stacked")
    features = space.extract(images[:500])
    assert features.shape == (500, 384)
    logits = space.logits(features)
    assert logits is not None
    assert (logits.argmax(1) == labels[:500]).float().mean() > 0.98
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(500))  # a distribution over the 1000 numbers
    digit = load_feature_space("digits").extract(images[:500, 1:2])
    torch.testing.assert_close(features[:, 128:256], digit, rtol=1e-4, atol=1e-4)


# --- intervals


@pytest.mark.slow
def test_intervals_are_as_wide_as_values_differ_between_draws() -> None:
    """Of 40 generators that differ by their seed alone."""
    real = draw(1000, 8)
    found: dict[str, list[tuple[float, float, float]]] = {}
    kept = Reference(Moments.of(real), None, real.half())
    for seed in range(1, 41):
        results, _ = measure(draw(1000, 8, seed=seed, scale=1.3, shift=0.3), space=PIXELS, real=kept)
        for name, result in results.items():
            assert result.low is not None
            assert result.high is not None
            found.setdefault(name, []).append((result.value, result.low, result.high))
    assert set(found) == {"fid", "kid", "precision", "recall", "density", "coverage"}
    for name, results in found.items():
        values, low, high = torch.tensor(results).T
        ratio = float((high - low).mean() / (2 * 1.96 * values.std()))
        assert 0.6 < ratio < 1.5, (name, ratio)
        inside = ((low <= values.mean()) & (values.mean() <= high)).float().mean()
        assert inside >= 0.8, (name, inside)


def test_an_interval_of_a_distance_does_not_reach_below_zero() -> None:
    assert estimate(0.01, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)).low == 0


def test_an_interval_lies_about_its_value_however_biased_the_replicates() -> None:
    found = estimate(5.0, torch.linspace(6, 8, 201, dtype=torch.float64))
    assert (found.low, found.high) == pytest.approx((5 - 0.95, 5 + 0.95))


def test_no_replicates_no_interval() -> None:
    assert estimate(3.0, torch.empty(0)) == (3.0, None, None, None)


# --- the reference


def test_references_are_kept_by_content(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (10, 1, 2, 3), dtype=torch.uint8)
    first = reference_of(PIXELS, images, with_features=True, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    again = reference_of(PIXELS, images, with_features=True, cache=tmp_path)
    assert all(map(torch.equal, first.moments, again.moments))
    assert first.features is not None
    assert again.features is not None
    assert torch.equal(first.features, again.features)
    assert kept.stat().st_mtime_ns == stamp
    reference_of(PIXELS, images + 1, with_features=True, cache=tmp_path)
    reference_of(replace(PIXELS, sha256="1" * 64), images, with_features=True, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    kept.write_bytes(b"half")
    repaired = reference_of(PIXELS, images, with_features=True, cache=tmp_path)
    assert torch.equal(repaired.moments.outer, first.moments.outer)


def test_a_reference_that_cannot_be_kept_is_computed_all_the_same(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (10, 1, 2, 3), dtype=torch.uint8)
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        kept = reference_of(PIXELS, images, with_features=True, cache=tmp_path / "file")
    assert kept.moments.num_images == 10


LEAST_ACCURACY = {
    "digits": 0.994,
    "digits1": 0.994,
    "digits_residual": 0.995,
    "fashion": 0.92,
    "fashion_residual": 0.929,
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_ships_is_what_the_data_set_gives(name: str, mnist_root: Path) -> None:
    space = load_feature_space(name)
    (data,) = data_sets_of(name)
    assert space.shipped is not None
    assert space.shipped.stat().st_size <= 2_000_000
    shipped = shipped_reference(space, data=data, split="test")
    assert shipped is not None
    images, labels = read(data, mnist_root, split="test")
    computed = compute_reference(space, images)
    for ours, theirs in zip(shipped.moments, computed.moments, strict=True):
        largest = float(theirs.abs().max())  # float32's features; processors add them up in another order
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-3 + 1e-5 * largest)
    assert shipped.features is not None
    assert computed.features is not None
    torch.testing.assert_close(shipped.features, computed.features, rtol=2e-3, atol=2e-3)
    assert torch.equal(shipped.class_counts, computed.class_counts)  # type: ignore[arg-type]
    logits = space.logits(computed.features.double())
    assert logits is not None
    assert (logits.argmax(1) == labels).float().mean() >= LEAST_ACCURACY[name]
    scores = shipped_scores(space, data=data, split="test")
    assert set(scores) == {"10000", "halves"}
    assert 0 < scores["10000"]["fid"] < 1
    train = reference_of(space, read(data, mnist_root, split="train")[0], with_features=False)
    assert (int(train.moments.num_images), train.features) == (60_000, None)  # shipped: computing it gives features


def test_what_ships_is_used_only_for_its_own_extractor_and_data(mnist_root: Path, digits: FeatureSpace) -> None:
    images, _ = read("mnist", mnist_root, split="test")
    shipped = reference_of(digits, images, with_features=True)
    assert int(shipped.moments.num_images) == 10_000
    assert reference_of(digits, images[:50], with_features=True).moments.num_images == 50
    other = replace(digits, sha256="1" * 64, network=Pixels(), head=None)
    assert reference_of(other, images[:50], with_features=True).moments.total.shape == (784,)
    assert shipped_reference(other, data="mnist", split="test") is None
    assert shipped_reference(digits, data="fashion_mnist", split="test") is None
    assert shipped_reference(digits, data="mnist", split="train") is None  # no features of it ship
    assert images_sha256(images) != images_sha256(images.flatten(2))


# --- extractors


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_shipped_classifiers_are_small_and_what_the_code_says(name: str) -> None:
    file, sha256 = CLASSIFIERS[name]
    assert (ASSETS / f"{file}.safetensors").stat().st_size <= 2_000_000
    assert load_feature_space(name).sha256 == sha256  # which compares it with the file


def test_a_damaged_extractor_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLASSIFIERS, "digits", ("digits_0", "0" * 64))
    with pytest.raises(AssertionError, match="digits_0 is not the extractor that was shipped"):
        load_feature_space("digits")


def test_the_first_extractor_is_right_on_the_real_test_split(mnist_root: Path, digits: FeatureSpace) -> None:
    classifier = digits.network.classifier
    assert isinstance(classifier, Classifier)
    assert accuracy(classifier, *read("mnist", mnist_root, split="test")) == 0.9963


def test_features_do_not_depend_on_the_batch_or_on_train_mode(mnist_root: Path, digits: FeatureSpace) -> None:
    images, _ = read("mnist", mnist_root, split="test")
    together = digits.extract(images[:40])
    digits.network.train()
    alone = torch.cat([digits.extract(image[None]) for image in images[:40]])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    assert together.dtype == torch.float64
    assert not digits.network.training


# --- all at once


def test_measuring_leaves_the_random_state_alone_and_repeats_itself(
    real_and_fake: tuple[torch.Tensor, torch.Tensor], digits: FeatureSpace
) -> None:
    real, fake = real_and_fake
    kept = Reference(Moments.of(real), torch.ones(10, dtype=torch.int64), real.half())
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    first, _ = measure(fake, space=digits, real=kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    torch.manual_seed(5)
    assert measure(fake, space=digits, real=kept)[0] == first
    for name, result in first.items():
        assert math.isfinite(result.value), name
        if result.low is not None:
            assert result.high is not None
            assert result.low <= result.value <= result.high, name


# --- copies


def test_planted_copies_are_found_and_a_clean_sample_is_not_accused(mnist_root: Path) -> None:
    train, test = (read("mnist", mnist_root, split=split)[0] for split in ("train", "test"))
    train = train[:20_000]
    unseen = nearest(test[:3000], train)
    clean = test[3000:6000].clone()
    found = find_copies(nearest(clean, train), unseen)
    assert not found.accused
    assert found.share < 0.02
    unused = read("mnist", mnist_root, split="train")[0][40_000:43_000]  # by the writers of the training images
    assert not find_copies(nearest(unused, train), unseen).accused
    noise = torch.randint(-12, 13, (150, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    for copies in (train[:150], (train[:150].short() + noise).clamp(0, 255).byte()):
        planted = torch.cat([copies, clean[150:]])  # 5 %
        neighbours = nearest(planted, train)
        found = find_copies(neighbours, unseen)
        assert found.accused
        assert 0.045 < found.share < 0.08
        assert neighbours.indices[:150, 0].tolist() == list(range(150))
    assert find_copies(nearest(clean, train), unseen).real_median_distance == pytest.approx(
        float(unseen.distances[:, 0].median())
    )


def test_nearest_by_hand() -> None:
    train = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    train[1, 0, 0, 0], train[2] = 51, 255
    found = nearest(train[:1], train)
    assert found.indices.tolist() == [[0, 1]]
    assert found.distances.tolist() == [[0, pytest.approx(0.2)]]
    assert float(found.ratio) == 0


# --- CAS


@pytest.mark.slow
def test_cas_is_what_a_classifier_learns_from_samples_alone(mnist_root: Path) -> None:
    images, labels = read("mnist", mnist_root, split="train")
    test_images, test_labels = (part[:1000] for part in read("mnist", mnist_root, split="test"))
    state = torch.get_rng_state()

    def cas(labels: torch.Tensor) -> tuple[float, float]:
        return accuracy_score(images[:1500], labels, test_images=test_images, test_labels=test_labels, seed=0, epochs=4)

    good = cas(labels[:1500])
    assert good[0] > 0.8
    assert good[1] > 0.8
    assert torch.equal(torch.get_rng_state(), state)
    assert good == cas(labels[:1500])
    swapped = cas(9 - labels[:1500])  # a generator that takes 0 for 9: its samples agree with each other, and are wrong
    assert swapped[1] > 0.8
    assert swapped[0] < 0.2
