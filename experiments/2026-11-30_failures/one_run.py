"""One run, looked at densely: a trace of everything that is known of it.

A trace holds lines: every look (``signals``), every logged scalar (``scalars``), every evaluation of the live generator
(``evaluation``), what the baselines need (``singular``, ``gap``), the real images' own numbers (``reference``) and some
samples (``picture``).
"""

import base64
import io
import json
import lzma
import math
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from bugs import broken
from cases import BASE, Case
from gap import duality_gap
from lightning import Callback
from PIL import Image
from torch import Tensor, nn

from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.data.images import grid, to_uint8
from dcgan.data.latents import sample_latents
from dcgan.data.readers import read
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.metrics.classes import histogram
from dcgan.metrics.frechet import Moments, frechet_distance
from dcgan.metrics.manifold import Balls, manifold
from dcgan.metrics.reference import reference_of, statistics_folder, subset
from dcgan.models.base import class_of_samples
from dcgan.runs.called import nothing_left_behind
from dcgan.runs.dashboard import Dashboard
from dcgan.runs.health import NotFiniteError
from dcgan.runs.run import Run, build_run, fit
from dcgan.runs.samples import SampleGrids
from dcgan.runs.signals import Probe, _without_trace
from dcgan.shell.composed import composed

LOOK_EVERY = 50
GAPS = 3  # in a run
SAMPLES, REAL = 1000, 2000
SHOWN = 36


class Judge:
    """Scores the live generator against all of a data set's training images, and those that it was trained on."""

    def __init__(self, run: Run, root: Path) -> None:
        name = "fashion_mnist" if run.config.data.name == "fashion_mnist" else "mnist"
        self.space = space_of(name)
        images = read(name, root, split="train")[0]
        self.real = reference_of(self.space, images, with_features=False, cache=statistics_folder(root))
        some = self.space.extract(images[subset(len(images), REAL)])
        self.balls = Balls.of(some)
        own = run.data.split("train").images
        few = len(own) < 10_000
        self.own = Moments.of(self.space.extract(own)) if few else None  # the few images of a memoriser
        generator = run.gan.generator
        self.latents = sample_latents(seed=99, n=SAMPLES, latent_dim=generator.latent_dim)
        self.labels = class_of_samples(SAMPLES, num_classes=generator.num_classes)

    def draw(self, run: Run) -> Tensor:
        """As it draws in training, batches of 250."""
        labels = self.labels.split(250) if self.labels is not None else [None] * 4
        with torch.no_grad(), _without_trace(run.gan, 0):
            parts = [run.gan.generator(one, label) for one, label in zip(self.latents.split(250), labels, strict=True)]
        return torch.cat(parts)

    def score(self, run: Run) -> dict[str, Any]:
        images = self.draw(run)
        if not images.isfinite().all():
            return {"fid": math.nan, "classes": [0] * 10, "coverage": 0.0, "recall": 0.0, "precision": 0.0}
        features = self.space.extract(to_uint8(images))
        logits = self.space.logits(features)
        near = manifold(Balls.of(features), self.balls)
        found = {name: float(getattr(near, name).double().mean()) for name in ("precision", "recall", "coverage")}
        found |= {"fid": frechet_distance(features, self.real.moments), "classes": histogram(logits).tolist()}
        if self.own is not None:
            found["fid_own"] = frechet_distance(features, self.own)
        if self.labels is not None:
            found["obeyed"] = float((logits.argmax(1) == self.labels).float().mean())
        return found


_SPACES: dict[str, FeatureSpace] = {}


def space_of(data: str) -> FeatureSpace:
    name = {"fashion_mnist": "fashion"}.get(data, "digits")
    _SPACES[name] = _SPACES.get(name) or load_feature_space(name)
    return _SPACES[name]


class Trace(Callback):
    """Looks on and writes down; before the run's own callbacks, so that it sees what stops them."""

    def __init__(self, run: Run, case: Case, root: Path) -> None:
        self.run, self.case = run, case
        self.dashboard = next(one for one in run.trainer.callbacks if isinstance(one, Dashboard))
        space = space_of(run.config.data.name)
        self.probe = Probe(run.data, seed=run.config.seed, pack=run.gan.discriminator.pack, space=space)
        self.judge = Judge(run, root)
        self.lines: list[dict[str, Any]] = []
        self.seconds = {"looks": 0.0, "evaluations": 0.0, "gap": 0.0, "singular": 0.0}
        self.pictures: list[tuple[int, Tensor]] = []
        self._vectors: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if (trainer.global_step + 1) % LOOK_EVERY == 0:
            self.probe.before_update(trainer, optimizer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        step = trainer.global_step
        self.probe.after_step(outputs)
        if step % LOOK_EVERY == 0:
            looked = self._timed("looks", lambda: self.probe.look(trainer, pl_module))
            self._write("signals", {name: value for name, value in asdict(looked).items() if name != "fid"})
            self._write("singular", {"step": step, **self._timed("singular", lambda: self._singular(pl_module))})
        if step % self.case.evaluate_every == 0:
            self._write("evaluation", {"step": step, **self._timed("evaluations", lambda: self.judge.score(self.run))})
        if step % (trainer.max_steps // GAPS) == 0:
            self._write("gap", {"step": step, **self._timed("gap", lambda: duality_gap(self.run))})
        if step in (trainer.max_steps // 4, trainer.max_steps // 2, trainer.max_steps):
            self.pictures.append((step, self._samples()))

    def scalars(self, trainer: Any) -> None:
        """After the run's own dashboard."""
        if trainer.global_step % LOOK_EVERY == 0:
            self._write("scalars", {"step": trainer.global_step, **self.dashboard.latest})

    def _samples(self) -> Tensor:
        images = self.judge.draw(self.run)[:SHOWN].nan_to_num(0.0)
        return grid(to_uint8(images))

    def _timed(self, what: str, of: Any) -> Any:
        started = time.process_time()
        found = of()
        self.seconds[what] += time.process_time() - started
        return found

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        self.lines.append({"kind": kind, **{name: _rounded(value) for name, value in values.items()}})

    @torch.no_grad()
    def _singular(self, gan: Any) -> dict[str, list[float]]:
        """The leading singular value of each weight matrix, by power iteration from the last one's vector."""
        found = {}
        for side, network in (("discriminator", gan.discriminator), ("generator", gan.generator)):
            weights = {name: p.flatten(1) for name, p in network.named_parameters() if p.ndim > 1}
            found[side] = [self._leading(f"{side}.{name}", weight) for name, weight in weights.items()]
        return found

    def _leading(self, name: str, weight: Tensor) -> float:
        first = name not in self._vectors
        start = (
            torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(0)) if first else self._vectors[name]
        )
        for _ in range(20 if first else 3):
            start = nn.functional.normalize(weight.T @ (weight @ start), dim=0)
        self._vectors[name] = start
        return float((weight @ start).norm())


class Scalars(Callback):
    """Asked after the dashboard."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.trace.scalars(trainer)


def _rounded(value: Any) -> Any:
    """Five digits; what is not finite as a word that JSON has."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value


def record(case: Case, root: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train one case.

    Returns:
        Its line for ``results.jsonl``, and its trace.
    """
    words = [*BASE, *case.words, f"seed={case.seed}", f"data.root={root}"]
    started, cpu = time.perf_counter(), time.process_time()
    with nothing_left_behind(), broken(case.bug), tempfile.TemporaryDirectory() as folder:
        config = check(composed(words, entry="train"), TrainConfig, typed=words)
        run = build_run(config, Path(folder) / "run")
        trace = Trace(run, case, root)
        callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
        callbacks[:] = [trace, *(one for one in callbacks if not isinstance(one, SampleGrids))]
        callbacks.append(Scalars(trace))
        error = None
        try:
            fit(run)
        except NotFiniteError as caught:
            error = str(caught).partition(";")[0]
    step = run.trainer.global_step
    if not trace.pictures or trace.pictures[-1][0] != step:
        trace.pictures.append((step, trace._samples()))
    trace._write("reference", asdict(trace.probe.reference))
    for at, picture in trace.pictures:
        trace._write("picture", {"step": at, "png": _png(picture)})
    result = {
        **asdict(case),
        "id": case.id,
        "steps": step,
        "error": error,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "cpu_of": {name: round(value, 2) for name, value in trace.seconds.items()},
    }
    return result, trace.lines


def _png(picture: Tensor) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture[0].numpy()).quantize(16).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def write_trace(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))


def read_trace(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lzma.decompress(path.read_bytes()).decode().splitlines()]
