"""``python -m dcgan.doctor``: of ``run=``, is it what it says it is? Of ``data=``, what is wrong with these images?"""

import random
import sys
from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import CheckupConfig, DoctorConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.folders import folder_name
from dcgan.shell.status import read_status

ONE = "name one of them, a run folder, or images as in data=folder data.folder=PATH"


def examine(config: DoctorConfig) -> bool:
    """Replay a few stretches of a run and print a line for each; whether all were the same, bit for bit.

    Raises:
        ValueError: there is no such run, or a checkpoint of it is damaged.
    """
    from dcgan.runs.replay import replay, stretches  # torch loads here

    run = Path(config.run or "")
    there = stretches(run)
    chosen = random.Random(config.seed).sample(there, min(config.intervals, len(there)))
    print(f"{run}: {read_status(run).get('state', 'no status')}; {len(chosen)} of {len(there)} stretches")
    same = True
    for stretch in sorted(chosen, key=lambda stretch: stretch.first_step):
        different = replay(run, stretch, root=config.data.root, folder=config.data.folder)
        same &= not different
        verdict = "the same, bit for bit"
        if different:
            name = max(different, key=different.__getitem__)
            verdict = f"DIFFERENT: {len(different)} tensors, most of all {name}, by {different[name]:.3g}"
        print(f"  steps {stretch.first_step} to {stretch.last_step} ({stretch.end.name}): {verdict}", flush=True)
    if not same:
        print(
            "  a checkpoint was changed, or it was computed otherwise than here and now: on another machine, with "
            "other threads or\n  devices (provenance.jsonl says which), or on a GPU without trainer.deterministic=true"
        )
    return same


def check_up(config: CheckupConfig) -> bool:
    """Look at every image of a data set, print what is wrong, and leave a page; whether nothing is.

    Raises:
        ValueError, OSError: one line, where there is nothing that could be looked at, or no place for the page.
    """
    from dcgan.reports.checkup.checkup import check_up as look_at  # torch loads here

    folder = getattr(config.data, "folder", None)
    name = folder_name(Path(folder).resolve().name if folder else config.data.name, [])
    out = Path(config.out or Path("outputs") / "checkups" / (name or "images"))
    scored = getattr(config.metrics, "num_samples", None)
    return look_at(config.data, scored=scored, out=out, fix=Path(config.fix) if config.fix else None)


def main(config: DictConfig, launch: Launch) -> bool:
    """Examine what the command line names; exit code 1 if something is not as it should be."""
    of_images = "name" in config.data
    if of_images == (config.run is not None):
        raise ValueError(f"run=, data=: {ONE}")
    if of_images:
        well = check_up(check(config, CheckupConfig, typed=launch.overrides))
    else:
        if word := next((word for word in launch.overrides if word.startswith(("fix=", "out=", "metrics"))), None):
            raise ValueError(f"{word}: is of images, data=; leave it out")
        well = examine(check(config, DoctorConfig, typed=launch.overrides))
    if not well:
        sys.exit(1)
    return well


if __name__ == "__main__":
    cli("doctor", main)
