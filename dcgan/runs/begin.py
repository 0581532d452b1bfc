"""``init=``: a run that begins with the weights of a generator that was trained before."""

from pathlib import Path

from omegaconf import OmegaConf

from dcgan.config.rules import shown
from dcgan.config.schema import TrainConfig
from dcgan.runs.load import SUFFIX, load
from dcgan.shell.words import pasted
from dcgan.shell.zoo import PREFIX, zoo_file
from dcgan.training.gan import GAN


def begin_with(gan: GAN, config: TrainConfig) -> None:
    """Give the generator and its average the weights of the file that ``config.init`` names; D begins anew.

    Raises:
        ValueError: they are of another network; the words that would make it this one.
        FileNotFoundError: there is no such file.
    """
    assert config.init is not None
    shipped = config.init.startswith(PREFIX)
    path = zoo_file(config.init.removeprefix(PREFIX), key="init") if shipped else Path(config.init)
    if (path / "checkpoints").is_dir():
        generator = path / "checkpoints" / f"best{SUFFIX}"
        generator = generator if generator.exists() else generator.with_name(f"last{SUFFIX}")
        raise ValueError(f"init={config.init}: is a run folder; name its generator, {pasted('init', generator)}")
    if not path.is_file():
        raise FileNotFoundError(f"init={config.init}: no such file; zoo:<name>, or the .safetensors of a generator")
    before = load(path, checkpoint="best", device="cpu")
    try:
        for network in (gan.generator, gan.ema.generator):
            network.load_state_dict(before.generator.state_dict())
    except RuntimeError as error:
        words = " ".join(_differences(config, before.config))
        raise ValueError(f"init={config.init}: is of another network; type {words}") from error


def _differences(config: TrainConfig, before: TrainConfig) -> list[str]:
    """What must be typed for its generator."""
    keys = ("width", "depth", "latent_dim", "dense_units", "base_convs", "norm", "upsample", "conditional")
    found = [f"model={before.model.name}"] if before.model.name != config.model.name else []
    for key in keys:
        then, now = getattr(before.model, key, None), getattr(config.model, key, None)
        found += [f"model.{key}={shown(then)}"] if then != now and hasattr(before.model, key) else []
    then, now = (
        OmegaConf.select(OmegaConf.structured(one.model), "generator.conditioning") for one in (before, config)
    )
    found += [f"model.generator.conditioning={then}"] if then != now else []
    for key in ("resolution", "channels"):
        then, now = getattr(before.data, key), getattr(config.data, key)
        found += [f"data.{key}={then}"] if then != now else []
    return found or [f"data={before.data.name}"]
