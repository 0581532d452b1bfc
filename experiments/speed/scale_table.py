"""The table of scale.jsonl: what was measured, which bound holds, and what other machines would take.

    python experiments/speed/scale_table.py

A bound is the time that arithmetic alone (operations over the peak of a large matrix product), memory alone (bytes over
the bandwidth of a large copy) or the framework alone (operations times what one costs where there is next to no
arithmetic) would take; the largest is the one that holds. Other machines: nothing was run there. Their times are the
largest of the same three, from their vendors' figures and ``LAUNCH`` seconds an operation.
"""

import json
from pathlib import Path
from typing import Any

LINES = [json.loads(line) for line in (Path(__file__).parent / "scale.jsonl").read_text().splitlines()]
DERIVED = {  # bf16 (T4: float16) TFLOP/s without sparsity, TB/s, from the data sheets
    "T4": (65.0, 0.32),
    "A100 80 GB": (312.0, 2.04),
    "H100 SXM": (989.0, 3.35),
}
LAUNCH = 10e-6  # an operation in eager PyTorch: an assumption, of the usual order
TINY = {"model.width": 2, "data.batch_size": 4}


def name_of(setting: dict[str, int]) -> str:
    return ", ".join(f"{key.split('.')[1]} {value}" for key, value in setting.items()) or "width 64, batch 128, 28x28"


def bounds(line: dict[str, Any], *, per_operation: float) -> dict[str, float]:
    """Milliseconds, by name."""
    return {
        "compute": 1000 * line["gflop"] / line["peak_gflop_per_second"],
        "memory": line["megabytes"] / line["peak_gigabytes_per_second"],
        "framework": 1000 * line["operations"] * per_operation,
    }


def main() -> None:
    tiny = {line["precision"]: line for line in LINES if line["setting"] == TINY}
    print("| setting | GFLOP | MB | float32 ms (bound, its ms) | bf16 ms (bound, its ms) |", end="")
    print("".join(f" {name} ms |" for name in DERIVED))
    print("|---" * (5 + len(DERIVED)) + "|")
    for line in LINES:
        if line["precision"] != "bf16-mixed":
            continue
        cells = [name_of(line["setting"]), f"{line['gflop']:.1f}", f"{line['megabytes']:.0f}"]
        for precision in ("32-true", "bf16-mixed"):
            other = next(o for o in LINES if (o["setting"], o["precision"]) == (line["setting"], precision))
            cost = tiny[precision]["milliseconds"] / 1000 / tiny[precision]["operations"]
            found = bounds(other, per_operation=cost)
            bound = max(found, key=found.__getitem__)
            cells.append(f"{other['milliseconds']:.0f} ({bound}, {found[bound]:.0f})")
        for teraflops, terabytes in DERIVED.values():
            machine = {"peak_gflop_per_second": 1000 * teraflops, "peak_gigabytes_per_second": 1000 * terabytes}
            found = bounds(line | machine, per_operation=LAUNCH)
            bound = max(found, key=found.__getitem__)
            cells.append(f"{found[bound]:.1f} ({bound})")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
