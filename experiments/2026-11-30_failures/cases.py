"""The runs of the benchmark: what is typed, or what mistake is made, and which states name it rightly."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest

BASE = [
    *("metrics=none", "logger=none", "trainer.gpus=0", "trainer.enable_progress_bar=false", "ema.half_life=0"),
    *("samples.every=100000", "checkpoints.every=100000", "trainer.enable_checkpointing=false"),
    *("trainer.log_every_n_steps=50", "trainer.precision=32-true", "health=off"),
]
ARCHITECTURES = {
    "dcgan": ["model.width=8", "model.dense_units=128", "data.batch_size=64", "trainer.max_steps=600"],
    "mlp": [
        *("model=mlp", "model.width=64", "data.batch_size=64", "trainer.max_steps=1000"),
        "optimizer.schedule=constant",
    ],
    "resnet": ["model=resnet", "model.width=6", "data.batch_size=16", "trainer.max_steps=500"],
}
# Of FRESH alone.
DEEP = ["model=dcgan", "model.width=8", "model.dense_units=null", "model.base_convs=1", "model.upsample=pixel_shuffle"]
ARCHITECTURES["deep"] = [*DEEP, "model.init=orthogonal", "data.batch_size=64", "trainer.max_steps=600"]
EVALUATE_EVERY = {"dcgan": 50, "mlp": 100, "resnet": 50, "deep": 50}
FEW = "data=folder data.folder=few.npz data.resolution=28 data.channels=1"  # 200 images of MNIST, made by run.py


@dataclass(frozen=True)
class Case:
    """One run. ``cause`` is empty for one that is expected to be healthy."""

    cause: str
    architecture: str
    variant: str
    words: list[str] = field(default_factory=list)
    bug: str | None = None
    seed: int = 0

    @property
    def id(self) -> str:
        parts = [self.cause or "healthy", self.architecture, self.variant, str(self.seed)]
        return re.sub(r"[^a-z0-9_.]+", "-", "_".join(part for part in parts if part).lower())

    @property
    def evaluate_every(self) -> int:
        return EVALUATE_EVERY[self.architecture]


@dataclass(frozen=True)
class Cause:
    """A way to fail.

    Args:
        states: of the monitor that name it rightly, the best one first; written down before it was run.
        ways: words that a person could have typed, or ``bug:`` and its name; by name of the variant.
    """

    states: tuple[str, ...]
    ways: dict[str, str]
    architectures: tuple[str, ...] = ("dcgan", "mlp", "resnet")  # of ``CAUSES``


WON, BLIND = "discriminator_won", "discriminator_blind"
CLASSES, SAMPLES = "class_collapse", "sample_collapse"
DIVERGING, OSCILLATING, MEMORISING, NOT_LEARNING = "diverging", "oscillating", "memorising", "not_learning"

CAUSES: dict[str, Cause] = {
    "D too strong": Cause(
        (WON, NOT_LEARNING),
        {
            "g rate 1e-6": "optimizer.generator.lr=1e-6",
            "minimax, 5 updates": "loss=minimax d_steps=5 optimizer.generator.lr=2e-5",
        },
    ),
    "D too weak": Cause(
        (BLIND, CLASSES, SAMPLES),
        {
            "d rate 1e-6": "optimizer.discriminator.lr=1e-6",
            "d rate 2e-5": "optimizer.discriminator.lr=2e-5",
        },
    ),
    "G's rate too high": Cause(
        (DIVERGING, OSCILLATING, CLASSES, SAMPLES, WON),
        {"0.1": "optimizer.generator.lr=0.1", "0.03": "optimizer.generator.lr=0.03"},
    ),
    "collapse to few classes": Cause(
        (CLASSES, SAMPLES, OSCILLATING),
        {
            "d rate a tenth": "optimizer.generator.lr=2e-3 optimizer.discriminator.lr=2e-4",
            "d width 1": "model.discriminator.width=1 optimizer.generator.lr=4e-3",
        },
    ),
    "collapse within classes": Cause(
        (SAMPLES,),
        {
            "latent_dim 1": "model.conditional=true model.latent_dim=1",
            "latents scaled away": "model.conditional=true bug:latents scaled away",
        },
    ),
    "oscillation": Cause(
        (OSCILLATING, DIVERGING, WON, CLASSES, SAMPLES),
        {
            "momentum 0.95": "optimizer.betas=[0.95,0.999] optimizer.lr=1e-2 optimizer.schedule=constant",
            "wgan, clip 1": "loss=wasserstein loss.weight_clip=1 optimizer.betas=[0.9,0.999]",
        },
    ),
    "not finite": Cause(
        (DIVERGING, WON),
        {
            "sgd, 30": "loss=least_squares optimizer=sgd optimizer.lr=30 optimizer.momentum=0.9",
            "wgan, clip 1000": "loss=wasserstein loss.weight_clip=1000 optimizer=sgd optimizer.lr=1 model.norm=none",
        },
    ),
    "dead activations": Cause(
        (BLIND, SAMPLES, CLASSES, NOT_LEARNING),
        {"in G": "model.norm=none bug:dead ReLU in G", "in D": "bug:dead ReLU in D"},
        ("dcgan", "mlp"),
    ),
    "memorising D": Cause(
        (MEMORISING, WON), {"200 images": FEW, "200 images, labels": f"{FEW} model.conditional=true"}
    ),
    "pixel range of real": Cause((WON, NOT_LEARNING), {"0..255": "bug:real in 0..255", "0..1": "bug:real in 0..1"}),
    "pixel range of fake": Cause((WON, NOT_LEARNING), {"0..1": "bug:fake in 0..1", "0..255": "bug:fake in 0..255"}),
    "labels shuffled": Cause((NOT_LEARNING,), {"": "model.conditional=true bug:labels shuffled"}),
    "a sign flipped": Cause(
        (WON, BLIND, DIVERGING, NOT_LEARNING), {"of G": "bug:sign of G's loss", "of D": "bug:sign of D's loss"}
    ),
    "batch norm of both": Cause(
        (NOT_LEARNING, WON, SAMPLES, CLASSES), {"": "model.discriminator.norm=batch bug:batch norm of both"}
    ),
    "precision too low": Cause(
        (NOT_LEARNING, BLIND, WON, DIVERGING),
        {"float8 weights": "bug:float8 weights", "bfloat16 weights": "optimizer.lr=2e-4 bug:bfloat16 weights"},
    ),
}

# Added when thresholds were fixed and the other half was judged: what fails after it has learned. It tuned nothing.
LATE: dict[str, Cause] = {
    "late: G's rate x 30": Cause((DIVERGING, OSCILLATING, CLASSES, SAMPLES, WON), {"": "bug:G's rate x 30 halfway"}),
    "late: D's rate x 30": Cause((WON, DIVERGING, OSCILLATING), {"": "bug:D's rate x 30 halfway"}),
    "late: D stops": Cause((BLIND, CLASSES, SAMPLES), {"": "bug:D stops halfway"}),
    "late: one class": Cause((CLASSES, SAMPLES), {"": "bug:only ones halfway"}),
    "late: G's rate x 1000": Cause(
        (DIVERGING, OSCILLATING, CLASSES, SAMPLES, WON), {"": "bug:G's rate x 1000 halfway"}
    ),
    "late: D's rate x 1000": Cause((WON, DIVERGING, OSCILLATING), {"": "bug:D's rate x 1000 halfway"}),
    "late: pixel range of real": Cause((WON, NOT_LEARNING), {"": "bug:real in 0..255 halfway"}),
    "late: pixels scrambled": Cause((NOT_LEARNING, WON, SAMPLES, CLASSES), {"": "bug:pixels scrambled halfway"}),
    "late: narrow latents": Cause((SAMPLES, CLASSES), {"": "bug:narrow latents halfway"}),
}

# Judged when the monitor was changed after the first judgement: every cause in another way, two new causes, another
# architecture, another seed. What names them rightly was written before they were run.
FRESH: dict[str, Cause] = {
    "fresh: D too strong": Cause((WON, NOT_LEARNING), {"": "loss=minimax optimizer.generator.lr=1e-5"}),
    "fresh: D too weak": Cause((BLIND, CLASSES, SAMPLES), {"": "model.discriminator.dropout=0.9"}),
    "fresh: G's rate too high": Cause(
        (DIVERGING, OSCILLATING, CLASSES, SAMPLES, WON), {"": "optimizer.generator.lr=0.3"}
    ),
    "fresh: collapse to few classes": Cause(
        (CLASSES, SAMPLES, OSCILLATING), {"": "model.discriminator.width=2 optimizer.generator.lr=3e-3"}
    ),
    "fresh: collapse within classes": Cause((SAMPLES,), {"": "model.conditional=true bug:one latent for a batch"}),
    "fresh: oscillation": Cause(
        (OSCILLATING, DIVERGING, WON, CLASSES, SAMPLES),
        {"": "optimizer=sgd optimizer.lr=0.1 optimizer.momentum=0.99 optimizer.schedule=constant"},
    ),
    "fresh: not finite": Cause((DIVERGING, WON), {"": "loss=least_squares optimizer=sgd optimizer.lr=1000"}),
    "fresh: dead activations in G": Cause((BLIND, SAMPLES, CLASSES, NOT_LEARNING, WON), {"": "bug:saturated tanh"}),
    "fresh: dead activations in D": Cause((BLIND, SAMPLES, CLASSES, NOT_LEARNING), {"": "bug:ReLU on D's logits"}),
    "fresh: memorising D": Cause((MEMORISING, WON), {"": f"{FEW} optimizer.discriminator.lr=2e-3"}),
    "fresh: pixel range of real": Cause((WON, NOT_LEARNING), {"": "bug:real in -1..0"}),
    "fresh: pixel range of fake": Cause((WON, NOT_LEARNING), {"": "bug:fake in -0.5..0.5"}),
    "fresh: labels at random": Cause((NOT_LEARNING,), {"": "model.conditional=true bug:labels at random"}),
    "fresh: a sign flipped": Cause(
        (WON, BLIND, DIVERGING, NOT_LEARNING), {"": "loss=hinge bug:sign of G's hinge loss"}
    ),
    "fresh: batch norm of both": Cause(
        (NOT_LEARNING, WON, SAMPLES, CLASSES),
        {"": "model.conditional=true model.discriminator.norm=batch bug:batch norm of both"},
    ),
    "fresh: precision too low": Cause((NOT_LEARNING, BLIND, WON, DIVERGING), {"": "bug:float8 weights, short"}),
    "fresh: no gradient for G": Cause((NOT_LEARNING, WON), {"": "bug:fakes detached"}),
    "fresh: rates too low": Cause((NOT_LEARNING,), {"": "optimizer.lr=1e-7"}),
}

HEALTHY: dict[str, dict[str, str]] = {
    "dcgan": {
        "default": "",
        "hinge": "loss=hinge",
        "least_squares": "loss=least_squares",
        "relativistic": "loss=relativistic",
        "relativistic_average": "loss=relativistic_average",
        "wgan_gp": "loss=wasserstein penalty=wgan_gp model.discriminator.norm=layer",
        "r1": "penalty=r1 model.discriminator.norm=none",
        "r1 every 4": "penalty=r1 penalty.every=4 model.discriminator.norm=layer",
        "dragan": "penalty=dragan model.discriminator.norm=layer",
        "projection": "model.conditional=true",
        "auxiliary": "model.conditional=true model.discriminator.conditioning=auxiliary",
        "conditional norm": "model.conditional=true model.generator.conditioning=norm",
        "spectral hinge": "loss=hinge model.discriminator.norm=spectral",
        "group": "model.norm=group",
        "layer": "model.discriminator.norm=layer",
        "adamw": "optimizer=adamw optimizer.lr=2e-3",
        "rmsprop": "optimizer=rmsprop optimizer.lr=1e-3",
        "cosine": "optimizer.schedule=cosine optimizer.warmup=50",
        "diffaugment": "augment=diffaugment",
        "noise": "augment=noise augment.decay_steps=500",
        "two updates": "d_steps=2 trainer.max_steps=400",
        "stddev, dropout": "model.discriminator.minibatch_stddev=true model.discriminator.dropout=0.2",
        "smoothing": "loss.label_smoothing=0.1 loss.label_flipping=0.05",
        "fashion": "data=fashion_mnist",
        "fashion, labels": "data=fashion_mnist model.conditional=true",
        "rate 1e-3": "optimizer.lr=1e-3",
        "batch 128": "data.batch_size=128 trainer.max_steps=400",
        "pixel_shuffle": "model.upsample=pixel_shuffle model.init=orthogonal",
    },
    "mlp": {
        "default": "",
        "hinge": "loss=hinge",
        "projection": "model.conditional=true",
        "least_squares": "loss=least_squares",
        "two updates": "d_steps=2 trainer.max_steps=800",
        "fashion": "data=fashion_mnist",
        "relativistic_average": "loss=relativistic_average",
        "adamw": "optimizer=adamw optimizer.lr=2e-3",
        "width 96": "model.width=96",
        "latent_dim 32": "model.latent_dim=32",
        "smoothing": "loss.label_smoothing=0.1",
    },
    "resnet": {
        "default": "",
        "hinge": "loss=hinge",
        "projection": "model.conditional=true",
        "relativistic r1": "loss=relativistic penalty=r1 model.discriminator.norm=none",
        "two updates": "d_steps=2 trainer.max_steps=400",
        "fashion": "data=fashion_mnist",
        "adamw": "optimizer=adamw optimizer.lr=1e-3",
        "least_squares": "loss=least_squares",
    },
    "deep": {
        "default": "",
        "hinge": "loss=hinge",
        "least_squares": "loss=least_squares",
        "relativistic_average": "loss=relativistic_average",
        "r1": "penalty=r1 model.discriminator.norm=none",
        "projection": "model.conditional=true",
        "spectral hinge": "loss=hinge model.discriminator.norm=spectral",
        "adamw": "optimizer=adamw optimizer.lr=2e-3",
        "cosine": "optimizer.schedule=cosine optimizer.warmup=50",
        "two updates": "d_steps=2 trainer.max_steps=400",
        "fashion": "data=fashion_mnist",
        "smoothing": "loss.label_smoothing=0.1",
    },
}


FIRST = ("dcgan", "mlp", "resnet")  # architectures of the two halves


def cases() -> list[Case]:
    """All of them, in the order of the queue."""
    failing = [list(_of_cause(name, cause)) for name, cause in CAUSES.items()]
    in_turn = _in_turn(failing)
    healthy = _in_turn([list(_healthy(name)) for name in FIRST])
    late = [_case(name, each, "", cause.ways[""]) for each in FIRST for name, cause in LATE.items()]
    return _in_turn([in_turn, healthy]) + late + fresh()


def fresh() -> list[Case]:
    """Those of ``FRESH``, and every healthy one with another seed."""
    failing = [_case(name, each, "", cause.ways[""]) for each in HEALTHY for name, cause in FRESH.items()]
    healthy = _in_turn([list(_healthy(name)) for name in HEALTHY])
    return [replace(case, seed=1) for case in _in_turn([failing, healthy])]


def _in_turn(queues: Iterable[list[Case]]) -> list[Case]:
    return [case for row in zip_longest(*queues) for case in row if case]


def _of_cause(name: str, cause: Cause) -> Iterator[Case]:
    """One way on each architecture, each cause beginning with another of them; then the other ways."""
    start = list(CAUSES).index(name) % len(cause.architectures)
    architectures = cause.architectures[start:] + cause.architectures[:start]
    ways = list(cause.ways.items())
    for turn in range(len(ways)):
        for i, architecture in enumerate(architectures):
            variant, words = ways[(i + turn) % len(ways)]
            yield _case(name, architecture, variant, words)


def _healthy(architecture: str) -> Iterator[Case]:
    for variant, words in HEALTHY[architecture].items():
        yield _case("", architecture, variant, words)


def _case(cause: str, architecture: str, variant: str, words: str) -> Case:
    said, _, bug = words.partition("bug:")
    return Case(cause, architecture, variant, [*ARCHITECTURES[architecture], *said.split()], bug or None)
