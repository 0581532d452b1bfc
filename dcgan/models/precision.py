"""Float32 where the text says float32."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.backends import cuda, cudnn, mkldnn

_CUDNN: Any = cudnn  # what it declares of itself is not all that it has
_MKLDNN: Any = mkldnn
# The kinds of operations that have a precision of their own.
OPERATIONS: tuple[Any, ...] = (_CUDNN.conv, _CUDNN.rnn, cuda.matmul, _MKLDNN.conv, _MKLDNN.rnn, _MKLDNN.matmul)


@contextmanager
def full_float32(device_type: str) -> Iterator[None]:
    """Inside the block float32 is computed in float32: without autocast, and without TF32 (16 µs).

    TF32 keeps 10 of float32's 23 bits of a number, and recent GPUs take it for convolutions unless they are told.
    """
    with torch.autocast(device_type, enabled=False), without_tf32():
        yield


@contextmanager
def without_tf32() -> Iterator[None]:
    """TF32 off, and what it was restored; a CPU computes the same. For the whole process: also in a backward pass.

    PyTorch has an older switch and a newer one for the same, and refuses to tell the older where the two disagree; both
    are set, so that inside they agree.
    """
    before = [operation.fp32_precision for operation in OPERATIONS]
    convolutions, products = _older_switches()
    _set_older_switches(convolutions=False, products="highest")
    for operation in OPERATIONS:
        operation.fp32_precision = "ieee"
    try:
        yield
    finally:
        _set_older_switches(convolutions=convolutions, products=products)
        for operation, precision in zip(OPERATIONS, before, strict=True):
            operation.fp32_precision = precision


def _older_switches() -> tuple[bool | None, str | None]:
    """Of convolutions and of matrix products; None where the newer one says something else."""
    convolutions, products = None, None
    with suppress(RuntimeError):
        convolutions = cudnn.allow_tf32
    with suppress(RuntimeError):
        products = torch.get_float32_matmul_precision()
    return convolutions, products


def _set_older_switches(*, convolutions: bool | None, products: str | None) -> None:
    if convolutions is not None:
        cudnn.allow_tf32 = convolutions
    if products is not None:
        torch.set_float32_matmul_precision(products)


def uses_tf32() -> bool:
    """Whether convolutions in float32 are computed in TF32 now, on this machine's GPU."""
    return torch.cuda.is_available() and torch.cuda.is_tf32_supported() and bool(_CUDNN.conv.fp32_precision == "tf32")
