"""The IDX format of the MNIST family: http://yann.lecun.com/exdb/mnist/ ("file formats").

The header is held against the size of the file before anything else is read.
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import IO, NoReturn

import torch
from torch import Tensor

from dcgan.shell.contents import LARGEST, what_is

UNSIGNED_BYTE = 0x08
MOST_DIMS = 4  # labels have 1, images 3, those in colour 4
DAMAGED = "; it is damaged: fetch it again"


def read_idx(path: Path) -> Tensor:
    """Read an IDX file of unsigned bytes, or its ``.gz``, into a uint8 tensor of the shape in its header.

    Raises:
        ValueError: the file is not IDX, holds another type, or is shorter or longer than its header says.
        OSError: it cannot be opened.
    """
    if not path.is_file():
        _refuse(path)
    with path.open("rb") as opened:
        packed = opened.read(2) == b"\x1f\x8b" and path.suffix == ".gz"
        opened.seek(0)
        file, size = _unpacked(opened, path) if packed else (opened, path.stat().st_size)
        magic = file.read(4)
        if len(magic) < 4 or magic[:3] != bytes([0, 0, UNSIGNED_BYTE]):
            _refuse(path)
        num_dims = magic[3]
        if not 1 <= num_dims <= MOST_DIMS:
            raise ValueError(f"{path} has {num_dims} dimensions, must have 1 to {MOST_DIMS}{DAMAGED}")
        header = file.read(4 * num_dims)
        if len(header) < 4 * num_dims:
            raise ValueError(f"{path} ends inside its header{DAMAGED}")
        shape = struct.unpack(f">{num_dims}I", header)
        there, promised = size - file.tell(), math.prod(shape)
        if there != promised:
            raise ValueError(f"{path} holds {there} values, its header promises {promised}{DAMAGED}")
        if not 0 < promised <= LARGEST:
            raise ValueError(f"{path} holds {promised} values, must hold 1 to {LARGEST}{DAMAGED}")
        content = bytearray(promised)
        if file.readinto(content) < promised:  # type: ignore[attr-defined]
            raise ValueError(f"{path} became shorter while it was read; try again")
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape)


def _unpacked(packed: IO[bytes], path: Path) -> tuple[IO[bytes], int]:
    """Its content and how long that is: a small file can unpack to anything."""
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}){DAMAGED}") from error
    return io.BytesIO(content), len(content)


def _refuse(path: Path) -> NoReturn:
    kind = what_is(path)
    raise ValueError(f"{path} is not an IDX file of unsigned bytes{f'; it is {kind}' if kind else ''}")
