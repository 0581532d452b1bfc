"""A user's mistake in one line."""

import re

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from dcgan.config.catalogue import no_choice
from dcgan.config.check import unknown_key
from dcgan.config.schema import SCHEMAS

USER_ERRORS = (ValueError, OSError, HydraException, OmegaConfBaseException)


def explain(error: Exception, entry: str) -> str:
    """One line for a user's mistake."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        word = str(error.override).removeprefix("++")  # of for_hydra
        return f"{word}: not key=value; quote a value that holds =, commas or brackets: 'key=\"a=b\"'"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        wrong = no_choice(option) if group == "metrics" else None
        return f"{group}={option}: {wrong or 'no such option; there are ' + ', '.join(error.options)}"
    if text.startswith("Ambiguous value for argument"):
        word = text.split("'")[1].removeprefix("++")
        return f"{word}: several values are a sweep; add -m (python -m dcgan.{entry} -m ...)"
    if match := re.match(r"Could not override '(.+?)'", text):
        return unknown_key(match[1], SCHEMAS[entry])
    if isinstance(error, HydraException | OmegaConfBaseException):
        return text.splitlines()[0]
    return " ".join(text.split())
