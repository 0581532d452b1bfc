"""The space ``own``: judges of two makes, trained on the images that a generator learns, and kept for later runs."""

import hashlib
import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dcgan.config.catalogue import OWN
from dcgan.data.images import to_float
from dcgan.data.module import ImageData, InMemory
from dcgan.features.spaces import FeatureSpace
from dcgan.features.tasks import Network, Task
from dcgan.features.train_own import MAKES, new_network, task_of, train_judge
from dcgan.shell.writing import alone, replacing, to_json

FORM = 1  # of how judges are trained: with another number they are trained anew
LEAST = 40  # images to train on
FIRST, SECOND = MAKES


class Judge(NamedTuple):
    """A trained network, and what is known of it."""

    network: Network
    facts: Mapping[str, float]  # accuracy, chance, cpu_seconds; pairs, where there are no labels


def own_space(data: ImageData) -> FeatureSpace:
    """The space of the images of ``data``, with its second judge: read from ``<root>/extractors``, or trained now.

    The file is known by the images and labels of both splits, at their resolution and in their channels; the space's
    name by the *weights*, as of ``own-1a2b3c4d``: another machine may round otherwise, and numbers by other weights
    must not pass for the same. Only the training split is trained on.

    Raises:
        ValueError: there are too few images.
    """
    train, test = data.split("train"), data.split("test")
    if len(train.labels) < LEAST:
        raise ValueError(
            f"metrics={OWN}: trains an extractor on {LEAST} images at least, and there are {len(train.labels)}; add "
            "some, or use metrics=none"
        )
    judges = _judges(train, test, folder=data.root / "extractors")
    labelled = "pairs" not in judges[FIRST].facts
    second = _space(SECOND, judges[SECOND].network, labelled=labelled)
    return _space(FIRST, judges[FIRST].network, labelled=labelled, judges=(second,))


class OwnFeatures(nn.Module):
    """A judge's features of images as they are: at their own resolution, in their own channels."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, S, S) -> (N, F)."""
        return self.network.features(to_float(images))


def _space(name: str, network: Network, *, labelled: bool, judges: tuple[FeatureSpace, ...] = ()) -> FeatureSpace:
    sha256 = _weights_sha256(network)
    head = network.head if labelled else None
    return FeatureSpace(f"{name}-{sha256[:8]}", sha256, OwnFeatures(network), head=head, judges=judges)


def _weights_sha256(network: nn.Module) -> str:
    """Of the weights as a file of their own would hold them."""
    return hashlib.sha256(save({name: one.contiguous() for name, one in network.state_dict().items()})).hexdigest()


def _judges(train: InMemory, test: InMemory, *, folder: Path) -> dict[str, Judge]:
    key = _key(train, test)
    path = folder / f"own_{key[:16]}.safetensors"
    lock = path.with_name(f".{path.name}.lock")  # a second process waits, then finds what the first has trained
    with torch.random.fork_rng(devices=[]), alone(lock):  # new networks draw weights, before they are given others
        judges = _kept(path, train)
        if judges is None:
            judges = _trained(train, test)
            try:
                _keep(judges, path)
            except OSError as error:
                warnings.warn(f"the extractor could not be kept, and is trained again next time: {error}", stacklevel=2)
    return judges


def _key(train: InMemory, test: InMemory) -> str:
    """Of all that judges and what is said of them follow from, but for the machine."""
    result = hashlib.sha256(f"{FORM}".encode())
    for values in (train.images, train.labels, test.images, test.labels):
        result.update(str(tuple(values.shape)).encode())
        result.update(values.contiguous().numpy().data)
    return result.hexdigest()


def _trained(train: InMemory, test: InMemory) -> dict[str, Judge]:
    number = len(train.labels)
    print(f"note: metrics={OWN}: training two extractors on {number:,} images, once: minutes", file=sys.stderr)
    judges = {name: Judge(*train_judge(name, train=train, test=test)) for name in MAKES}
    for name, judge in judges.items():
        print(f"note: {in_words(name, judge, num_test=len(test.labels))}", file=sys.stderr)
    return judges


def in_words(name: str, judge: Judge, *, num_test: int) -> str:
    """How well a judge learnt what it was taught, on images that it has not seen."""
    facts = judge.facts
    what = "turns" if "pairs" in facts else "classes"
    pairs = f"; found {facts['pairs']:.1%} of them again, shifted, among 128" if "pairs" in facts else ""
    return (
        f"{name}-{_weights_sha256(judge.network)[:8]}: tells the {what} of {facts['accuracy']:.1%} of {num_test:,} "
        f"test images (chance {facts['chance']:.1%}){pairs}; {facts['cpu_seconds']:.0f} CPU-seconds"
    )


def _keep(judges: Mapping[str, Judge], path: Path) -> None:
    tensors = {
        f"{name}/{key}": tensor.contiguous()
        for name, judge in judges.items()
        for key, tensor in judge.network.state_dict().items()
    }
    facts = {name: {"sha256": _weights_sha256(one.network), "facts": one.facts} for name, one in judges.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, {"facts": to_json(facts)}))


def _kept(path: Path, train: InMemory) -> dict[str, Judge] | None:
    """The judges in a file; None: there is none, or it is damaged, or not ours to read."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return {name: _judge(name, tensors, train, **facts[name]) for name in MAKES}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        return None


def _judge(
    name: str, tensors: Mapping[str, Tensor], train: InMemory, *, sha256: str, facts: Mapping[str, float]
) -> Judge:
    task: Task = task_of(train, num_features=MAKES[name].network.num_features)
    network = new_network(name, images=train.images, num_classes=task.num_classes)
    network.load_state_dict({key: tensors[f"{name}/{key}"] for key in network.state_dict()})
    if _weights_sha256(network) != sha256:
        raise ValueError("the weights are not those that were kept")
    return Judge(network.requires_grad_(False).eval(), facts)
