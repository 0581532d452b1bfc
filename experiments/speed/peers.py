"""What other people's DCGANs reach on one CPU core in 30 minutes, and ours: FID over the process's CPU-seconds.

    python experiments/speed/peers.py      # four peers, two recipes of ours, two seeds: five CPU-hours, one thread
    python experiments/speed/peers.py --minutes 1 --names lightning

A queue: runs that have their line in peers.jsonl are skipped. Networks, hyper-parameters, batch size and order of
updates are the peers', in float32 and a plain loop, written anew from their descriptions:

- ``pytorch_examples``: the DCGAN of pytorch/examples, at 64x64
- ``tensorflow_tutorial``: the DCGAN tutorial of TensorFlow; both gradients come from one pass of each network
- ``lightning``: the fully connected GAN example of PyTorch Lightning; the generator goes first, and the discriminator
  is given new fakes
- ``pytorch_gan``: dcgan.py of PyTorch-GAN, at 32x32; the generator goes first

Four things differ, each to the peer's advantage: images wait in memory, made ready once; an epoch's last, smaller batch
is dropped; images are in [-1, 1] for Lightning's too, whose tanh cannot reach the range that its notebook scales to;
and they are padded to PyTorch-GAN's 32x32, where it resizes.

All are scored like our runs while training (``fid_digits``, 2,000 samples, training split) and with the two extractors
that nothing is tuned to. Samples and real images of 64x64 go through one resize and those of 32x32 through one crop, to
28x28: dcgan.data.images.fit. Time spent on scoring is not counted; reading and resizing the data is (at the start,
once), imports are not. Ours, which must end within --minutes: ``quick``, which is given labels, and ``best``, which is
not.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from bench import build_run
from lightning import Callback, Trainer
from record import with_provenance
from torch import Tensor, nn

from dcgan.data.images import to_float, to_uint8
from dcgan.data.module import ImageData
from dcgan.features.spaces import load_feature_space
from dcgan.metrics.measure import monitor, values
from dcgan.metrics.reference import Reference, reference_of
from dcgan.runs import run as runs
from dcgan.training.gan import GAN

RESULTS = Path(__file__).parent / "peers.jsonl"
NUM_SAMPLES = 2000
SPACES = ("digits", "digits1", "digits_residual")
OURS = ("quick", "best")


@dataclass
class Peer:
    """Networks, and what their authors train them with."""

    generator: nn.Module
    discriminator: nn.Module
    resolution: int
    batch_size: int
    lr: float
    betas: tuple[float, float]
    eps: float = 1e-8
    generator_first: bool = False
    new_fakes: bool = False
    simultaneous: bool = False


def normal_init(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def pytorch_examples() -> Peer:
    generator = nn.Sequential(nn.Unflatten(1, (100, 1, 1)))
    for i, (inputs, outputs) in enumerate(((100, 512), (512, 256), (256, 128), (128, 64))):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        generator.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        generator.extend([nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)])
    generator.extend([nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh()])
    discriminator = nn.Sequential(nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True))
    for inputs, outputs in ((64, 128), (128, 256), (256, 512)):
        discriminator.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
        discriminator.extend([nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)])
    discriminator.extend([nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Flatten(0)])
    normal_init(generator)
    normal_init(discriminator)
    return Peer(generator, discriminator, resolution=64, batch_size=64, lr=2e-4, betas=(0.5, 0.999))


def tensorflow_tutorial() -> Peer:
    def batch_norm(channels: int, *, dense: bool = False) -> nn.Module:  # Keras: momentum 0.99, epsilon 1e-3
        kind = nn.BatchNorm1d if dense else nn.BatchNorm2d
        return kind(channels, eps=1e-3, momentum=0.01)

    def up(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.ConvTranspose2d(inputs, outputs, 5, stride, 2, output_padding=stride - 1, bias=False)

    generator = nn.Sequential(
        *(nn.Linear(100, 7 * 7 * 256, bias=False), batch_norm(7 * 7 * 256, dense=True), nn.LeakyReLU(0.3)),
        nn.Unflatten(1, (256, 7, 7)),
        *(up(256, 128, 1), batch_norm(128), nn.LeakyReLU(0.3)),
        *(up(128, 64, 2), batch_norm(64), nn.LeakyReLU(0.3)),
        *(up(64, 1, 2), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 64, 5, 2, 2), nn.LeakyReLU(0.3), nn.Dropout(0.3)),
        *(nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.3), nn.Dropout(0.3)),
        *(nn.Flatten(), nn.Linear(128 * 7 * 7, 1), nn.Flatten(0)),
    )
    for layer in [*generator.modules(), *discriminator.modules()]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    settings: dict[str, Any] = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-7}  # Keras: epsilon 1e-7
    return Peer(generator, discriminator, resolution=28, batch_size=256, simultaneous=True, **settings)


def lightning() -> Peer:
    generator = nn.Sequential(nn.Linear(100, 128), nn.LeakyReLU(0.2, inplace=True))
    for inputs, outputs in ((128, 256), (256, 512), (512, 1024)):  # 0.8 is epsilon there, not momentum
        generator.extend([nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs, 0.8), nn.LeakyReLU(0.2, inplace=True)])
    generator.extend([nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))])
    discriminator = nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Linear(512, 256), nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1), nn.Flatten(0)),
    )
    order = {"generator_first": True, "new_fakes": True}
    return Peer(generator, discriminator, resolution=28, batch_size=64, lr=2e-4, betas=(0.5, 0.999), **order)


def pytorch_gan() -> Peer:
    generator = nn.Sequential(nn.Linear(100, 128 * 8 * 8), nn.Unflatten(1, (128, 8, 8)), nn.BatchNorm2d(128))
    for inputs, outputs in ((128, 128), (128, 64)):
        generator.extend([nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1)])
        generator.extend([nn.BatchNorm2d(outputs, 0.8), nn.LeakyReLU(0.2, inplace=True)])
    generator.extend([nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh()])
    discriminator = nn.Sequential()
    for inputs, outputs in ((1, 16), (16, 32), (32, 64), (64, 128)):
        discriminator.append(nn.Conv2d(inputs, outputs, 3, 2, 1))
        discriminator.extend([nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.25)])
        if inputs > 1:
            discriminator.append(nn.BatchNorm2d(outputs, 0.8))
    discriminator.extend([nn.Flatten(), nn.Linear(128 * 2 * 2, 1), nn.Flatten(0)])
    normal_init(generator)
    normal_init(discriminator)
    return Peer(
        generator, discriminator, resolution=32, batch_size=64, lr=2e-4, betas=(0.5, 0.999), generator_first=True
    )


PEERS: dict[str, Callable[[], Peer]] = {
    "lightning": lightning,
    "pytorch_gan": pytorch_gan,
    "tensorflow_tutorial": tensorflow_tutorial,
    "pytorch_examples": pytorch_examples,
}


def train(peer: Peer, images: Tensor) -> Iterator[None]:
    """One step a time; float32, default layout, binary cross-entropy."""
    g_optimizer, d_optimizer = (
        torch.optim.Adam(network.parameters(), lr=peer.lr, betas=peer.betas, eps=peer.eps)
        for network in (peer.generator, peer.discriminator)
    )

    def update_generator(fake: Tensor) -> None:
        g_optimizer.zero_grad()
        F.softplus(-peer.discriminator(fake)).mean().backward()
        g_optimizer.step()

    def update_discriminator(real: Tensor, fake: Tensor) -> None:
        d_optimizer.zero_grad()
        loss = F.softplus(-peer.discriminator(real)).mean() + F.softplus(peer.discriminator(fake.detach())).mean()
        (loss / 2 if peer.generator_first else loss).backward()  # those two halve it
        d_optimizer.step()

    def update_both(real: Tensor, fake: Tensor) -> None:
        real_logits, fake_logits = peer.discriminator(real), peer.discriminator(fake)
        d_loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
        g_parameters, d_parameters = list(peer.generator.parameters()), list(peer.discriminator.parameters())
        g_gradients = torch.autograd.grad(F.softplus(-fake_logits).mean(), g_parameters, retain_graph=True)
        d_gradients = torch.autograd.grad(d_loss, d_parameters)
        for parameter, gradient in zip(g_parameters + d_parameters, g_gradients + d_gradients, strict=True):
            parameter.grad = gradient
        g_optimizer.step()
        d_optimizer.step()

    while True:
        for index in torch.randperm(len(images)).split(peer.batch_size):
            if len(index) < peer.batch_size:
                continue
            real = to_float(images[index])
            noise = torch.randn(peer.batch_size, 100)
            fake = peer.generator(noise)
            if peer.simultaneous:
                update_both(real, fake)
            elif peer.generator_first:
                update_generator(fake)
                update_discriminator(real, peer.generator(noise) if peer.new_fakes else fake)
            else:
                update_discriminator(real, fake)
                update_generator(fake)
            yield


class Clock:
    """FID over the process's CPU-seconds since it was made, without those spent here; looks are ever farther apart."""

    def __init__(self, *, minutes: float, root: Path) -> None:
        self.curve: list[dict[str, float]] = []
        self.limit, self.due = 60 * minutes, 0.0
        self.cpu, self.wall = 0.0, 0.0
        self.spaces = {name: load_feature_space(name) for name in SPACES}
        self.references: dict[str, Reference] = {}
        self.root = root
        self.go_on()

    def go_on(self) -> None:
        self.resumed = time.process_time(), time.perf_counter()

    def pause(self) -> None:
        self.cpu += time.process_time() - self.resumed[0]
        self.wall += time.perf_counter() - self.resumed[1]

    def load_references(self, images: Tensor) -> None:
        self.pause()
        for name, space in self.spaces.items():
            self.references[name] = reference_of(space, images, with_features=False, cache=self.root / "statistics")
        self.go_on()

    def score_if_due(self, step: int, sample: Callable[[], Tensor], *, last: bool = False) -> bool:
        """Score uint8 images from ``sample`` if it is time to, and say whether the whole time is spent."""
        self.pause()
        over = last or self.cpu >= self.limit
        if over or self.cpu >= self.due:
            samples, found = sample(), {}
            for name, space in self.spaces.items():
                measured = monitor(space.extract(samples), space=space, real=self.references[name])
                found[name] = round(values(measured)["fid"], 3)
            spent = {"cpu_seconds": round(self.cpu, 1), "wall_seconds": round(self.wall, 1)}
            self.curve.append({**spent, "step": step, **found})
            self.due = max(self.due + 15, 1.1 * self.cpu)  # what counts is the ratio
        self.go_on()
        return over


@torch.inference_mode()
def draw(peer: Peer) -> Tensor:
    peer.generator.eval()
    latents = torch.randn(NUM_SAMPLES, 100, generator=torch.Generator().manual_seed(0))
    samples = torch.cat([to_uint8(peer.generator(batch)) for batch in latents.split(100)])
    peer.generator.train()
    return samples


def measure_peer(name: str, seed: int, clock: Clock) -> int:
    del os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"]  # Lightning's: see hardware.ask_for_gpus_once
    torch.manual_seed(seed)
    peer = PEERS[name]()
    data = ImageData(
        name="mnist", root=clock.root, batch_size=1, resolution=peer.resolution, channels=1, d_steps=1, seed=seed
    )
    images = data.split("train").images
    clock.load_references(images)
    for step, _ in enumerate(train(peer, images), start=1):
        if clock.score_if_due(step, partial(draw, peer)):
            return step
    raise AssertionError


class ScoreWhileTraining(Callback):
    """Ends the run when the clock says so; its last step is scored in any case."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: Any) -> None:
        step = trainer.global_step
        sample = partial(pl_module.ema.generator.sample, n=NUM_SAMPLES, seed=pl_module.seed)
        if self.clock.score_if_due(step, sample, last=step == trainer.max_steps):
            trainer.should_stop = True


def measure_ours(name: str, seed: int, clock: Clock) -> int:
    words = [f"experiment={name}", f"seed={seed}", "logger=none", "trainer.enable_progress_bar=false"]
    with tempfile.TemporaryDirectory() as folder:
        run = build_run(words, root=str(clock.root), folder=Path(folder))
        clock.load_references(run.data.split("train").images)
        run.trainer.callbacks.insert(0, ScoreWhileTraining(clock))
        runs.fit(run)
    return int(run.trainer.global_step)


def measure(name: str, seed: int, minutes: float, root: Path) -> dict[str, object]:
    torch.set_num_threads(1)
    clock = Clock(minutes=minutes, root=root)
    steps = (measure_peer if name in PEERS else measure_ours)(name, seed, clock)
    line = {
        "name": name,
        "seed": seed,
        "cpu_minutes": minutes,
        "steps": steps,
        "metric": "fid_<extractor>_train_2k",
        "curve": clock.curve,
    }
    return with_provenance(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--names", nargs="+", choices=[*PEERS, *OURS], default=[*PEERS, *OURS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("DCGAN_DATA", "data")))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")  # a process for each: what one sets for its process ends with it
    lines = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done = {(line["name"], line["seed"], line["cpu_minutes"]) for line in lines}
    for seed in arguments.seeds:
        for name in arguments.names:
            if (name, seed, arguments.minutes) not in done:
                with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                    line = pool.submit(measure, name, seed, arguments.minutes, arguments.root).result()
                with arguments.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(name, seed, line["curve"][-1], flush=True)


if __name__ == "__main__":
    main()
