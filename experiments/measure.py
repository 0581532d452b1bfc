"""Train one setting with several seeds, score each run, keep one JSON line for each: a queue for the studies.

    python experiments/measure.py experiment=quick --seeds 0 1 2 --out experiments/2026-11-22_quick/results.jsonl
    python experiments/measure.py experiment=best --at-once 2 --out ...     # two seeds at a time, one thread each

Every run is what a person would type, `python -m dcgan.train <words> seed=<seed>`, then `python -m dcgan.evaluate
run=...`. Runs that have their line are skipped, so it can be stopped and started again; after a change of the recipe,
move the old lines away. Run folders go to outputs/.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def run(*command: str, threads: int | None) -> tuple[str, float, float]:
    """What it printed, its wall seconds and its CPU seconds."""
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    return out, time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def command_of(words: list[str]) -> str:
    return f"python -m dcgan.train {' '.join(words)}"


def measure(words: list[str], *, threads: int | None, evaluate: list[str]) -> dict[str, Any]:
    out, wall, cpu = run("dcgan.train", *words, threads=threads)
    found = re.search(r"^ *run +(\S+)|^(\S+): finished already", out, re.MULTILINE)
    assert found, out
    folder = Path(found[1] or found[2])
    run("dcgan.evaluate", f"run={folder}", *evaluate, threads=threads)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    provenance = json.loads((folder / "provenance.jsonl").read_text().splitlines()[0])
    reported = [record for record in records if record.get("split") == "test"]
    training = [record for record in records if record.get("split") == "train"]
    first = reported[0]
    return {
        "command": command_of(words),
        **{record["metric"]: round(record["value"], 3) for record in reported},
        **{r["metric"]: round(r["value"], 4) for r in records if r["metric"].startswith(("cas_", "copies_"))},
        "measures": {name: round(found["value"], 4) for name, found in first["measures"].items()},
        "of_real_images": {name: round(value, 4) for name, value in (first["real"] or {}).items()},
        "of_other_extractors": {
            record["extractor"]: {name: round(found["value"], 4) for name, found in record["measures"].items()}
            for record in reported[1:]
        },
        "histogram": first["histogram"],
        "label_accuracy": {record["extractor"]: record["label_accuracy"] for record in reported},
        "best_step": first["step"],
        "curve": [[record["step"], round(record["value"], 3)] for record in training],
        "status": json.loads((folder / "status.json").read_text())["results"],
        "process_wall_seconds": round(wall, 1),
        "process_cpu_seconds": round(cpu, 1),
        "load_average_after": round(os.getloadavg()[0], 2),
        "git_commit": provenance["git_commit"],
        "git_changes": provenance["git_changes"],
        "machine": provenance["machine"],
        "packages": provenance["packages"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", help="of dcgan.train, such as experiment=quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=1, help="so many runs, with one thread each if more than one")
    parser.add_argument("--evaluate", nargs="*", default=[], metavar="WORD", help="passed on, such as cas=true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    done = {json.loads(line)["command"] for line in lines}
    threads = 1 if arguments.at_once > 1 else None

    def finish(seed: int) -> None:
        words = [*arguments.words, f"seed={seed}"]
        if command_of(words) in done:
            print(f"seed {seed}: has its line in {arguments.out}")
            return
        line = {"seed": seed, **measure(words, threads=threads, evaluate=arguments.evaluate)}
        with arguments.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    with ThreadPoolExecutor(arguments.at_once) as pool:
        list(pool.map(finish, arguments.seeds))


if __name__ == "__main__":
    main()
