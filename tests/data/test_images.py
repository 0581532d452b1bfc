from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from dcgan.data.images import fit, grid, save_png, to_float, to_uint8, with_channels

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_survives_the_round_trip_and_the_ends_are_exact() -> None:
    assert torch.equal(to_uint8(to_float(LEVELS)), LEVELS)
    assert to_float(LEVELS)[[0, -1]].tolist() == [-1, 1]
    torch.testing.assert_close(to_float(LEVELS), LEVELS / 255 * 2 - 1, rtol=0, atol=1e-6)


def test_quantising_rounds_to_nearest_and_clips() -> None:
    values = torch.tensor([-3.0, -1 + 0.49 / 127.5, -1 + 0.51 / 127.5, 3.0])
    assert to_uint8(values).tolist() == [0, 0, 1, 255]


def test_small_differences_of_size_are_padded_with_black_and_cropped_back() -> None:
    images = torch.randint(1, 256, (2, 1, 28, 28), dtype=torch.uint8)
    padded = fit(images, resolution=32)
    assert padded.shape == (2, 1, 32, 32)
    assert padded.dtype == torch.uint8
    assert torch.equal(padded[:, :, 2:-2, 2:-2], images)
    assert padded[:, :, :2].sum() == 0
    assert torch.equal(fit(padded, resolution=28), images)


def test_large_differences_are_resized() -> None:
    flat = torch.full((1, 1, 28, 28), 77, dtype=torch.uint8)
    assert fit(flat, resolution=64).unique().tolist() == [77]


def test_channels() -> None:
    grey = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    colour = with_channels(grey, channels=3)
    assert colour.shape == (2, 3, 4, 4)
    assert torch.equal(with_channels(colour, channels=1), grey)
    with pytest.raises(ValueError, match="2 channels and cannot become 3"):
        with_channels(torch.zeros(1, 2, 4, 4, dtype=torch.uint8), channels=3)


def test_grid_and_png_hold_the_pixels(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    save_png(grid(images), tmp_path / "folder" / "grid.png")
    picture = pil_to_tensor(Image.open(tmp_path / "folder" / "grid.png"))
    assert picture.shape == (3, 62, 62)
    assert torch.equal(picture[:1, 2:30, 2:30], images[0])
    assert torch.equal(picture[:1, 32:60, 32:60], images[3])
