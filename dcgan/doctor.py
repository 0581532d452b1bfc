"""``python -m dcgan.doctor run=<run folder>``: train parts of a run again, and say whether the same comes out."""

import random
import sys
from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import DoctorConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.status import read_status


def examine(config: DoctorConfig) -> bool:
    """Replay a few stretches of a run and print a line for each; whether all were the same, bit for bit.

    Raises:
        ValueError: there is no such run, or a checkpoint of it is damaged.
    """
    from dcgan.runs.replay import replay, stretches  # torch loads here

    run = Path(config.run)
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
    return same


def main(config: DictConfig, launch: Launch) -> bool:
    """Examine what the command line names; exit code 1 if something is not as it was."""
    same = examine(check(config, DoctorConfig, typed=launch.overrides))
    if not same:
        print(
            "  a checkpoint was changed, or it was computed otherwise than here and now: on another machine, with "
            "other threads or\n  devices (provenance.jsonl says which), or on a GPU without trainer.deterministic=true"
        )
        sys.exit(1)
    return same


if __name__ == "__main__":
    cli("doctor", main)
