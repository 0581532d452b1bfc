"""The queue: every run of the benchmark that has no line in ``results.jsonl`` yet, one after the other, on one thread.

    python experiments/2026-11-30_failures/run.py            # DCGAN_DATA says where MNIST and Fashion-MNIST are
    python experiments/2026-11-30_failures/run.py fresh      # only what is judged at last

Causes, architectures and healthy runs alternate, so that a queue which is stopped early has some of everything.
"""

import json
import os
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch
from cases import cases, fresh
from one_run import record, write_trace

from dcgan.data.readers import read
from dcgan.shell.writing import append_json

HERE = Path(__file__).parent
RESULTS, TRACES = HERE / "results.jsonl", HERE / "traces"
ROOT = Path(os.environ.get("DCGAN_DATA", "data")).absolute()
FEW, FEW_TEST = 200, 1000


def done() -> set[str]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {json.loads(line)["id"] for line in lines}


def few_images(path: Path) -> None:
    """200 images of MNIST to train on, 1,000 of its test set held out."""
    train, test = read("mnist", ROOT, split="train"), read("mnist", ROOT, split="test")
    arrays = {
        "x_train": train[0][:FEW],
        "y_train": train[1][:FEW],
        "x_test": test[0][:FEW_TEST],
        "y_test": test[1][:FEW_TEST],
    }
    np.savez(
        path,
        **{name: values.squeeze(1).numpy() if name[0] == "x" else values.numpy() for name, values in arrays.items()},
    )


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    scratch = HERE.parents[1] / "outputs" / "failures"
    scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(scratch)
    if not Path("few.npz").exists():
        few_images(Path("few.npz"))
    todo = [case for case in (fresh() if sys.argv[1:] == ["fresh"] else cases()) if case.id not in done()]
    print(f"{len(todo)} runs to do", flush=True)
    for case in todo:
        try:
            result, lines = record(case, ROOT)
        except Exception:
            traceback.print_exc()
            continue
        write_trace(TRACES / f"{case.id}.jsonl.xz", lines)
        append_json(RESULTS, result)
        last = [line for line in lines if line["kind"] == "evaluation"][-1:]
        fid = last[0]["fid"] if last else None
        print(f"{case.id}: {result['seconds']} s, {result['steps']} steps, FID {fid}, {result['error']}", flush=True)


if __name__ == "__main__":
    main()
