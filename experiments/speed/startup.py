"""How long until something happens: --help, a mistake, the first optimiser step, a drawing; in turns with baselines.

    python experiments/speed/startup.py

--help and a mistake against a smallest program with Hydra's own --help, started as we are; the first step of
``experiment=quick``, data present, against the imports it needs, in the same process; 64 images drawn by
``dcgan.generate`` from a run of ``experiment=quick`` (one step of it), in turns with the import of torch alone, with
the peak of its memory. Appends to startup.jsonl.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

RESULTS = Path(__file__).parent / "startup.jsonl"
PAIRS = 9
HYDRA_ALONE = """
import hydra

@hydra.main(version_base="1.3", config_path=None, config_name=None)
def main(config):
    pass

main()
"""
FIRST_STEP = """
import time
begun = time.perf_counter()
from hydra import compose, initialize_config_dir
from lightning import Callback
from dcgan.runs import run as runs
from dcgan.config.check import check
from dcgan.config.schema import CONF, TrainConfig
imported = time.perf_counter()
import os, sys
from pathlib import Path

class Stop(Callback):
    def on_train_batch_end(self, *_):
        print(imported - begun, time.perf_counter() - imported, flush=True)
        os._exit(0)

with initialize_config_dir(str(CONF), version_base="1.3"):
    config = check(compose("train", ["experiment=quick", "trainer.gpus=0", *sys.argv[1:]]), TrainConfig)
run = runs.build_run(config, Path(f"run{os.getpid()}"))
run.trainer.callbacks.append(Stop())
with runs.held(run, auto=False):
    runs.record_start(run, [])
    runs.fit(run)
"""


def seconds(*words: str, code: int) -> float:
    started = time.perf_counter()
    assert subprocess.run([sys.executable, *words], check=False, capture_output=True).returncode == code
    return time.perf_counter() - started


def first_step(root: str) -> tuple[float, float]:
    words = [sys.executable, "-c", FIRST_STEP, f"data.root={root}"]
    output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    imports, step = map(float, output.split("\n")[-2].split())
    return imports, step


def cost(*words: str) -> tuple[float, float]:
    """Seconds and the peak of the memory in MB of a Python process."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return time.perf_counter() - started, usage.ru_maxrss / 1000


def one_step_of_quick(root: str) -> Path:
    words = ["-m", "dcgan.train", "experiment=quick", "trainer.max_steps=1", "metrics.num_samples=20", "trainer.gpus=0"]
    subprocess.run([sys.executable, *words, f"data.root={root}"], check=True, capture_output=True)
    return next(Path("outputs").iterdir())


def main() -> None:
    found: dict[str, list[float]] = {}
    root = str(Path(os.environ.get("DCGAN_DATA", "data")).absolute())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("alone.py").write_text(HYDRA_ALONE)
        run = one_step_of_quick(root)
        for turn in range(PAIRS):
            draw = ("-m", "dcgan.generate", f"run={run}", "n=64", f"out=drawn{turn}.png")
            for name, words in (("torch_alone", ("-c", "import torch")), ("drawing", draw)):
                for key, value in zip((name, f"{name}_megabytes"), cost(*words), strict=True):
                    found.setdefault(key, []).append(round(value, 3))
            for name, words, code in (
                ("hydra_alone", ["alone.py", "--help"], 0),
                ("help", ["-m", "dcgan.train", "--help"], 0),
                ("mistake", ["-m", "dcgan.train", "optimizer.lr=-1"], 1),
            ):
                found.setdefault(name, []).append(round(seconds(*words, code=code), 3))
            for name, value in zip(("imports", "first_step_after_imports"), first_step(root), strict=True):
                found.setdefault(name, []).append(round(value, 3))
    for name, alone in (("help", "hydra_alone"), ("mistake", "hydra_alone"), ("drawing", "torch_alone")):
        over = [a - b for a, b in zip(found[name], found[alone], strict=True)]
        found[f"{name}_over_{alone}"] = [round(value, 3) for value in over]
    for name, values in found.items():
        print(f"{name:<26} {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    record(RESULTS, {"seconds": found})


if __name__ == "__main__":
    main()
