"""What is installed is what was tested."""

import tomllib
from pathlib import Path

from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def test_the_next_lightning_is_not_installed_unseen() -> None:
    """``GAN._update`` sets private attributes of LightningOptimizer, ``build_trainer`` one of its loop."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert "_on_before_step" in (ROOT / "dcgan" / "training" / "gan.py").read_text()
    assert callable(_TrainingEpochLoop._broadcast_sigterm_tensor)
    assert needed["lightning"].contains(pinned["lightning"])
    assert not needed["lightning"].contains("2.7.0")
    for name, specifier in needed.items():
        assert name not in pinned or specifier.contains(pinned[name]), name
