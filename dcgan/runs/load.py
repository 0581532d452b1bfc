"""From a run folder back to a generator that draws: no discriminator, no optimiser, no Lightning."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dcgan import __version__
from dcgan.config.check import check
from dcgan.config.registry import lookup
from dcgan.config.rules import expanded, one_line
from dcgan.config.schema import TrainConfig
from dcgan.models import MODELS
from dcgan.models.base import Generator, Shape
from dcgan.runs.finite import not_finite
from dcgan.runs.hardware import resolve_device
from dcgan.shell.contents import SAFETENSORS, what_is
from dcgan.shell.resume import of_a_run
from dcgan.shell.versions import of_this_version
from dcgan.shell.writing import replacing

SUFFIX = ".generator.safetensors"


class _Unfilled(TorchFunctionMode):
    """New weights stay as they are: to fill some on the device meta, torch loads its compiler first: two seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "orthogonal_", "kaiming_normal_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


class Loaded(NamedTuple):
    """A generator, and what is known of it."""

    generator: Generator
    config: TrainConfig
    checkpoint: str  # best, last, or step_000500
    step: int


def load_generator(run: str | Path, *, checkpoint: str | int = "best", device: str = "auto") -> Generator:
    """The averaged generator of a run: ``load_generator(run).sample(n=64, seed=3)`` draws uint8 images (64, C, H, W).

    Args:
        run: a run folder, or the file of a generator.
        checkpoint: best, last, or the number of a step that was kept.

    Raises:
        FileNotFoundError: no such run or checkpoint.
        ValueError: the file is damaged or of another version; its weights are not finite, or not those of its
            configuration.
    """
    if not isinstance(run, str | Path):
        raise ValueError(f"load_generator({run!r}): takes the path of a run folder, or of a generator")
    return load(Path(expanded(str(run))), checkpoint=str(checkpoint), device=device).generator


def load(run: Path, *, checkpoint: str, device: str) -> Loaded:
    """As ``load_generator``, with the configuration of the run and the step it was saved at."""
    path = generator_path(run, checkpoint)
    try:
        if not path.is_file():
            raise ValueError
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            recipe = json.loads(header["recipe"])
            values, step, version = recipe["config"], int(recipe["step"]), recipe.get("version")
            if not isinstance(values, dict) or "${" in json.dumps(values):  # which OmegaConf would fill in
                raise ValueError("its recipe is no plain configuration")
            values, version = OmegaConf.create(values), one_line(version) if version else None
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header.get("sha256", digest := _digest(weights, header["recipe"])) != digest:  # another tool's has none
            raise ValueError("it is not as it was written: its digest differs")
    except KeyError as error:
        raise ValueError(f"{path} is not a readable generator (its header has no {error})") from error
    except Exception as error:  # what is damaged makes its readers stumble in many ways
        kind = what_is(path)
        reason = one_line(str(error))[:200] if kind in (None, SAFETENSORS) else f"it is {kind}"
        hint = of_a_run(path) if path == run else ""
        raise ValueError(f"{path} is not a readable generator ({reason}){hint}") from error
    weights = {name: value.float() if value.dtype == torch.float16 else value for name, value in weights.items()}
    with of_this_version(str(run), version):
        config = check(values, TrainConfig)
    networks = lookup(MODELS, config.model.name, key="model.name")
    try:
        with _Unfilled(), torch.device("meta"):  # takes no memory, however wide its configuration says that it is
            wanted = networks.generator(config.model, Shape.of(config)).state_dict()
    except (RuntimeError, ArithmeticError, TypeError) as error:
        raise ValueError(f"{path}: its configuration is of no network that can be built") from error
    kinds = ({name: (value.shape, value.dtype) for name, value in one.items()} for one in (weights, wanted))
    if next(kinds) != next(kinds):
        raise ValueError(f"{path}: its weights do not fit its configuration")
    with torch.random.fork_rng(devices=[]):  # what it begins with is thrown away
        generator = networks.generator(config.model, Shape.of(config))
    generator.load_state_dict(weights)
    if fault := not_finite(weights):
        raise ValueError(f"{path} holds weights that are not finite ({fault}); take another checkpoint")
    generator.to(resolve_device(device)).eval().requires_grad_(False)
    return Loaded(generator, config, path.name.removesuffix(SUFFIX), step)


def save_generator(generator: Generator, path: Path, *, config: dict[str, Any], step: int, half: bool = False) -> None:
    """Write the weights, float32, and beside them, as a JSON header, all that drawing needs to know.

    Written beside the target, synced, renamed: a reader finds the old file or the new one, whole.

    Args:
        half: in float16, as those that ship are: half the bytes, and pixels that differ by 1/255 here and there.
    """
    recipe = json.dumps({"version": __version__, "step": step, "config": config})
    weights = {name: _plain(value, half=half) for name, value in generator.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(weights, metadata={"recipe": recipe, "sha256": _digest(weights, recipe)}))


def _digest(weights: Mapping[str, Tensor], recipe: str) -> str:
    """Of all that a file of a generator holds."""
    found = hashlib.sha256(recipe.encode())
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.numpy().tobytes())
    return found.hexdigest()


def _plain(value: Tensor, *, half: bool) -> Tensor:
    kind = torch.float16 if half else torch.float32
    return (value.to(kind) if value.is_floating_point() else value).detach().cpu().contiguous()


def generator_path(run: Path, checkpoint: str) -> Path:
    """The file of ``best``, ``last`` or a step; ``run`` itself, if it is a file.

    For a run that was never evaluated, the best is the last, with a word.

    Raises:
        FileNotFoundError: not a run folder, or no such checkpoint; the message lists those there are.
        ValueError: the run is of a version that kept no generators.
    """
    if run.is_file():
        return run
    folder = run / "checkpoints"
    name = f"step_{int(checkpoint):06d}" if checkpoint.isdigit() else checkpoint
    there = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    if not there and any(folder.glob("*.ckpt")):
        with of_this_version(str(run), None):
            raise ValueError("its checkpoints have no generator beside them")
    if not there:
        raise FileNotFoundError(f"run={run}: no run folder with checkpoints{of_a_run(run)}")
    if name == "best" and "best" not in there and "last" in there:
        print("note: this run was not evaluated, so it has no best checkpoint; taking the last", file=sys.stderr)
        name = "last"
    if name not in there:
        raise FileNotFoundError(f"checkpoint={checkpoint}: {run} has {', '.join(there)}")
    return folder / f"{name}{SUFFIX}"
