"""Where the time of a bare step goes, by kind of operation: a profile, in milliseconds of the calling thread.

    python experiments/speed/operations.py --width 64 --threads 2

Twelve profiled steps after five others, 128 images, the precision of this machine. The profiler itself adds some per
cent. Appends to operations.jsonl, with every operation that takes a hundredth of a step or more.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch
from bench import bare_loop, build_run, copy_microseconds, seconds
from record import record
from torch.profiler import ProfilerActivity, profile

from dcgan.training import build

RESULTS = Path(__file__).parent / "operations.jsonl"
STEPS = 12
KINDS = {
    "matrix products, patches (last convolution, dense)": ("im2col", "col2im", "::mm", "::addmm"),
    "batch norm": ("batch_norm",),
    "activations": ("relu", "threshold", "clamp_min", "tanh"),
    "copies, casts": ("copy_", "pixel_"),
    "optimisers, average": ("Optimizer", "adam", "lerp"),
}


def kind(name: str, shapes: list[list[int]]) -> str:
    if "convolution" in name:
        weight = next(shape for shape in reversed(shapes) if len(shape) == 4)
        return f"convolutions, {'inner' if weight[1] > 4 else 'first'}"  # gradients in their fast form are some, too
    return next((shown for shown, parts in KINDS.items() if any(part in name for part in parts)), "the rest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = build_run(
            ["experiment=dcgan", f"model.width={arguments.width}"], root=arguments.root, folder=Path(folder)
        )
    loop = bare_loop(run, build.build_gan(run.config))
    seconds(loop, 5)
    step = 1000 * seconds(loop, STEPS) / STEPS
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        seconds(loop, STEPS)
    kinds: dict[str, float] = {}
    operations = {}
    for event in profiler.key_averages(group_by_input_shape=True):
        milliseconds = event.self_cpu_time_total / 1000 / STEPS
        shapes = [shape for shape in event.input_shapes if shape]
        name = kind(event.key, shapes)
        kinds[name] = kinds.get(name, 0.0) + milliseconds
        if milliseconds >= step / 100:
            operations[f"{event.key} {shapes}"] = round(milliseconds, 2)
    found = {
        "width": arguments.width,
        "threads": arguments.threads,
        "precision": run.config.trainer.precision,
        "step_ms": round(step, 1),
        "copy_256kB_us": round(copy_microseconds(), 2),
        "kinds_ms": {name: round(value, 2) for name, value in sorted(kinds.items(), key=lambda item: -item[1])},
        "operations_ms": dict(sorted(operations.items(), key=lambda item: -item[1])),
    }
    print(f"step {found['step_ms']} ms", *(f"{value:7.2f}  {name}" for name, value in kinds.items()), sep="\n")
    record(RESULTS, found)


if __name__ == "__main__":
    main()
