"""The DataModule: a data set as one uint8 tensor in memory, gathered a batch at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.registry import lookup
from dcgan.data.images import fit, to_float, with_channels
from dcgan.data.latents import own_share, random_stream
from dcgan.data.readers import read
from dcgan.data.sources import is_prepared


class StepSampler(Sampler[Tensor]):
    """The indices of each step's images: step ``s`` reads its part of the permutation of epoch ``s // len(self)``.

    A function of (seed, step) and nothing else: it starts from the step at which training stands, so a resumed run
    reads on exactly where it was, on any number of processes.

    Args:
        step_size: images of a step, over all processes: ``parts`` batches.
    """

    def __init__(self, num_images: int, *, step_size: int, parts: int, seed: int) -> None:
        self.num_images, self.step_size, self.parts, self.seed = num_images, step_size, parts, seed
        self.first_step: Callable[[], int] = lambda: 0
        self.rank, self.world = 0, 1

    def __len__(self) -> int:
        return self.num_images // self.step_size

    def __iter__(self) -> Iterator[Tensor]:
        first = self.first_step()
        epoch = -1
        for step in range(first, first + len(self)):
            if step // len(self) != epoch:
                epoch = step // len(self)
                order = torch.randperm(self.num_images, generator=random_stream(self.seed, "data", epoch))
            start = step % len(self) * self.step_size
            rows = order[start : start + self.step_size]
            yield own_share(rows, parts=self.parts, rank=self.rank, world=self.world)


class InMemory(Dataset[tuple[Tensor, Tensor]]):
    """uint8 images (N, C, H, W) and their labels (N,), gathered with a tensor of indices at once."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __len__(self) -> int:
        return len(self.images)


class ImageData(LightningDataModule):
    """The data set ``name`` at one resolution and channel count; a training batch is ``d_steps * batch_size`` images,
    over all processes.

    The test split is never trained on. Batches are uint8 until they are on the device, then float in [-1, 1].

    Raises:
        ValueError: the batch is larger than the data set, or the name is unknown.
        FileNotFoundError: the data set could not be had.
    """

    name: str  # LightningDataModule's own is optional

    def __init__(
        self, *, name: str, root: Path, batch_size: int, resolution: int, channels: int, d_steps: int, seed: int
    ) -> None:
        super().__init__()
        lookup(CATALOGUE, name, key="data.name")
        self.name, self.root, self.resolution, self.channels = name, root, resolution, channels
        self.batch_size, self.d_steps, self.seed = batch_size, d_steps, seed
        self._splits: dict[str, InMemory] = {}

    def split(self, name: str) -> InMemory:
        """The official split ``train`` or ``test``, at this module's resolution and channel count."""
        if name not in self._splits:
            images, labels = read(self.name, self.root, split=name)
            images = with_channels(fit(images, resolution=self.resolution), channels=self.channels)
            self._splits[name] = InMemory(images, labels)
        return self._splits[name]

    def is_here(self) -> bool:
        """Whether the data set's files are on this machine already."""
        return is_prepared(self.name, self.root)

    def setup(self, stage: str) -> None:
        """Load the training split."""
        self.split("train")

    def check_batch(self, *, world: int = 1, pack: int = 1) -> None:
        """Raise ValueError where a step needs more images than there are, or ``world`` processes cannot share it.

        Args:
            pack: images that are judged together; each process needs two of them, for batch norm.
        """
        needed, there = self.batch_size * self.d_steps, len(self.split("train"))
        if needed > there:
            raise ValueError(
                f"data.batch_size={self.batch_size} with d_steps={self.d_steps} needs {needed} images a step; "
                f"{self.name} has {there}"
            )
        least = world * pack
        if self.batch_size % least or self.batch_size < 2 * least:
            packs = f", in packs of {pack}" if pack > 1 else ""
            nearest = max(2, round(self.batch_size / least)) * least
            raise ValueError(
                f"data.batch_size={self.batch_size}: is the whole batch, which {world} devices share evenly{packs}, "
                f"two images each at least; take a multiple of {least}, such as {nearest}"
            )

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches of uint8 images and labels, from the step at which the trainer stands."""
        train = self.split("train")
        sampler = StepSampler(len(train), step_size=self.batch_size * self.d_steps, parts=self.d_steps, seed=self.seed)
        if self.trainer is not None:
            trainer = self.trainer
            sampler.first_step = lambda: trainer.global_step
            sampler.rank, sampler.world = trainer.global_rank, trainer.world_size
        # A generator of its own: the loader's base seed would otherwise be drawn from the global one.
        return DataLoader(
            train,
            sampler=sampler,
            batch_size=None,
            generator=torch.Generator(),
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Scale to [-1, 1] on the device: a quarter of the bytes travel."""
        images, labels = batch
        return to_float(images), labels
