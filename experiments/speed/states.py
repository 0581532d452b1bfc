"""How fast this machine's two cores are for one minute or two, and what changes when that changes.

    python experiments/speed/states.py

Again and again: 15 bare steps (width 32, 128 images, the precision of this machine), then matrix products in float32
and bfloat16 and copies of 256 kB and 256 MB, all of them by all threads. Appends to states.jsonl.
"""

import argparse
import os
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

import torch
from bench import bare_loop, build_run, copy_microseconds, seconds
from record import record

from dcgan.training import build

RESULTS = Path(__file__).parent / "states.jsonl"
STEPS = 15


def best(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=1, repeat=5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    arguments = parser.parse_args()
    single, half = torch.ones(1024, 1024), torch.ones(1024, 1024, dtype=torch.bfloat16)
    large = torch.ones(2**26)
    target = torch.empty_like(large)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        run = build_run(["model.width=32"], root=arguments.root, folder=Path(folder))
        loop = bare_loop(run, build.build_gan(run.config))
        seconds(loop, STEPS)
        for _ in range(arguments.rounds):
            found = {
                "step_ms": 1000 * seconds(loop, STEPS) / STEPS,
                "float32_gflops": 2 * 1.024**3 / best(lambda: single @ single),
                "bfloat16_gflops": 2 * 1.024**3 / best(lambda: half @ half),
                "copy_256kB_us": copy_microseconds(),
                "copy_256MB_gb_per_s": 2 * 4 * large.numel() / 1e9 / best(lambda: target.copy_(large)),
            }
            rounds.append({name: round(value, 1) for name, value in found.items()})
            print(*(f"{name} {value}" for name, value in rounds[-1].items()), flush=True)
    record(RESULTS, {"width": 32, "precision": run.config.trainer.precision, "rounds": rounds})


if __name__ == "__main__":
    main()
