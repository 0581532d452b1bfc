"""Any number of samples to disk, in constant memory; stopped, they go on where they were.

Until all are drawn, they lie in ``<out>.partial``, with a note of what they are. The same line goes on with them, and
another is refused; what is finished is the same, byte for byte, as if nothing had stopped it.
"""

import hashlib
import io
import json
import math
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout
from torch import Tensor
from tqdm import tqdm

from dcgan.config.schema import GenerateConfig
from dcgan.data.images import save_png
from dcgan.models.base import Generator
from dcgan.runs.load import Loaded
from dcgan.sharing.asked import PARTIAL, number
from dcgan.shell.writing import naming, replacing, to_json

CHUNK = 1000  # images at a time; a multiple of what the generator draws at once
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of a zip's members: that of writing would make two of the same differ


class Samples(Protocol):
    """What is to be drawn, each image by its place."""

    def __len__(self) -> int: ...

    def latents(self, start: int, stop: int) -> Tensor:
        """(N, latent_dim) of those from ``start`` up to ``stop``."""

    def labels(self, start: int, stop: int) -> Tensor | None:
        """What the generator takes as labels for them."""


class Stream:
    """``samples`` on their way to ``out``, as ``config.format`` (``npz`` or ``png``) says."""

    def __init__(self, samples: Samples, loaded: Loaded, config: GenerateConfig, out: Path) -> None:
        self.samples, self.loaded, self.config, self.out = samples, loaded, config, out
        self.partial = out.with_name(out.name + PARTIAL)

    def write(self) -> None:
        """Draw what is not there yet, and give the whole its name.

        Raises:
            FileExistsError: what was begun there is of another line, or another process is at it.
        """
        with naming(self.out):
            self.partial.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.partial / ".lock")
            try:
                alone = lock.acquire(timeout=0)
            except Timeout as error:
                raise FileExistsError(f"out={self.out}: another process is drawing it; choose another") from error
            with alone:
                self._begin()
                as_pictures = self.config.format == "png"
                parts = Pictures(self.partial / "images") if as_pictures else Arrays(self.partial, self.samples)
                self._draw(parts)
                parts.finish(self.out)
            shutil.rmtree(self.partial)

    def _begin(self) -> None:
        """Go on with what is there, if it is of this line; else leave it, or begin anew."""
        note, own = self.partial / "asked.json", identity(self.config, self.loaded)
        try:
            begun = json.loads(note.read_text())
        except (OSError, ValueError):
            begun = None
        if begun != own:
            if begun is not None and not self.config.overwrite:
                raise FileExistsError(
                    f"out={self.out}: {self.partial.name} was begun by another line; type that one to go on, "
                    "choose another, or overwrite=true"
                )
            for path in self.partial.iterdir():
                if path.name != ".lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            with replacing(note) as temporary:
                temporary.write_text(to_json(own))

    def _draw(self, parts: "Pictures | Arrays") -> None:
        total, done = len(self.samples), parts.start()
        if done:
            print(f"note: {done:,} of {total:,} are there ({self.partial}); going on", file=sys.stderr)
        bar = tqdm(
            total=total,
            initial=done,
            unit="img",
            delay=1,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        with bar, _saying(f"the same line goes on ({self.partial})"):
            for start, images in drawn(self.samples, self.loaded.generator, start=done):
                parts.add(start, images)
                bar.update(len(images))


def drawn(samples: Samples, generator: Generator, *, start: int = 0) -> Iterator[tuple[int, Tensor]]:
    """The images from ``start`` on, a chunk at a time, each with the place of its first."""
    for first in range(start, len(samples), CHUNK):
        last = min(first + CHUNK, len(samples))
        yield first, generator.draw(samples.latents(first, last), samples.labels(first, last))


@contextmanager
def _saying(words: str) -> Iterator[None]:
    """To who stops it, what becomes of it."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"note: stopped; {words}", file=sys.stderr)
        raise


def identity(config: GenerateConfig, loaded: Loaded) -> dict[str, Any]:
    """All that the images follow from: of two lines with the same they are the same, byte for byte."""
    weights = hashlib.sha256()
    for name, value in sorted(loaded.generator.state_dict().items()):
        weights.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    told = {key: value for key, value in asdict(config).items() if key not in ("run", "out", "overwrite", "checkpoint")}
    device = next(loaded.generator.parameters()).device.type
    return told | {"n": number(config), "device": device, "generator": weights.hexdigest()}


class Pictures:
    """A PNG for each image, by its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> int:
        """Where to go on: at the beginning of the last chunk, whose last picture may be half written."""
        self.folder.mkdir(exist_ok=True)
        there = sum(1 for _ in self.folder.iterdir())
        return max(0, there - 1) // CHUNK * CHUNK

    def add(self, start: int, images: Tensor) -> None:
        """Write a chunk."""
        for i, image in enumerate(images, start):
            save_png(image, self.folder / f"{i:06d}.png")

    def finish(self, out: Path) -> None:
        """Take the place of what may be at ``out``."""
        if out.is_dir():
            shutil.rmtree(out)
        self.folder.replace(out)


class Arrays:
    """An .npz of ``images`` (uint8; N x H x W, or N x H x W x 3) and, of a conditional generator, ``labels``."""

    def __init__(self, folder: Path, samples: Samples) -> None:
        self.samples, self.path = samples, folder / "images.npy"

    def start(self) -> int:
        """Where to go on: behind the last whole chunk."""
        if not self.path.is_file():
            return 0
        with self.path.open("rb") as file:
            try:
                np.lib.format.read_magic(file)
                shape, _, _ = np.lib.format.read_array_header_2_0(file)
            except ValueError:  # stopped within the header
                self.path.unlink()
                return 0
            header = file.tell()
        row = math.prod(shape[1:])
        done = (self.path.stat().st_size - header) // row
        done = done if done >= len(self.samples) else done // CHUNK * CHUNK
        with self.path.open("r+b") as file:
            file.truncate(header + done * row)
        return int(done)

    def add(self, start: int, images: Tensor) -> None:
        """Append a chunk."""
        array = images.squeeze(1).numpy() if images.shape[1] == 1 else images.permute(0, 2, 3, 1).numpy()
        with self.path.open("ab") as file:
            if start == 0:
                file.write(_header((len(self.samples), *array.shape[1:]), "uint8"))
            file.write(np.ascontiguousarray(array).data)

    def finish(self, out: Path) -> None:
        """Put the arrays into one file, beside ``out``, and give it its name."""
        with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            with self.path.open("rb") as file, self._member(archive, "images") as member:
                shutil.copyfileobj(file, member, 2**20)
            labels = self.samples.labels(0, 1)
            if labels is not None and labels.ndim == 1:  # not shares of classes
                with self._member(archive, "labels") as member:
                    member.write(_header((len(self.samples),), "int64"))
                    for first in range(0, len(self.samples), CHUNK):
                        labels = self.samples.labels(first, min(first + CHUNK, len(self.samples)))
                        assert labels is not None
                        member.write(labels.numpy().tobytes())

    def _member(self, archive: zipfile.ZipFile, name: str) -> Any:
        """Stored as it is: packing digits takes a seventh of the time of drawing them, and saves a third."""
        return archive.open(zipfile.ZipInfo(f"{name}.npy", EPOCH), "w", force_zip64=True)


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """What an .npy file begins with, of an array that is not there yet."""
    header = io.BytesIO()
    description = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(header, description)
    return header.getvalue()
