"""Images/s of ``dcgan.train`` against a plain PyTorch loop, and against the same step without Lightning.

All three train the same networks and take turns, ``--steps`` steps each, so that a change of the machine's speed meets
all of them; what counts is the ratio within a round. The first round warms up and is dropped. The plain loop has a
process of its own, whose memory and environment are as nobody set them; ``dcgan.train`` and the bare step share one.
What it takes the threads to copy 256 kB together, after every round, says in which of two states the machine was
(states.py).
Logging and the progress bar are on; evaluation, pictures and checkpoints, which happen every 500 steps, are not due.

    python experiments/speed/bench.py                       # what `make bench` runs: width 64 and 32, two precisions
    python experiments/speed/bench.py --widths 64 --precisions 32-true --rounds 15
"""

import argparse
import itertools
import multiprocessing
import os
import random
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from lightning import Callback
from record import record
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from dcgan.config.check import check
from dcgan.config.schema import CONF, TrainConfig
from dcgan.data.latents import random_stream, sent
from dcgan.data.sources import prepare
from dcgan.runs import run as runs
from dcgan.training import build
from dcgan.training.gan import GAN
from dcgan.training.player import frozen

RESULTS = Path(__file__).parent / "results.jsonl"


def plain_loop(config: TrainConfig) -> Iterator[None]:
    """The loop of the tutorials: float32, default layout, a DataLoader over torchvision's MNIST and its transforms."""
    device = device_of(config)
    gan = build.build_gan(replace(config, fast=False))
    generator, discriminator = gan.generator.to(device), gan.discriminator.to(device)
    g_optimizer, d_optimizer = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)
    )
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    data = DataLoader(
        MNIST(config.data.root, transform=transform), batch_size=config.data.batch_size, shuffle=True, drop_last=True
    )
    criterion = torch.nn.BCEWithLogitsLoss()
    ones, zeros = (make(config.data.batch_size, device=device) for make in (torch.ones, torch.zeros))
    for step in itertools.count():
        if step % len(data) == 0:
            batches = iter(data)
        real = next(batches)[0].to(device)
        discriminator.zero_grad()
        real_loss = criterion(discriminator(real).logits, ones)
        real_loss.backward()
        fake = generator(torch.randn(config.data.batch_size, config.model.latent_dim, device=device))
        fake_loss = criterion(discriminator(fake.detach()).logits, zeros)
        fake_loss.backward()
        d_optimizer.step()
        generator.zero_grad()
        generator_loss = criterion(discriminator(fake).logits, ones)
        generator_loss.backward()
        g_optimizer.step()
        if step % 50 == 0:
            (real_loss + fake_loss).item(), generator_loss.item()
        yield


def serve_plain_loop(config: TrainConfig, pipe: Connection) -> None:
    """Takes as many steps as the pipe says and answers how many seconds they took, until it says 0."""
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)  # Lightning's: ask_for_gpus_once in dcgan/runs/hardware.py
    loop = plain_loop(config)
    while steps := pipe.recv():
        pipe.send(seconds(loop, steps))


def seconds(loop: Iterator[None], steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        next(loop)
    wait()
    return time.perf_counter() - started


def wait() -> None:
    """Until a GPU has done what it was told; a clock would else stop too early."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def device_of(config: TrainConfig) -> torch.device:
    return torch.device("cpu" if config.trainer.gpus == 0 else "cuda:0")


def bare_loop(run: runs.Run, gan: GAN) -> Iterator[None]:
    """What ``GAN.training_step`` computes, with this package's data and noise, and nothing around it."""
    config, device = run.config, device_of(run.config)
    gan = gan.to(device)
    d_optimizer, g_optimizer = gan.configure_optimizers()
    sampler = run.data.train_dataloader()
    autocast = partial(
        torch.autocast, device.type, torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed",
        cache_enabled=False,  # of cast weights, as Lightning has it
    )  # fmt: skip
    first = 0
    while True:
        sampler.first_step = lambda first=first: first
        for step, index in enumerate(sampler, first):
            images, _ = run.data.transfer_batch_to_device(index, device, 0)
            real = images.contiguous(memory_format=gan.memory_format)
            shape = (config.data.batch_size, config.model.latent_dim)
            noise = sent(torch.randn(shape, generator=random_stream(config.seed, "latents", step)), device)
            with autocast():
                fake = gan.generator(noise)
                d_optimizer.zero_grad()
                real_logits = gan.discriminator(real).logits.float()
                fake_logits = gan.discriminator(fake.detach()).logits.float()
                loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
            loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
            with frozen(gan.discriminator):
                with autocast():
                    loss = F.softplus(-gan.discriminator(fake).logits.float()).mean()
                loss.backward()
            g_optimizer.step()
            gan.ema.update(gan.generator, num_images=len(real))
            yield
        first += len(sampler)


def copy_microseconds() -> float:
    """What it takes all threads together to copy 256 kB."""
    source, target = torch.ones(2**16), torch.empty(2**16)
    return min(timeit.repeat(lambda: target.copy_(source), number=1000, repeat=4)) * 1000


class Turns(Callback):
    """Lets the others take their turn after every ``steps`` steps of the trainer, and keeps everybody's seconds."""

    def __init__(self, others: dict[str, Callable[[int], float]], *, steps: int) -> None:
        self.others = others
        self.steps = steps
        self.seconds: dict[str, list[float]] = {name: [] for name in ("dcgan.train", *others)}
        self.copy_microseconds: list[float] = []
        self.resumed = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: GAN, *_: Any) -> None:
        if trainer.global_step % self.steps:
            return
        wait()
        self.seconds["dcgan.train"].append(time.perf_counter() - self.resumed)
        for name in random.sample(list(self.others), k=len(self.others)):
            self.seconds[name].append(self.others[name](self.steps))
        self.copy_microseconds.append(round(copy_microseconds(), 2))
        self.resumed = time.perf_counter()


def build_run(words: list[str], *, root: str, folder: Path, gpus: int = 0) -> runs.Run:
    """Without evaluation; ``folder`` is not touched before it starts."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        fixed = [f"data.root={root}", f"trainer.gpus={gpus}", "metrics=none"]
        return runs.build_run(check(compose("train", [*words, *fixed]), TrainConfig), folder)


def ratio(*sessions: tuple[list[float], list[float]]) -> dict[str, float]:
    """Median of all rounds' slow / fast, and its 95 % interval: bootstrap over sessions and the rounds of each."""
    ratios = [[a / b for a, b in zip(slow, fast, strict=True)] for slow, fast in sessions]
    medians = sorted(
        statistics.median(
            r for each in random.choices(ratios, k=len(ratios)) for r in random.choices(each, k=len(each))
        )
        for _ in range(2000)
    )
    return {"median": statistics.median(itertools.chain(*ratios)), "low": medians[50], "high": medians[1949]}


def bench(width: int, precision: str, *, steps: int, rounds: int, root: str, gpus: int = 0) -> dict[str, Any]:
    words = [
        *("experiment=dcgan", f"model.width={width}", f"trainer.precision={precision}"),
        f"trainer.max_steps={steps * (rounds + 1)}",
        *("samples.every=1000000", "checkpoints.every=1000000"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = build_run(words, root=root, folder=Path(folder), gpus=gpus)
        config = run.config
        spawn = multiprocessing.get_context("spawn")
        pipe, theirs = spawn.Pipe()
        child = spawn.Process(target=serve_plain_loop, args=(config, theirs), daemon=True)
        child.start()
        theirs.close()  # so that waiting for a child that died is an EOFError
        bare = bare_loop(run, build.build_gan(config))

        def plain(steps: int) -> float:
            pipe.send(steps)
            return float(pipe.recv())

        turns = Turns({"plain": plain, "bare": lambda steps: seconds(bare, steps)}, steps=steps)
        run.trainer.callbacks.insert(0, turns)
        runs.fit(run)
        pipe.send(0)
        child.join()
    images = steps * config.data.batch_size
    by_name = {name: s[1:] for name, s in turns.seconds.items()}
    return {
        "width": width,
        "precision": run.config.trainer.precision,
        "batch_size": config.data.batch_size,
        "rounds": rounds,
        "steps_per_round": steps,
        "images_per_second": {name: round(images / statistics.median(s)) for name, s in by_name.items()},
        "speed_over_plain": ratio((by_name["plain"], by_name["dcgan.train"])),
        "time_over_bare": ratio((by_name["dcgan.train"], by_name["bare"])),
        "seconds": {name: [round(value, 4) for value in s] for name, s in by_name.items()},
        "copy_microseconds": turns.copy_microseconds[1:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 32])
    parser.add_argument("--precisions", nargs="+", default=["auto", "32-true"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--root", default=os.environ.get("DCGAN_DATA", "data"))
    arguments = parser.parse_args()
    prepare("mnist", Path(arguments.root))
    for width, precision in itertools.product(arguments.widths, arguments.precisions):
        result = bench(width, precision, steps=arguments.steps, rounds=arguments.rounds, root=arguments.root)
        record(RESULTS, result)
        plain, bare = result["speed_over_plain"], result["time_over_bare"]
        copies = result["copy_microseconds"]
        print(f"width {width}, {result['precision']}: images/s {result['images_per_second']}")
        print(f"  speed over the plain loop  {plain['median']:.2f} (95 %: {plain['low']:.2f} to {plain['high']:.2f})")
        print(f"  time over the bare step    {bare['median']:.3f} (95 %: {bare['low']:.3f} to {bare['high']:.3f})")
        print(f"  microseconds for 256 kB    {statistics.median(copies):.1f} ({min(copies):.1f} to {max(copies):.1f})")


if __name__ == "__main__":
    main()
