"""The files that a generator can be handed on as: latents in, and labels where it takes some; images out."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dcgan.config.registry import lookup
from dcgan.data.latents import sample_latents
from dcgan.models import MODELS
from dcgan.models.base import Generator, Shape, class_of_samples
from dcgan.runs.load import Loaded

COMPARED = 1000  # latents
TOLERANCE = 1e-5  # of pixels in [-1, 1]
OPSET = 20
BATCH = 100


def plain(loaded: Loaded) -> Generator:
    """The generator in torch's own operations, which exporters know: without the quicker forms of ``fast``."""
    networks = lookup(MODELS, loaded.config.model.name, key="model.name")
    with torch.random.fork_rng(devices=[]):  # what it begins with is thrown away
        generator = networks.generator(loaded.config.model, Shape.of(loaded.config)._replace(fast=False))
    generator.load_state_dict(loaded.generator.state_dict())
    return generator.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)


def inputs_of(generator: Generator, n: int, *, seed: int = 0) -> tuple[Tensor, ...]:
    """``n`` latents, and a label for each where it takes some."""
    labels = class_of_samples(n, num_classes=generator.num_classes)
    latents = sample_latents(seed=seed, n=n, latent_dim=generator.latent_dim)
    return (latents,) if labels is None else (latents, labels)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters say of names and of their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _any_number(arguments: tuple[Tensor, ...]) -> tuple[dict[int, Any], ...]:
    """Of images: that of every input."""
    number = torch.export.Dim("n", min=1)
    return tuple({0: number} for _ in arguments)


def write_onnx(generator: Generator, path: Path) -> None:
    """ONNX, opset 20: ``latents`` (n, latent_dim), ``labels`` (n,) -> ``images`` (n, C, H, W) in [-1, 1]; any n."""
    arguments = inputs_of(generator, 2)
    with _quiet():
        torch.onnx.export(
            generator,
            arguments,
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=OPSET,
            dynamic_shapes=_any_number(arguments),
            input_names=["latents", "labels"][: len(arguments)],
            output_names=["images"],
        )


def write_torch(generator: Generator, path: Path) -> None:
    """What ``torch.export`` saves, for ``torch.export.load``; any n."""
    arguments = inputs_of(generator, 2)
    with _quiet():
        torch.export.save(torch.export.export(generator, arguments, dynamic_shapes=_any_number(arguments)), path)


def run_onnx(path: Path) -> Callable[..., Tensor]:
    """What onnxruntime makes of a file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def images(*inputs: Tensor) -> Tensor:
        (found,) = session.run(None, {name: one.numpy() for name, one in zip(names, inputs, strict=True)})
        return torch.from_numpy(found)

    return images


def run_torch(path: Path) -> Callable[..., Tensor]:
    """What torch makes of a file."""
    with _quiet():
        return torch.export.load(path).module()


@torch.inference_mode()
def difference(generator: Generator, exported: Callable[..., Tensor], *, n: int = COMPARED) -> float:
    """The largest difference between pixels in [-1, 1] of ``n`` random latents."""
    inputs = zip(*(one.split(BATCH) for one in inputs_of(generator, n)), strict=True)
    return max(float((generator(*some) - exported(*some)).abs().max()) for some in inputs)


class Form(NamedTuple):
    """How a generator is written, and read back without this package."""

    file: str
    write: Callable[[Generator, Path], None]
    run: Callable[[Path], Callable[..., Tensor]]
    runs_in: str


FORMS = {
    "onnx": Form("generator.onnx", write_onnx, run_onnx, "onnxruntime"),
    "torch": Form("generator.pt2", write_torch, run_torch, "torch"),
}


def write_checked(loaded: Loaded, path: Path, *, form: str) -> str:
    """Write a generator to ``path``, hold the file against it, and say how well they agree.

    Raises:
        ValueError: the file draws other images than the generator.
    """
    chosen = FORMS[form]
    chosen.write(plain(loaded), path)
    found = difference(loaded.generator, chosen.run(path))
    if not found <= TOLERANCE:
        raise ValueError(f"format={form}: {chosen.runs_in} draws images that differ by {found:.2g}, in [-1, 1]")
    return f"{chosen.runs_in} agrees with dcgan within {found:.1g} over {COMPARED:,} random latents (pixels in [-1, 1])"
