"""Run folders as training leaves them, without the training."""

import copy
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from conftest import config
from PIL import Image

STEPS = (500, 1000, 1500, 2000)
SHARED = {"optimizer.lr": ("optimizer.generator.lr", "optimizer.discriminator.lr")}  # keys that follow another
EXTRACTORS = ("digits", "digits1", "digits_residual")


@cache
def _composed(*words: str) -> dict[str, Any]:
    return asdict(config("metrics.num_samples=2000", f"trainer.max_steps={STEPS[-1]}", *words))


def configuration(settings: Mapping[str, Any], *, seed: int = 0, words: Sequence[str] = ()) -> dict[str, Any]:
    """A complete one, with ``settings`` put in by their dotted keys."""
    values = copy.deepcopy(_composed(*words))
    for key, value in settings.items():
        for one in (key, *SHARED.get(key, ())):
            *groups, last = one.split(".")
            node = values
            for group in groups:
                node = node[group]
            node[last] = value
    return values | {"seed": seed}


def record(value: float | None, *, step: int, split: str = "train", extractor: str = "digits", **more: Any) -> Any:
    name = f"fid_{extractor}_{split}_{'2k' if split == 'train' else '10k'}"
    measures = {"fid": value, "confident": 0.9, "modes": 10, **more.pop("measures", {})}
    return {
        "step": step,
        "metric": name,
        "value": value,
        "measures": {key: {"value": number} for key, number in measures.items()},
        "extractor": extractor,
        "extractor_sha256": extractor,
        "data": "mnist",
        "resolution": 28,
        "channels": 1,
        "split": split,
        "num_real": 60_000 if split == "train" else 10_000,
        **more,
    }


def write_run(
    folder: Path,
    settings: Mapping[str, Any],
    *,
    fid: float | None,
    seed: int = 0,
    state: str = "finished",
    error: str = "",
    tests: Mapping[str, float] | None = None,
    words: Sequence[str] = (),
    steps: Sequence[int] = STEPS,
    measures: Mapping[str, float] | None = None,
    draw: Callable[[int, int, float], np.ndarray] | None = None,
) -> Path:
    """One run that ends at ``fid``, over a curve that falls to it; ``tests``: its FIDs by extractor."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(settings, seed=seed, words=words)))
    (folder / "status.json").write_text(json.dumps({"state": state, **({"error": error} if error else {})}))
    typed = [f"{key.removesuffix('.name')}={value}" for key, value in settings.items()]
    line = {"command": ["python", "-m", "dcgan.train", *typed, f"seed={seed}"], "started": "2026-11-29T12:00:00+00:00"}
    (folder / "provenance.jsonl").write_text(
        json.dumps(line | {"git_commit": "c0ffee", "machine": {"cpu": "x"}}) + "\n"
    )
    lines = []
    rng = np.random.default_rng([seed, len(folder.name)])
    for step in steps if fid is not None else steps[:1]:
        left = (1 - step / steps[-1]) if fid is not None else 1
        value = (fid or 5) * float(np.exp(3 * left + 0.1 * rng.normal() * left))
        lines.append(record(value, step=step, cpu_seconds=step / 10, measures=measures or {}))
    for extractor, value in (tests or {}).items():
        more = {"precision": 0.8, "recall": 0.7, "coverage": 0.6}
        lines.append(record(value, step=steps[-1], split="test", extractor=extractor, checkpoint="best", measures=more))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (folder / "samples").mkdir()
    for step in (0, *(steps if fid is not None else ())):
        share = step / steps[-1]
        image = draw(seed, 16, share) if draw else rng.integers(0, 255, (122, 122), dtype=np.uint8)
        Image.fromarray(image).save(folder / "samples" / f"step_{step:06d}.png")
    return folder


def write_sweep(
    folder: Path,
    axes: Mapping[str, Sequence[Any]],
    fid: Callable[..., float | None],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    **more: Any,
) -> Path:
    """A run for each combination of ``axes`` and each seed; ``fid`` is given the values, then the seed."""
    for values in itertools.product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        for seed in seeds:
            name = re.sub(r"[^\w.-]+", "", "_".join([*map(str, values), f"seed-{seed}"]))[-80:]
            found = fid(*values, seed)
            ended = {"state": "finished"} if found is not None else {"state": "failed", "error": DIVERGED}
            write_run(folder / name, settings, fid=found, seed=seed, **ended, **more)
    return folder


DIVERGED = "NotFiniteError: step 700: the generator's loss is not finite; lower optimizer.generator.lr"


def write_generators(
    folder: Path, *words: str, steps: Sequence[int] = (0,), classes: Sequence[str] = (), contrast: float = 1
) -> Path:
    """A run's generators as its checkpoints hold them, without the training: the last, and those of ``steps``.

    Each has weights of its own. ``classes``: the run was of a folder of one's own images with these classes.
    ``contrast``: what weights are multiplied by; untrained as they are, all images are nearly the same grey.
    """
    import torch

    from dcgan.runs.load import save_generator
    from dcgan.training.build import build_networks

    made = config(*words)
    if classes:
        made = replace(made, data=replace(made.data, classes=list(classes)))
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    for number, step in enumerate([*steps, steps[-1]]):
        name = "last" if number == len(steps) else f"step_{step:06d}"
        generator, _ = build_networks(replace(made, seed=step + 1))
        for weight in (one for one in generator.parameters() if one.ndim > 1):
            weight.data.mul_(contrast)
        raw, _ = build_networks(replace(made, seed=step + 2))
        state = {f"generator.{key}": value for key, value in raw.state_dict().items()}
        save_generator(generator, checkpoints / f"{name}.generator.safetensors", config=asdict(made), step=step)
        torch.save({"config": asdict(made), "state_dict": state}, checkpoints / f"{name}.ckpt")
    (folder / "config.yaml").write_text(yaml.safe_dump(asdict(made)))
    return folder
