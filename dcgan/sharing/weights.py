"""The generator of a run: averaged or as it was trained, and as it was before its first step."""

from pathlib import Path

from dcgan.config.schema import GenerateConfig, TrainConfig
from dcgan.models.base import Generator
from dcgan.runs.hardware import resolve_device
from dcgan.runs.load import Loaded, load
from dcgan.shell.zoo import source

TRAINED = "generator."  # what the names of its weights in a checkpoint begin with; the average's begin with ema.


def asked_for(config: GenerateConfig) -> Loaded:
    """The generator that a configuration names; errors as ``generator_of``."""
    path = source(config.run, config.zoo)
    return generator_of(path, checkpoint=config.checkpoint, device=config.device, weights=config.weights)


def generator_of(run: Path, *, checkpoint: str, device: str, weights: str) -> Loaded:
    """The generator of a checkpoint.

    Args:
        weights: ``averaged``, or ``raw``: as trained, which only the checkpoint itself has.

    Raises:
        FileNotFoundError: no such run or checkpoint.
        ValueError: the file is damaged, or of another version.
    """
    loaded = load(run, checkpoint=checkpoint, device=device)
    if weights == "raw":
        from dcgan.runs.checkpoints import load_checkpoint  # Lightning loads here

        path = run / "checkpoints" / f"{loaded.checkpoint}.ckpt"
        if not path.is_file():
            raise FileNotFoundError(f"weights=raw: {path}, which has them, is not there; take weights=averaged")
        state = load_checkpoint(path)["state_dict"]
        own = {name.removeprefix(TRAINED): value for name, value in state.items() if name.startswith(TRAINED)}
        try:
            loaded.generator.load_state_dict(own)
        except RuntimeError as error:
            raise ValueError(f"{path}: its weights do not fit its configuration") from error
    return loaded


def untrained(trained: TrainConfig, *, device: str, weights: str) -> Generator:
    """The generator before the first step, which no checkpoint keeps: its weights follow from the seed.

    At that moment the average is the generator itself, but for the statistics of its batch norm.
    """
    from dcgan.training.build import build_networks
    from dcgan.training.ema import fit_statistics

    generator, _ = build_networks(trained)
    generator.to(resolve_device(device)).eval().requires_grad_(False)
    if weights == "averaged":
        fit_statistics(generator, seed=trained.seed)
    return generator
