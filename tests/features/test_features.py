"""Judges, and Inception: the real path, with randomly initialised weights in a file (the published ones are 91 MB)."""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Result, printed_run
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from dcgan.config.catalogue import CATALOGUE, JUDGES, data_sets_of, judged_by
from dcgan.data.readers import READERS, read_idx_files
from dcgan.features import spaces as features
from dcgan.features.residual import ResidualClassifier
from dcgan.features.spaces import SPACES, load_feature_space
from dcgan.metrics import frechet
from dcgan.metrics.frechet import Moments, frechet_distance


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of torch-fidelity's network as its constructor initialises it, before it would load a file."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(
            FeatureExtractorInceptionV3, "load_state_dict", lambda self, _: torch.save(self.state_dict(), path)
        )
        FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    return path


def test_a_local_file_gives_features_and_a_name_that_tells_it_is_not_the_published_one(weights: Path) -> None:
    space = load_feature_space("inception", weights=str(weights))
    assert space.name == f"inception-{space.sha256[:8]}"
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    extracted = space.extract(images)
    assert extracted.shape == (3, 2048)
    assert torch.equal(extracted, space.extract(images.expand(-1, 3, -1, -1)))  # grey is repeated
    assert not any(parameter.requires_grad for parameter in space.network.parameters())
    assert frechet_distance(extracted, Moments.of(extracted)) == pytest.approx(0, abs=1e-2)


def test_the_published_weights_are_known_by_their_hash(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = load_feature_space("inception", weights=str(weights)).sha256
    monkeypatch.setattr(features, "INCEPTION_SHA256_PREFIX", sha256[:8])
    assert load_feature_space("inception", weights=str(weights)).name == "inception"


def test_without_weights_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(features, "URL_INCEPTION_V3", "http://127.0.0.1:9/weights-6726825d.pth")
    with pytest.raises(
        ValueError, match="metrics=inception: its weights are not at .* could not be downloaded"
    ) as error:
        load_feature_space("inception")
    assert "metrics.weights=" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_downloaded_file_of_other_content_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(features, "URL_INCEPTION_V3", weights.as_uri())
    with warnings.catch_warnings(), pytest.raises(ValueError, match="invalid hash value"):
        warnings.simplefilter("ignore")
        load_feature_space("inception")
    assert not list((tmp_path / "checkpoints").iterdir())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("executed"),))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["missing", "text", "pickle", "other tensors"])
def test_files_that_are_not_weights(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    if kind == "text":
        path.write_text("not weights")
    elif kind == "pickle":
        torch.save(Evil(), path)
    elif kind == "other tensors":
        torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"metrics.weights=.*weights.pth: not") as error:
        load_feature_space("inception", weights=str(path))
    assert "\n" not in str(error.value)
    assert not Path("executed").exists()


def test_digits_takes_no_weights_and_unknown_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="metrics.weights=x: this space ships"):
        load_feature_space("digits", weights="x")
    with pytest.raises(ValueError, match="metrics.name=vgg: unknown; known: digits, .*, inception"):
        load_feature_space("vgg")


@pytest.mark.slow
def test_a_run_is_evaluated_with_inception(
    command: Callable[..., Result], workdir: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(name: str, root: Path, *, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = read_idx_files(name, root, split=split)
        return images[:20], labels[:20]

    monkeypatch.setitem(READERS, "idx", few)
    monkeypatch.setattr(frechet, "FEW", 2)
    trained = command("train", *TINY, "trainer.max_steps=1", "metrics=none")
    words = [f"run={printed_run(trained.out)}", "metrics=inception", f"metrics.weights={weights}", "num_samples=12"]
    result = command("evaluate", *words)
    assert result.code == 0, result.err
    (record,) = map(json.loads, Path(printed_run(trained.out), "metrics.jsonl").read_text().splitlines())
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record["metric"] == f"fid_inception-{sha256[:8]}_test_12"
    assert record["extractor_sha256"] == sha256
    assert set(record["measures"]) == {"fid", "kid", "precision", "recall", "density", "coverage"}  # no classifier
    assert record["value"] > record["halves"]["fid"] >= 0
    assert set(record["real"]) == set(record["measures"])


# --- judges


def test_every_space_that_ships_has_a_judge_of_another_make_which_knows_the_same_data() -> None:
    for record in (record for record in CATALOGUE.values() if record.space):
        space = load_feature_space(record.space)
        assert space.judges == JUDGES[record.space]
        assert f"{record.space}_residual" in space.judges
        for name in space.judges:
            judge = load_feature_space(name)
            assert (judge.name, judge.judges) == (name, ())
            assert judge.sha256 != space.sha256
            assert judged_by(name) == record.space
            assert data_sets_of(name) == data_sets_of(record.space)
    assert [judged_by(name) for name in ("digits", "fashion", "stacked", "inception")] == [None] * 4
    assert {name for judges in JUDGES.values() for name in judges} - {"own_residual"} < set(SPACES)


def test_the_judge_of_another_make_shares_no_layer_but_the_head_with_the_first() -> None:
    judge = ResidualClassifier()
    assert 0.2e6 < sum(parameter.numel() for parameter in judge.parameters()) < 0.5e6  # 2 MB in float32
    kinds = {type(layer) for layer in judge.modules()}
    assert torch.nn.SiLU in kinds
    assert not kinds & {torch.nn.ReLU, torch.nn.Dropout, torch.nn.Flatten}
    found = judge.eval().features(torch.rand(5, 1, 28, 28) * 2 - 1)
    assert found.shape == (5, judge.num_features)
    assert judge(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_features_of_a_judge_are_smooth_and_signed() -> None:
    images = torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name in ("digits_residual", "fashion_residual"):
        found = load_feature_space(name).extract(images)
        assert (found < 0).any()
        assert found.min() > -4 * 0.279  # of SiLU
        assert (found == 0).sum() == 0  # ReLU's are zero every other time
    stacked = load_feature_space("stacked_residual")
    found = stacked.extract(images[:6].view(2, 3, 28, 28))
    assert found.shape == (2, 3 * 96)
    digit = load_feature_space("digits_residual").extract(images[1:2])[0]
    torch.testing.assert_close(found[0, 96:192], digit, rtol=1e-4, atol=1e-4)
    logits = stacked.logits(found)
    assert logits is not None
    assert logits.shape == (2, 1000)
