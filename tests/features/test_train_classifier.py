import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dcgan.data.readers import READERS, read_idx_files
from dcgan.features.classifier import Classifier, random_affine
from dcgan.features.residual import ResidualClassifier, random_shift_and_rotation
from dcgan.features.train_classifier import main


@pytest.mark.parametrize("augmentation", [random_affine, random_shift_and_rotation])
def test_the_augmentation_moves_digits_a_little(augmentation: Any) -> None:
    images = torch.full((64, 1, 28, 28), -1.0)
    images[:, :, 12:16, 12:16] = 1
    moved = augmentation(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert (moved.min(), moved.max()) >= (-1, -1)
    brightest = moved.flatten(1).argmax(1)
    assert len(brightest.unique()) > 10  # each by its own draw
    assert ((moved > 0).sum((1, 2, 3)) - 16).abs().max() <= 12  # and none lost


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(name: str, root: Path, *, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = read_idx_files(name, root, split=split)
        return images[:2000], labels[:2000]

    monkeypatch.setitem(READERS, "idx", few)


def test_the_command_trains_writes_and_never_overwrites(
    few_images: None,
    mnist_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "digits.safetensors"
    monkeypatch.setattr(sys, "argv", ["x", "--root", str(mnist_root), "--out", str(out), "--epochs", "3"])
    main()
    log = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3]
    assert log[-1]["test_accuracy"] > 0.6  # chance is 0.1
    Classifier().load_state_dict(load_file(out))
    out.unlink()
    with pytest.raises(SystemExit):
        main()
    assert "digits.jsonl exists" in capsys.readouterr().err


def test_a_judge_is_of_another_make_and_comes_out_of_its_command_again(
    few_images: None, mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.safetensors"
        words = ["x", "--root", str(mnist_root), "--kind", "residual", "--out", str(out), "--epochs", "1"]
        monkeypatch.setattr(sys, "argv", words)
        main()
        log = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
        assert [line["kind"] for line in log] == ["residual"]
        assert log[0]["train_loss"] < 2.2  # chance is 2.3
        contents.append(out.read_bytes())
    assert contents[0] == contents[1]
    ResidualClassifier().load_state_dict(load_file(out))
    with pytest.raises(RuntimeError, match="Missing key"):
        Classifier().load_state_dict(load_file(out))
