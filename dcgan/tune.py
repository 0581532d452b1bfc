"""``python -m dcgan.tune search=<name> [as for dcgan.train ...]``: search for better settings, with Optuna."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dcgan import train
from dcgan.config.check import check
from dcgan.config.schema import SearchConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.composed import composed
from dcgan.shell.slurm import listen
from dcgan.shell.space import Point, check_space, key_of, read_space, words_of

if TYPE_CHECKING:
    from dcgan.runs.evaluation import Judge
    from dcgan.runs.search import Plan

OWN = tuple(key.name for key in fields(SearchConfig))


def tune(plan: "Plan") -> None:
    """Take part in a search until its trials are trained; write what was found after each, and print it at the end.

    Raises:
        ValueError: there is another search in the folder.
        SystemExit: somebody asked it to stop, and the same line goes on; or every trial failed.
    """
    from dcgan.reports.search import describe, has_failed, write_figure, write_tables  # torch and Optuna load here
    from dcgan.runs.search import search

    def trained(point: Point, folder: Path, judge: "Judge | None") -> None:
        words = [*plan.words, *words_of(point)]
        train.start_or_go_on(composed(words, entry="train"), folder, overrides=words, in_sweep=True, judge=judge)

    try:
        study = search(plan, trained, after=lambda study: write_tables(plan, study))
    except (SystemExit, KeyboardInterrupt):
        print(f"search {plan.folder}: stopped; the same line goes on with it", file=sys.stderr)
        raise
    write_tables(plan, study)
    write_figure(plan, study)
    print(describe(plan, study), flush=True)
    if has_failed(study):
        sys.exit(1)


def _planned(config: DictConfig, overrides: Sequence[str]) -> "Plan":
    """What was typed, all of it checked."""
    if "search" not in config:
        raise ValueError(f"search: say which; there are {', '.join(_spaces())}")
    hydra_config = HydraConfig.get()
    option = hydra_config.runtime.choices["search"]
    if not isinstance(config.search, DictConfig):
        raise ValueError(f"search={option}: is a list; a space has keys of dcgan.train and their values")
    own = check(OmegaConf.masked_copy(config, list(OWN)), SearchConfig, typed=overrides)
    if own.pruning and own.objective != ["fid"]:
        raise ValueError("pruning=true: is by the FID of one step after another; take objective=fid, or pruning=false")
    space = read_space(own.search, name=option)
    paths = [word for word in hydra_config.overrides.hydra if word.startswith("hydra.searchpath=")]
    words = [*paths, *(word for word in overrides if key_of(word) not in OWN)]
    shared = check_space(space, words, name=option, own=OWN)

    from dcgan.runs.search import Plan

    return Plan(
        folder=Path("outputs") / "searches" / (own.name or option),
        space=space,
        trials=own.trials,
        words=words,
        sampler=own.sampler,
        objectives=own.objective,
        pruning=own.pruning,
        storage=own.storage,
        seed=int(shared["seed"]),
        asked={"objective": own.objective, **{axis.key: axis.text for axis in space}} | shared,
    )


def _spaces() -> list[str]:
    return GlobalHydra.instance().config_loader().get_group_options("search")


def main(config: DictConfig, launch: Launch) -> None:
    """Search as the command line says."""
    listen()
    if find_spec("optuna") is None:
        raise ValueError("optuna is not installed: pip install 'dcgan[tune]'")
    tune(_planned(config, launch.overrides))


if __name__ == "__main__":
    cli("tune", main)
