"""What one's own images cost: 70,000 PNG files read the first time and again, checked up, and trained on from the disk.

    python experiments/speed/folder.py

MNIST as a folder of PNG files of 28 x 28 in a folder for each class. Asked of 60,000 files on two cores: 60 s the first
time, 1 s after; 30 s for `dcgan.doctor`. Then 1,500 steps of a small model whose images stay a file (`data.memory` is
below their size): the memory of the process that is its own (RssAnon) in the middle and at the end. CPU-seconds count
here: the machine is shared. Appends to folder.jsonl.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image
from record import record

from dcgan.data.readers import read

RESULTS = Path(__file__).parent / "folder.jsonl"
PREPARE = """
import resource, sys, time
from dcgan.config.options import FolderData
from dcgan.data.prepared import found
started = time.perf_counter()
facts = found(FolderData(name="folder", folder=sys.argv[1], root="data", batch_size=1, background="black",
                         unreadable="stop", memory=4))
used = resource.getrusage(resource.RUSAGE_SELF)
print(facts.num_train + facts.num_test, time.perf_counter() - started, used.ru_utime + used.ru_stime)
"""
TRAIN = (
    "model.width=4 data.batch_size=64 metrics=none logger=none trainer.gpus=0 samples.every=999 checkpoints.every=999 "
    "trainer.max_steps=1500 data.memory=0.001"
)


def write_files(folder: Path) -> int:
    number = 0
    for split in ("train", "test"):
        for image, label in zip(*read("mnist", Path(os.environ.get("DCGAN_DATA", "data")), split=split), strict=True):
            path = folder / split / str(int(label)) / f"{number:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(path)
            number += 1
    return number


def timed(*command: str) -> tuple[float, float, int]:
    """Wall seconds, CPU-seconds and exit code of a process."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    return round(seconds, 1), round(usage.ru_utime + usage.ru_stime, 1), os.waitstatus_to_exitcode(status)


def own_memory(folder: Path, out: Path) -> list[int]:
    """MB of a run's own, once a second."""
    words = [*TRAIN.split(), "data=folder", f"data.folder={folder}", f"hydra.run.dir={out}"]
    child = subprocess.Popen([sys.executable, "-m", "dcgan.train", *words], stdout=subprocess.DEVNULL)
    found: list[int] = []

    def watch() -> None:
        while child.poll() is None:
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            found.extend(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))
            time.sleep(1)

    thread = threading.Thread(target=watch)
    thread.start()
    assert child.wait() == 0
    thread.join()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "mine"
        line: dict[str, object] = {"files": write_files(folder)}
        for what in ("first", "again"):
            done = subprocess.run(
                [sys.executable, "-c", PREPARE, str(folder)], capture_output=True, text=True, check=True
            )
            _, wall, cpu = map(float, done.stdout.split())
            line |= {f"{what}_wall_seconds": round(wall, 1), f"{what}_cpu_seconds_with_imports": round(cpu, 1)}
        words = ["-m", "dcgan.doctor", "data=folder", f"data.folder={folder}", f"out={temporary}/checkup"]
        wall, cpu, code = timed(*words)
        assert code == 0, "clean MNIST raised something"
        line |= {"doctor_wall_seconds": wall, "doctor_cpu_seconds": cpu}
        memory = own_memory(folder, Path(temporary) / "run")
        third = len(memory) // 3
        line |= {
            "own_mb_in_the_second_third": max(memory[third : 2 * third]),
            "and_in_the_last": max(memory[2 * third :]),
        }
        print(line)
        record(RESULTS, line)


if __name__ == "__main__":
    main()
