"""The first ``experiment=quick``, three seeds, as a person would run it: default threads. One JSON line a run.

    python experiments/2026-11-22_first_light/run.py

A queue: seeds that have their line are skipped, so it can be stopped and started again. Run folders go to outputs/.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SEEDS = (0, 1, 2)
FIRST_QUICK = ["model.width=32", "optimizer.lr=5e-4", "ema.half_life=20", "trainer.max_steps=4000"]


def run(*command: str) -> str:
    return subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(seed: int) -> dict[str, object]:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    out = run("dcgan.train", *FIRST_QUICK, f"seed={seed}")
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    folder = Path(re.findall(r"run +(\S+)", out)[0])
    run("dcgan.evaluate", f"run={folder}")
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    provenance = json.loads((folder / "provenance.jsonl").read_text())
    training = [record for record in records if record["split"] == "train"]
    return {
        "seed": seed,
        "command": f"python -m dcgan.train {' '.join(FIRST_QUICK)} seed={seed}",
        **{record["metric"]: round(record["value"], 3) for record in records[-1:]},
        "best_step": records[-1]["step"],
        "curve": [[record["step"], round(record["value"], 3)] for record in training],
        "status": json.loads((folder / "status.json").read_text())["results"],
        "process_wall_seconds": round(wall, 1),
        "process_cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "load_average_after": round(os.getloadavg()[0], 2),
        "git_commit": provenance["git_commit"],
        "machine": provenance["machine"],
        "packages": provenance["packages"],
    }


def main() -> None:
    done = {json.loads(line)["seed"] for line in RESULTS.read_text().splitlines()} if RESULTS.exists() else set()
    for seed in SEEDS:
        if seed not in done:
            line = measure(seed)
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(line, flush=True)


if __name__ == "__main__":
    main()
