"""Train the two judges of one's own images: of two makes, on the training split, the same weights every time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dcgan.data.images import to_float
from dcgan.data.module import InMemory
from dcgan.features.classifier import Classifier
from dcgan.features.residual import ResidualClassifier
from dcgan.features.tasks import Classes, Network, Task, TurnsAndPairs

SEED = 0
BATCH = 128  # images that a step looks at, both views of a pair counted
EPOCHS = 40  # of so many images as there are, within
LEAST_STEPS, MOST_STEPS = 300, 1000  # 1,000 are 3.5 CPU-minutes at 28x28 for both judges
LOOKED_AT = 10_000  # test images at most, for the accuracy


def _adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, weight_decay=0.02)


def _sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, momentum=0.9, nesterov=True, weight_decay=5e-4)


class Make(NamedTuple):
    """A network, and what trains it."""

    network: type[Network]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    rate: float  # at the top of one cycle


# The one that chooses, then the one of another make that stands beside it in reports.
MAKES = {"own": Make(Classifier, _adamw, 3e-3), "own_residual": Make(ResidualClassifier, _sgd, 0.1)}


def task_of(train: InMemory, *, num_features: int) -> Task:
    """The classes, where there are labels of two at least; else turns and pairs."""
    num_classes = int(train.labels.max()) + 1
    return Classes(num_classes) if len(train.labels.unique()) > 1 else TurnsAndPairs(num_features)


def new_network(name: str, *, images: Tensor, num_classes: int) -> Network:
    """The network of a make for such images (N, C, S, S)."""
    return MAKES[name].network(resolution=images.shape[-1], channels=images.shape[1], num_classes=num_classes)


def train_judge(name: str, *, train: InMemory, test: InMemory) -> tuple[Network, dict[str, float]]:
    """Train on one split; also returns what share of the other is answered rightly, and the CPU-seconds.

    In one thread and from one seed, so that the same weights come out again on the same machine. In float32: bfloat16
    is slow on processors that do not have it.
    """
    make, started = MAKES[name], time.process_time()
    with _alone(), torch.enable_grad():
        task = task_of(train, num_features=make.network.num_features)
        network = new_network(name, images=train.images, num_classes=task.num_classes)
        network.to(memory_format=torch.channels_last)
        _train(network, task, train, make=make, words=f"training {name}")
        network.requires_grad_(False).eval()
        score = task.score(network, test.images[:LOOKED_AT], test.labels[:LOOKED_AT])
    return network, {**score, "cpu_seconds": round(time.process_time() - started, 1)}


def _train(network: Network, task: Task, train: InMemory, *, make: Make, words: str) -> None:
    number = len(train.labels)
    size = min(BATCH // task.views, number // 2)
    steps = min(max(EPOCHS * task.views * number // BATCH, LEAST_STEPS), MOST_STEPS)
    optimizer = make.optimizer([*network.parameters(), *task.parameters()])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, make.rate, steps)
    generator = torch.Generator().manual_seed(SEED)
    batches = _batches(number, size, generator)
    network.train()
    for _ in tqdm(range(steps), desc=words, unit=" steps", disable=None, leave=False):
        images, labels = train.gather(next(batches))
        loss = task.loss(network, to_float(images), labels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _batches(number: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of each order of so many images, without end."""
    while True:
        yield from torch.randperm(number, generator=generator)[: number // size * size].view(-1, size)


@contextmanager
def _alone() -> Iterator[None]:
    """In one thread, with a random stream of its own: nothing else of the process is moved by it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            yield
    finally:
        torch.set_num_threads(threads)
