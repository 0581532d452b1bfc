"""``format=web``: a page that draws with a generator, for any web server that hands out files."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from dcgan.models.base import Generator
from dcgan.runs.load import Loaded
from dcgan.sharing.directions import directions
from dcgan.sharing.draw import class_names
from dcgan.sharing.forms import FORMS, inputs_of, write_checked
from dcgan.sharing.runtime import FILES, copy_runtime
from dcgan.shell.writing import to_json

TEMPLATES = ("index.html", "style.css", "app.js", "check.js", "generator.js", "latents.js")
GENERATOR, MODEL, CHECK = FORMS["onnx"].file, "model.json", "check.json"
PARTS = {*TEMPLATES, *FILES, GENERATOR, MODEL, CHECK}
SLIDERS = 6  # directions
CHECKED = 16  # latents whose images the page holds against Python's


def write_page(loaded: Loaded, folder: Path, *, root: Path, others: Mapping[int, str] | None = None) -> str:
    """Write the page into ``folder``; return how well its generator agrees with this one, in words.

    Args:
        root: where downloads are kept.
        others: files with the generators of other steps, which the page has a slider for.

    Raises:
        FileNotFoundError: onnxruntime-web could not be had.
        ValueError: the exported file draws other images than the generator.
    """
    copy_runtime(folder, root=root)
    said = write_checked(loaded, folder / GENERATOR, form="onnx")
    for name in TEMPLATES:
        (folder / name).write_bytes((files("dcgan.sharing") / "templates" / "web" / name).read_bytes())
    (folder / MODEL).write_text(to_json(facts(loaded, others or {})), encoding="utf-8")
    (folder / CHECK).write_text(to_json(checked(loaded.generator)), encoding="utf-8")
    return said


def facts(loaded: Loaded, others: Mapping[int, str]) -> dict[str, Any]:
    """What the page knows of its generator."""
    generator, data = loaded.generator, loaded.config.data
    steps = {**others, loaded.step: GENERATOR}
    return {
        "name": loaded.config.name,
        "data": data.name,
        "model": loaded.config.model.name,
        "step": loaded.step,
        "latent_dim": generator.latent_dim,
        "channels": data.channels,
        "resolution": data.resolution,
        "classes": class_names(loaded.config, num_classes=generator.num_classes),
        "directions": directions(generator, SLIDERS).tolist(),
        "steps": [{"step": step, "file": steps[step]} for step in sorted(steps)],
    }


def checked(generator: Generator) -> dict[str, Any]:
    """Latents, labels where it takes some, and the pixels that Python drew of them: uint8 (N, C, H, W) in base64."""
    latents, *labels = inputs_of(generator, CHECKED)
    pixels = generator.draw(latents, *labels)
    return {
        "latents": latents.tolist(),
        "labels": labels[0].tolist() if labels else None,
        "pixels": base64.b64encode(pixels.numpy().tobytes()).decode(),
    }
