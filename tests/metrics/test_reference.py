"""What is kept of real images: whoever may read it reads it, and nobody's run ends because of it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dcgan.features.spaces import FeatureSpace
from dcgan.metrics.reference import reference_of

PIXELS = FeatureSpace("pixels", "0" * 64, nn.Flatten())
IMAGES = torch.randint(0, 256, (10, 1, 2, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_what_is_kept_is_for_everybody_whom_the_umask_lets_in(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        reference_of(PIXELS, IMAGES, with_features=True, cache=tmp_path / "statistics")
        (kept,) = (tmp_path / "statistics").iterdir()
        assert oct(kept.stat().st_mode & 0o777) == "0o644"
    finally:
        os.umask(before)


OTHER_FORMATS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "no features": lambda kept: {name: value for name, value in kept.items() if name != "features"},
    "fewer features": lambda kept: {**kept, "features": kept["features"][:5]},
    "other names": lambda kept: {"mean": kept["total"]},
    "mean and covariance": lambda kept: {**kept, "outer": kept["outer"][:3]},
    "a scalar": lambda kept: {**kept, "total": torch.tensor(1.0)},
    "another number": lambda kept: {**kept, "num_images": torch.tensor(11)},
    "numbers": lambda kept: {**kept, "num_images": torch.tensor([10, 10])},
    "classes": lambda kept: {**kept, "class_counts": torch.ones(10)},
}


@pytest.mark.parametrize("change", OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_what_was_kept_in_another_format_is_computed_anew(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], tmp_path: Path
) -> None:
    first = reference_of(PIXELS, IMAGES, with_features=True, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    save_file(change(load_file(kept)), kept)
    again = reference_of(PIXELS, IMAGES, with_features=True, cache=tmp_path)
    assert all(map(torch.equal, first.moments, again.moments))
    assert kept.read_bytes() == whole


def test_what_another_person_kept_for_themselves_is_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their folder may not be written to either: one note, and the same numbers."""
    first = reference_of(PIXELS, IMAGES, with_features=True, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()

    def denied(path: Any, *rest: Any, **more: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.setattr(Path, "write_bytes", denied)
    with pytest.warns(UserWarning, match="could not be kept") as noted:
        again = reference_of(PIXELS, IMAGES, with_features=True, cache=tmp_path)
    monkeypatch.undo()
    assert len(noted) == 1
    assert str(kept) in str(noted[0].message)  # not a temporary name
    assert all(map(torch.equal, first.moments, again.moments))
    assert kept.read_bytes() == whole
