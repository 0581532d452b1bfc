"""Does every recipe in conf/experiment begin to learn? 500 steps on real MNIST, two seeds, one thread each.

    python experiments/2026-11-22_recipes/run.py

A queue: runs that have their line are skipped, so it can be stopped and started again. Run folders go to outputs/.
At its end it judges every line; the control, whose generator minimises the loss with the wrong sign, must fail.
Exits with 1 where a recipe fails or the control does not.
"""

import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SEEDS = (0, 1)
CONTROL = "dcgan with the sign of the generator's loss flipped"
FILES = sorted((HERE.parents[1] / "conf" / "experiment").glob("*.yaml"), reverse=True)
RECIPES = [path.stem for path in FILES if not path.stem.startswith(("quick", "best"))]  # they have their own studies
# The average forgets faster than in a long run: at 10,000 images it would still hold what 500 steps began with.
SHORT = ["trainer.max_steps=500", "ema.half_life=1", "metrics.every=100", "logger=csv", "trainer.gpus=0"]
FLIPPED = """
from dcgan.shell.cli import cli
from dcgan.training.losses import NonSaturating
from dcgan.train import main
right = NonSaturating.generator
NonSaturating.generator = lambda self, **logits: -right(self, **logits)
cli("train", main)
"""


def measure(recipe: str, seed: int) -> dict[str, object]:
    words = [f"experiment={recipe.split(maxsplit=1)[0]}", f"seed={seed}", *SHORT]
    program = ["-c", FLIPPED] if recipe == CONTROL else ["-m", "dcgan.train"]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *program, *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    folder = Path(re.findall(r"run +(\S+)", out)[0])
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    provenance = json.loads((folder / "provenance.jsonl").read_text().splitlines()[-1])
    return {
        "recipe": recipe,
        "seed": seed,
        "command": f"python -m dcgan.train {' '.join(words)}",
        "metric": records[-1]["metric"],
        "curve": [[record["step"], round(record["value"], 2)] for record in records],
        "modes": records[-1]["measures"]["modes"]["value"],
        "process_wall_seconds": round(wall, 1),
        "process_cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "git_commit": provenance["git_commit"],
        "machine": provenance["machine"],
        "packages": provenance["packages"],
    }


def faults(line: dict[str, object]) -> list[str]:
    """What speaks against a run having begun to learn."""
    values = [value for _, value in line["curve"]]
    found = [] if all(map(math.isfinite, values)) else ["not finite"]
    found += [] if line["modes"] == 10 else [f"{line['modes']} digits of 10"]
    return found + ([] if values[-1] < 0.8 * values[0] else [f"FID {values[0]} -> {values[-1]} is not a fifth lower"])


def main() -> None:
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(line["recipe"], line["seed"]) for line in lines}
    for seed in SEEDS:
        for recipe in [CONTROL, *RECIPES]:
            if (recipe, seed) not in done:
                lines.append(measure(recipe, seed))
                with RESULTS.open("a") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    wrong = False
    for line in sorted(lines, key=lambda line: (line["recipe"], line["seed"])):
        verdict = faults(line)
        wrong |= bool(verdict) != (line["recipe"] == CONTROL)
        print(f"{line['recipe']} seed {line['seed']}: {'; '.join(verdict) or 'learns'}  {line['curve']}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
