"""What ``dcgan.generate format=npz`` costs over the bare forward pass, and its memory at any number of samples.

    python experiments/speed/sampling.py [width ...]     # 64 and 8, unless said

Processor time, not the clock: 8,000 samples to disk and the network alone, on latents that are there, take turns; one
thread, each width of a run of one step. Beside them images a CPU-second of `format=onnx` in onnxruntime. Then the peak
of the memory of whole commands, of 20,000 and 100,000 samples.
Appends to sampling.jsonl.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from record import record

from dcgan.config.schema import GenerateConfig
from dcgan.models.base import SAMPLING_BATCH, Generator
from dcgan.models.precision import full_float32
from dcgan.runs.load import load
from dcgan.sharing.draw import Drawing, drawing
from dcgan.sharing.forms import plain, write_onnx
from dcgan.sharing.stream import Stream

RESULTS = Path(__file__).parent / "sampling.jsonl"
TURNS, SAMPLES, MANY = 5, 8_000, (20_000, 100_000)


def one_step(width: int) -> Path:
    words = [f"model.width={width}", "trainer.max_steps=1", "trainer.gpus=0", "metrics=none", "logger=none"]
    subprocess.run(
        [sys.executable, "-m", "dcgan.train", *words, f"hydra.run.dir=width{width}"], check=True, capture_output=True
    )
    return Path(f"width{width}")


def seconds(task: Callable[[], None]) -> float:
    started = time.process_time()
    task()
    return time.process_time() - started


def bare(generator: Generator, asked: Drawing) -> None:
    batch = asked.latents(0, SAMPLING_BATCH)
    with torch.inference_mode(), full_float32("cpu"):
        for _ in range(SAMPLES // SAMPLING_BATCH):
            generator(batch)


def ratios(run: Path) -> list[float]:
    """Of samples to disk over the mean of the network alone before and after."""
    loaded = load(run, checkpoint="last", device="cpu")
    config = GenerateConfig(str(run), "last", SAMPLES, [0], None, "npz", None, True, "cpu")
    asked = drawing(config, loaded.generator, loaded.config)
    before, found = seconds(lambda: bare(loaded.generator, asked)), []
    for _ in range(TURNS):
        whole = seconds(Stream(asked, loaded, config, Path("samples.npz")).write)
        after = seconds(lambda: bare(loaded.generator, asked))
        found.append(round(2 * whole / (before + after), 4))
        before = after
    return found


def rates(run: Path) -> dict[str, int]:
    """Images a CPU-second of the network, of the samples on the disk, and of onnxruntime: the best of the turns."""
    loaded = load(run, checkpoint="last", device="cpu")
    write_onnx(plain(loaded), Path("generator.onnx"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession("generator.onnx", options, providers=["CPUExecutionProvider"])
    config = GenerateConfig(str(run), "last", SAMPLES, [0], None, "npz", None, True, "cpu")
    asked = drawing(config, loaded.generator, loaded.config)
    latents = {"latents": asked.latents(0, SAMPLING_BATCH).numpy()}

    def in_onnxruntime() -> None:
        for _ in range(SAMPLES // SAMPLING_BATCH):
            session.run(None, latents)

    tasks = {
        "network": lambda: bare(loaded.generator, asked),
        "samples": Stream(asked, loaded, config, Path("samples.npz")).write,
        "onnxruntime": in_onnxruntime,
    }
    return {name: round(SAMPLES / min(seconds(task) for _ in range(TURNS))) for name, task in tasks.items()}


def megabytes(run: Path, number: int) -> float:
    words = [f"run={run}", "checkpoint=last", f"n={number}", "format=npz", "out=many.npz", "overwrite=true"]
    child = subprocess.Popen([sys.executable, "-m", "dcgan.generate", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1000


def main(widths: list[int]) -> None:
    torch.set_num_threads(1)
    os.environ["DCGAN_DATA"] = str(Path(os.environ.get("DCGAN_DATA", "data")).absolute())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for width in widths:
            found = ratios(one_step(width))
            print(
                f"width {width}: {statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f}) of the bare pass"
            )
            images = rates(Path(f"width{width}"))
            print(f"images a CPU-second: {images}")
            record(RESULTS, {"width": width, "ratios": found, "images_a_cpu_second": images})
        memory = {str(number): megabytes(Path(f"width{widths[-1]}"), number) for number in MANY}
    print(f"peak of the memory in MB: {memory}")
    record(RESULTS, {"megabytes": memory})


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [64, 8])
