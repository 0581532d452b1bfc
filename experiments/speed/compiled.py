"""Does torch.compile pay on this CPU? The bare step of bench.py with both networks compiled, and as they are, in turns.

    python experiments/speed/compiled.py

Needs a C++ compiler. Appends to compiled.jsonl.
"""

import os
import statistics
from pathlib import Path

from bench import bare_loop, build_run, ratio, seconds
from record import record

from dcgan.training import build

RESULTS = Path(__file__).parent / "compiled.jsonl"
ROUNDS, STEPS = 10, 10


def measure(width: int, precision: str, root: str) -> dict[str, object]:
    words = ["experiment=dcgan", f"model.width={width}", f"trainer.precision={precision}"]
    run = build_run(words, root=root, folder=Path("unused"))
    stock, compiled = run.gan, build.build_gan(run.config)
    compiled.generator.compile()
    compiled.discriminator.compile()
    loops = {"stock": bare_loop(run, stock), "compiled": bare_loop(run, compiled)}
    first = {name: seconds(loop, 1) for name, loop in loops.items()}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, loop in loops.items():
            times[name].append(seconds(loop, STEPS))
    return {
        "width": width,
        "precision": precision,
        "seconds_to_compile": round(first["compiled"], 1),
        "milliseconds": {name: round(1000 * statistics.median(t[1:]) / STEPS, 1) for name, t in times.items()},
        "speed_of_compiled": ratio((times["stock"][1:], times["compiled"][1:])),
    }


def main() -> None:
    root = os.environ.get("DCGAN_DATA", "data")
    for width in (64, 32):
        for precision in ("bf16-mixed", "32-true"):
            line = measure(width, precision, root)
            record(RESULTS, line)
            print(line, flush=True)


if __name__ == "__main__":
    main()
