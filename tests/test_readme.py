"""The table of options says what there is, and what is there by default."""

import re
from pathlib import Path

from conftest import composed, config, options
from omegaconf import OmegaConf

from dcgan.config.schema import TrainConfig, known_keys

README = (Path(__file__).parents[1] / "README.md").read_text()
TABLE = README[README.index("## Options") : README.index("Recipes are in")]


def rows() -> list[tuple[list[str], list[str], str]]:
    """Keys, defaults and words of each row; ``.key`` stands for a key beside the one before it."""
    found = []
    for line in TABLE.splitlines():
        if not line.startswith("| `"):
            continue
        names, defaults, words = (cell.strip() for cell in line.strip("|").split("|"))
        keys: list[str] = []
        for name in re.findall(r"`([^`]+)`", names):
            keys.append(name if name[0] != "." else f"{keys[-1].rpartition('.')[0]}{name}")
        found.append((keys, re.findall(r"\[[^]]*\]|[^,\s]+", defaults), words))
    return found


def test_every_key_has_its_row_and_every_row_its_keys() -> None:
    shown = {key for keys, _, _ in rows() for key in keys} - {"trainer.*", "hydra.run.dir"}
    known = set(known_keys(TrainConfig))
    assert shown <= known
    own = {key for key in known if not key.endswith(".name") and not key.startswith("trainer")}
    inside = {"model.generator", "model.discriminator", "ema", "samples", "checkpoints"}
    assert {
        key for key in own if not key.startswith(("optimizer.generator.", "optimizer.discriminator."))
    } <= shown | inside


def test_defaults_are_those_of_the_configuration() -> None:
    plain = composed()
    for keys, defaults, _ in rows():
        if defaults:
            assert len(keys) == len(defaults), keys
        for key, default in zip(keys, defaults, strict=False):
            value = OmegaConf.select(plain, key)
            value = value.name if OmegaConf.is_dict(value) and "name" in value else value
            shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
            assert shown == default.strip("`"), key


def test_every_option_is_named_in_the_row_of_its_group() -> None:
    for keys, defaults, words in rows():
        if keys[0] in ("model", "loss", "penalty", "augment", "optimizer", "data", "metrics", "logger", "health"):
            assert set(options(keys[0])) <= set(re.findall(r"\w+", words + " ".join(defaults))), keys
    assert config().name == "dcgan"
