"""On a GPU: a step against a plain loop and against a bare one, whether compiling pays, and seconds to a FID of 1.

    python experiments/speed/gpu.py                         # about ten minutes; needs one CUDA device

First ``quick`` and the defaults are trained as a person would, to read in which step the FID of 2,000 samples against
the training split was first at most 1; the seconds until then are that share of the run's, evaluations included. Then
come bench.py's steps and compiled.py's with CUDA graphs (``mode="reduce-overhead"``), whose weights are compared with
those of the networks as they are. A part that fails is recorded with its error. Appends to gpu.jsonl, with the card.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench import bare_loop, bench, build_run, ratio, seconds
from record import record

from dcgan.data.sources import prepare
from dcgan.training import build

RESULTS = Path(__file__).parent / "gpu.jsonl"
BOUND = 1.0


def step(width: int, precision: str, *, root: str) -> dict[str, Any]:
    found = bench(width, precision, steps=100, rounds=15, root=root, gpus=1)
    milliseconds = {name: 10 * statistics.median(taken) for name, taken in found["seconds"].items()}
    return {"what": "step", "milliseconds": milliseconds, **found}


def compiled(width: int, precision: str, *, root: str) -> dict[str, Any]:
    """The bare step with both networks compiled, and as they are, in turns; and by how much their weights differ."""
    words = ["experiment=dcgan", f"model.width={width}", f"trainer.precision={precision}"]
    run = build_run(words, root=root, folder=Path("unused"), gpus=1)
    gans = {"stock": run.gan, "compiled": build.build_gan(run.config)}
    gans["compiled"].generator.compile(mode="reduce-overhead")
    gans["compiled"].discriminator.compile(mode="reduce-overhead")
    loops: dict[str, Iterator[None]] = {name: generations(bare_loop(run, gan)) for name, gan in gans.items()}
    first = {name: seconds(loop, 3) for name, loop in loops.items()}
    weights = zip(gans["stock"].parameters(), gans["compiled"].parameters(), strict=True)
    difference = max(float((one - other).abs().max()) for one, other in weights)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(15):
        for name, loop in loops.items():
            times[name].append(seconds(loop, 100))
    return {
        "what": "compiled",
        "width": width,
        "precision": precision,
        "seconds_to_compile": round(first["compiled"], 1),
        "largest_difference_of_a_weight_after_3_steps": difference,
        "milliseconds": {name: 10 * statistics.median(taken[1:]) for name, taken in times.items()},
        "speed_of_compiled": ratio((times["stock"][1:], times["compiled"][1:])),
    }


def generations(loop: Iterator[None]) -> Iterator[None]:
    """One for each step: else D's backward pass would end one, and CUDA graphs free what G kept for its own."""
    while True:
        torch.compiler.cudagraph_mark_step_begin()
        yield next(loop)


def learn(*words: str, root: str) -> dict[str, Any]:
    command = [*("dcgan.train", *words), f"data.root={root}", "trainer.gpus=1", "metrics.every=100", "logger=none"]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        started = time.time()
        subprocess.run([sys.executable, "-m", *command, f"hydra.run.dir={run}"], check=True, stdout=sys.stderr)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        status = json.loads((run / "status.json").read_text())["results"]
    curve = [[line["step"], line["value"]] for line in lines]
    reached = next((at for at, value in curve if value <= BOUND), None)
    return {
        "what": "learn",
        "command": f"python -m {' '.join(command)}",
        "wall_seconds": round(time.time() - started, 1),
        "step_of_bound": reached,
        "seconds_to_bound": None if reached is None else round(status["seconds"] * reached / status["steps"], 1),
        "curve": curve,
        "status": status,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    root = parser.parse_args().root
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device on this machine: nothing was measured")
    prepare("mnist", Path(root))
    card = torch.cuda.get_device_name()
    kinds = ((64, "bf16-mixed"), (64, "32-true"), (32, "bf16-mixed"))
    parts: list[partial[dict[str, Any]]] = [partial(learn, *words) for words in (["experiment=quick"], [])]
    parts += [partial(part, *kind) for kind in kinds for part in (step, compiled)]
    for part in parts:
        try:
            line = part(root=root)
        except Exception as error:  # the others are still worth their time on a card that is lent
            line = {"what": part.func.__name__, "of": part.args, "error": f"{type(error).__name__}: {error}"}
        record(RESULTS, {"card": card, **line})
        print({key: value for key, value in line.items() if key not in ("seconds", "curve")}, flush=True)


if __name__ == "__main__":
    main()
