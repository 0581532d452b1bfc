"""The IDX format of the MNIST family: http://yann.lecun.com/exdb/mnist/ ("file formats")."""

import math
import struct
from pathlib import Path

import torch
from torch import Tensor

from dcgan.shell.contents import what_is

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> Tensor:
    """Read an IDX file of unsigned bytes into a uint8 tensor of the shape in its header.

    Raises:
        ValueError: the file is not IDX, holds another type, or is shorter or longer than its header says.
    """
    content = path.read_bytes() if path.is_file() else b""
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        kind = what_is(path)
        raise ValueError(f"{path} is not an IDX file of unsigned bytes{f'; it is {kind}' if kind else ''}")
    num_dims = content[3]
    start = 4 + 4 * num_dims
    if len(content) < start:
        raise ValueError(f"{path} ends inside its header")
    shape = struct.unpack(f">{num_dims}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{path} holds {len(content) - start} values, its header promises {math.prod(shape)}")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)
