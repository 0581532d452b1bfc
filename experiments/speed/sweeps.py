"""What a sweep costs beside its runs: preparing 200 jobs, and the time between one job's end and the next one's start.

    python experiments/speed/sweeps.py

Preparing: 40 rates and 5 seeds of the defaults, composed, checked and named as `python -m dcgan.train -m` does it, in
CPU-seconds of a process that has nothing else to do. Per job: a sweep of ten tiny runs in one process, its wall time
less what the runs themselves report and less the start of a process that only prints its help. Appends to sweeps.jsonl.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from record import record

from dcgan.config.schema import CONF
from dcgan.shell.sweeper import _jobs, plan

RESULTS = Path(__file__).parent / "sweeps.jsonl"
WORDS = [f"++optimizer.lr={','.join(f'{n}e-4' for n in range(1, 41))}", "seed=0,1,2,3,4"]
TINY = "model.width=4 data.batch_size=16 metrics=none logger=none trainer.gpus=0 trainer.max_steps=2 samples.n=4"
JOBS = 10


def prepared() -> float:
    """CPU-seconds until all 200 jobs are checked."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        started = time.process_time()
        master = loader.load_configuration("train", WORDS, run_mode=RunMode.MULTIRUN)
        assert len(plan(_jobs(WORDS, loader, master), Path("nowhere"))) == 200
        return time.process_time() - started


def seconds(*words: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dcgan.train", *words], check=True, capture_output=True)
    return time.perf_counter() - started


def per_job() -> float:
    """Wall seconds of a job beside its run."""
    with tempfile.TemporaryDirectory() as folder:
        bare = seconds("--help")
        words = ["-m", *TINY.split(), f"seed={','.join(map(str, range(JOBS)))}", f"hydra.sweep.dir={folder}"]
        whole = seconds(*words)
        runs = [json.loads(path.read_text())["results"]["seconds"] for path in Path(folder).glob("*/status.json")]
    assert len(runs) == JOBS
    return (whole - bare - sum(runs)) / JOBS


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for _ in range(3):
        line = {"prepare_200_jobs_cpu_seconds": prepared(), "per_job_seconds": per_job()}
        print(line, flush=True)
        record(RESULTS, line)


if __name__ == "__main__":
    main()
