"""What the words of a command line compose to, from Python."""

from collections.abc import Sequence
from contextlib import nullcontext

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from dcgan.config.schema import CONF
from dcgan.shell.errors import USER_ERRORS, explain
from dcgan.shell.words import for_hydra


def composed(words: Sequence[str], *, entry: str) -> DictConfig:
    """The configuration of ``python -m dcgan.<entry> <words>``. Hydra is left as it was: told where files are, or not.

    Raises:
        ValueError: one line on what is wrong.
    """
    if {"-m", "--multirun"} & {*words}:
        raise ValueError("-m: a sweep is of the command line; from Python, call it once for each run")
    told = GlobalHydra.instance().is_initialized()
    try:
        with nullcontext() if told else initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(entry, for_hydra(words, entry))
    except USER_ERRORS as error:
        raise ValueError(explain(error, entry)) from error
