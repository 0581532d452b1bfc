"""How good a run's samples are while it trains."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only

from dcgan.config.catalogue import OWN
from dcgan.config.options import Metrics
from dcgan.config.schema import TrainConfig
from dcgan.data.module import ImageData
from dcgan.features.own import own_space
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.metrics.floor import floor_of, in_words
from dcgan.metrics.measure import monitor, record, values
from dcgan.metrics.protocol import append_record, protocol
from dcgan.metrics.reference import Reference, reference_of, statistics_folder
from dcgan.runs.dashboard import log_scalars
from dcgan.runs.loggers import EVALUATION
from dcgan.runs.stop import interrupted
from dcgan.training.gan import GAN

Judge = Callable[[int, float], bool]  # of a step and its FID: whether the run is worth its further steps


class Evaluation(Callback):
    """The FID of the averaged generator every ``every`` steps and at the end, against the *training* split.

    From a classifier come three more: the KL of the classes from the data's, how many occur (modes), and the share of
    samples that it is sure of.

    Checkpoints are chosen on it; the reported numbers come from the test split, by ``dcgan.evaluate``.
    Draws from streams of its own, without gradients: an evaluated run ends with the weights of one that is not. With
    each stand the CPU-seconds that the training before it took of its process, over all resumes, evaluations left out.
    """

    def __init__(
        self,
        path: Path,
        *,
        space: FeatureSpace,
        real: Reference,
        data: ImageData,
        every: int,
        num_samples: int,
        seed: int,
    ) -> None:
        self.path, self.space, self.real, self.data = path, space, real, data
        self.every, self.num_samples, self.seed = every, num_samples, seed
        self.name = protocol(space.name, "train", num_samples)
        self.latest: float | None = None
        self.best: float | None = None
        self.best_step = -1
        self.judge: Judge | None = None  # a search's, which prunes
        self.pruned = False
        self._evaluated, self._improved = -1, False
        self._before, self._started = 0.0, time.process_time()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {
            "metric": self.name,
            "best": self.best,
            "best_step": self.best_step,
            "latest": self.latest,
            "evaluated": self._evaluated,
            "cpu_seconds": self._cpu_seconds(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.best_step, self.latest = (state_dict[key] for key in ("best", "best_step", "latest"))
        self._evaluated = state_dict.get("evaluated", -1)
        self._before = state_dict.get("cpu_seconds", 0.0)
        before = state_dict.get("metric", self.name)
        if before != self.name:  # such as another machine's own extractor: its numbers are not these
            print(f"note: {before} was measured before, now {self.name}: the best so far is forgotten", file=sys.stderr)
            self.best, self.best_step, self.latest, self._evaluated = None, -1, None, -1

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Start the clock."""
        self._started = time.process_time()

    def _cpu_seconds(self) -> float:
        return self._before + time.process_time() - self._started

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:  # type: ignore[override]
        """Evaluate where an interval ends, and at the last step."""
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            self._evaluate(trainer, pl_module)
            self._prune(trainer)

    def _prune(self, trainer: Trainer) -> None:
        """Stop a run after this step, saved as any other, if it is not worth its further ones."""
        if self.judge is not None and self.latest is not None and trainer.global_step != trainer.max_steps:
            self.pruned = not self.judge(trainer.global_step, self.latest)
            trainer.should_stop = trainer.should_stop or self.pruned

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Evaluate what training ended with otherwise, by epochs or by time, unless somebody waits for it to stop."""
        if self._evaluated != trainer.global_step and not interrupted(trainer):
            self._evaluate(trainer, pl_module)

    def take_improved(self) -> bool:
        """Whether an evaluation since the last call was the best so far."""
        improved, self._improved = self._improved, False
        return improved

    def _evaluate(self, trainer: Trainer, gan: GAN) -> None:
        self._evaluated = trainer.global_step
        cpu_seconds = self._cpu_seconds()
        gan.ema.fitted()  # by every process: with trainer.sync_batchnorm they wait for each other there
        scores = self._score(gan, cpu_seconds) if trainer.is_global_zero else {}
        self.name, found = trainer.strategy.broadcast((self.name, scores))  # an extractor of one's own is by machine
        self.latest = value = found[self.name]
        if self.best is None or value < self.best:
            self.best, self.best_step, self._improved = value, trainer.global_step, True
        found = {**found, f"best/{self.name}": self.best}
        log_scalars(trainer, {f"{EVALUATION}/{name}": value for name, value in found.items()})
        self._started += self._cpu_seconds() - cpu_seconds

    def _score(self, gan: GAN, cpu_seconds: float) -> dict[str, float]:
        started = time.perf_counter()
        features = self.space.extract(gan.ema.fitted().sample(n=self.num_samples, seed=self.seed), device=gan.device)
        found = monitor(features, space=self.space, real=self.real)
        line = record(
            found,
            features,
            space=self.space,
            real=self.real,
            data=self.data,
            split="train",
            seed=self.seed,
            started=started,
        )
        append_record(self.path, {"step": self._evaluated, "cpu_seconds": round(cpu_seconds, 2), **line})
        names = {name: protocol(self.space.name, "train", self.num_samples, metric=name) for name in found}
        return {names[name]: value for name, value in values(found).items()}


def build_evaluation(config: TrainConfig, folder: Path, data: ImageData) -> Evaluation | None:
    """The FID against the training split, or nothing with ``metrics=none``."""
    metrics = config.metrics
    if metrics.name == "none":
        return None
    assert isinstance(metrics, Metrics)
    weights = getattr(metrics, "weights", None)
    space = own_space(data) if metrics.name == OWN else load_feature_space(metrics.name, weights=weights)
    images, cache = data.split("train").images, statistics_folder(data.root)
    real = reference_of(space, images, with_features=False, cache=cache)
    if metrics.name == OWN:
        _say_floor(real, space=space, num_samples=metrics.num_samples)
    path = folder / "metrics.jsonl"
    return Evaluation(
        path,
        space=space,
        real=real,
        data=data,
        every=metrics.every,
        num_samples=metrics.num_samples,
        seed=config.seed,
    )


@rank_zero_only
def _say_floor(real: Reference, *, space: FeatureSpace, num_samples: int) -> None:
    """What real images score in a space that nobody knows yet, and whether so few samples are enough."""
    floor = floor_of(real)
    print(f"note: {space.name}: {in_words(floor, num_samples, int(real.moments.num_images))}", file=sys.stderr)
