"""How a step's cost grows with batch, width, depth and resolution, and which bound holds where.

    python experiments/speed/scale.py

Around one setting (width 64, batch 128, 28x28, two strided convolutions), one thing changes at a time. Measured: the
bare step of bench.py on one thread, in bf16 and in float32, medians. Counted, with ``fast`` off, as an accelerator
computes: floating-point operations of matrix products and convolutions, bytes that each operation reads and returns
(caches ignored, and what the optimisers write in place), and the number of operations. Overwrites scale.jsonl;
scale_table.py turns it into the table, and derives what an accelerator would take.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench import bare_loop, build_run
from record import record
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from dcgan.training import build

RESULTS = Path(__file__).parent / "scale.jsonl"
STEPS, WARM_UP = 9, 3
SETTINGS = [
    {},
    *({"data.batch_size": n} for n in (16, 32, 64, 256, 512)),
    *({"model.width": n} for n in (8, 16, 32, 128)),
    *({"data.resolution": 32, "model.depth": n} for n in (1, 2, 3)),
    *({"data.resolution": 64, "model.depth": n} for n in (2, 3, 4)),
    {"model.width": 2, "data.batch_size": 4},  # next to no arithmetic: what the framework costs
]


class Traffic(TorchDispatchMode):
    """Counts operations that move data, and the bytes of their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            picked = func is torch.ops.aten.index.Tensor  # a batch: of the whole data set it reads as much as it writes
            leaves = tree_leaves((result, result) if picked else (args, kwargs, result))
            tensors = [t for t in leaves if isinstance(t, Tensor)]
            self.operations += 1
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        return result


def measure(setting: dict[str, int], precision: str, root: str) -> dict[str, Any]:
    words = [f"trainer.precision={precision}", *(f"{key}={value}" for key, value in setting.items())]
    run = build_run(words, root=root, folder=Path("unused"))
    loop = bare_loop(run, run.gan)
    counted = bare_loop(run, build.build_gan(replace(run.config, fast=False)))
    times = []
    for _ in range(WARM_UP + STEPS):
        started = time.perf_counter()
        next(loop)
        times.append(time.perf_counter() - started)
    with FlopCounterMode(display=False) as arithmetic, Traffic() as traffic:
        next(counted)
    networks = (run.gan.generator, run.gan.discriminator)
    return {
        "setting": setting,
        "precision": precision,
        "milliseconds": round(1000 * statistics.median(times[WARM_UP:]), 2),
        "gflop": round(arithmetic.get_total_flops() / 1e9, 3),
        "megabytes": round(traffic.bytes / 1e6, 1),
        "operations": traffic.operations,
        "parameters": sum(p.numel() for network in networks for p in network.parameters()),
    }


def peaks(precision: str) -> dict[str, float]:
    """GFLOP/s of a large matrix product and GB/s of a large copy, read and written: the best of nine."""
    matrix = torch.randn(2048, 2048, dtype=torch.bfloat16 if precision == "bf16-mixed" else torch.float32)
    block = torch.zeros(2**26)
    target = torch.empty_like(block).copy_(block)  # pages that are there already

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(9):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return min(times)

    product, copy = best(lambda: matrix @ matrix), best(lambda: target.copy_(block))
    return {
        "peak_gflop_per_second": round(2 * 2048**3 / product / 1e9, 1),
        "peak_gigabytes_per_second": round(2 * block.numel() * 4 / copy / 1e9, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    root = os.environ.get("DCGAN_DATA", "data")
    RESULTS.write_text("")
    for precision in ("bf16-mixed", "32-true"):
        found = peaks(precision)
        for setting in SETTINGS:
            line = measure(setting, precision, root) | found
            record(RESULTS, line)
            print(line, flush=True)


if __name__ == "__main__":
    main()
