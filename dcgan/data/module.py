"""The DataModule: a data set as one uint8 tensor in memory, gathered a batch at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import Sampler

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.options import OwnData
from dcgan.config.registry import lookup
from dcgan.data.images import fit, to_float, with_channels
from dcgan.data.latents import own_share, random_stream, sent
from dcgan.data.prepared import Facts, found, read_own
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


class InMemory(NamedTuple):
    """uint8 images (N, C, H, W) and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Those of ``rows`` (n,), which lie where the images do."""
        return self.images[rows], self.labels[rows]

    def fits(self, device: torch.device) -> bool:
        """Whether all of them may live on ``device``: a GPU keeps the most of its memory for training."""
        if device.type != "cuda":
            return device.type == "cpu"
        return self.images.nbytes <= SHARE * torch.cuda.get_device_properties(device).total_memory


SHARE = 0.25  # of a GPU's memory, the most that images take


class ImageData(LightningDataModule):
    """The data set ``name`` at one resolution and channel count; a training batch is ``d_steps * batch_size`` images,
    over all processes.

    Args:
        own: where images of one's own lie, with the facts of them filled in; None: it is one of the catalogue's.

    The test split is never trained on. What travels to a GPU in a step is the numbers of its images: they live there as
    uint8, if it has room, and become float in [-1, 1] there.

    Raises:
        ValueError: the batch is larger than the data set, or the name is unknown.
        FileNotFoundError: the data set could not be had.
    """

    name: str  # LightningDataModule's own is optional

    def __init__(
        self,
        *,
        name: str,
        root: Path,
        batch_size: int,
        resolution: int,
        channels: int,
        d_steps: int,
        seed: int,
        own: OwnData | None = None,
    ) -> None:
        super().__init__()
        lookup(CATALOGUE, name, key="data.name")
        self.name, self.root, self.resolution, self.channels = name, root, resolution, channels
        self.batch_size, self.d_steps, self.seed = batch_size, d_steps, seed
        self.own = own
        self._facts: Facts | None = None
        self._splits: dict[str, InMemory] = {}
        self._there: InMemory | None = None  # the training split, on the device

    def split(self, name: str) -> InMemory:
        """The split ``train`` or ``test``, at this module's resolution and channel count."""
        if name not in self._splits and self.own is not None:
            self._facts = self._facts or found(self.own)
            self._splits[name] = InMemory(*read_own(self.own, self._facts, split=name))
        if name not in self._splits:
            images, labels = read(self.name, self.root, split=name)
            images = with_channels(fit(images, resolution=self.resolution), channels=self.channels)
            self._splits[name] = InMemory(images, labels)
        return self._splits[name]

    def is_here(self) -> bool:
        """Whether the data set's files are on this machine already."""
        return self.own is not None or is_prepared(self.name, self.root)

    def setup(self, stage: str) -> None:
        """Load the training split."""
        self.split("train")

    def check_batch(self, *, world: int = 1, pack: int = 1) -> None:
        """Raise ValueError where a step needs more images than there are, or ``world`` processes cannot share it.

        Args:
            pack: images that are judged together; each process needs two of them, for batch norm.
        """
        needed, there = self.batch_size * self.d_steps, len(self.split("train").labels)
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

    def train_dataloader(self) -> StepSampler:
        """The indices of each step's images, from the step at which the trainer stands."""
        step_size = self.batch_size * self.d_steps
        sampler = StepSampler(len(self.split("train").labels), step_size=step_size, parts=self.d_steps, seed=self.seed)
        if self.trainer is not None:
            trainer = self.trainer
            sampler.first_step = lambda: trainer.global_step
            sampler.rank, sampler.world = trainer.global_rank, trainer.world_size
        return sampler

    def transfer_batch_to_device(
        self, batch: Tensor, device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        """Indices (N,) -> float images (N, C, H, W) in [-1, 1] and labels (N,), on ``device``."""
        train = self.split("train")
        if not train.fits(device):
            images, labels = (sent(values, device) for values in train.gather(batch))
        else:
            if self._there is None or self._there.images.device != device:
                self._there = InMemory(train.images.to(device), train.labels.to(device))
            images, labels = self._there.gather(sent(batch, device))
        return to_float(images), labels
