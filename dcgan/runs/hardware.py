"""What ``trainer.gpus`` and the ``auto`` values mean on this machine."""

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

import torch

from dcgan.config.trainer import TrainerConfig

DDP = "ddp_find_unused_parameters_true"  # plain ddp waits for gradients of the network that is not being updated
STRATEGIES = ("auto", "ddp", DDP)  # of which one process needs none, and several need the last
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def accelerator_for(gpus: Any, *, cuda: int, mps: int) -> tuple[str, int | list[int]]:
    """What ``trainer.gpus`` means on a machine with so many devices: Lightning's ``accelerator`` and ``devices``.

    Args:
        gpus: ``auto`` (one, if there is one), 0 (CPU), N, -1 (all), or a list of device numbers.

    Raises:
        ValueError: fewer devices than asked, though there are some.
    """
    kind, available = ("cuda", cuda) if cuda else ("mps", mps)
    if gpus == "auto":
        return (kind, 1) if available else ("cpu", 1)
    if gpus == 0:
        return "cpu", 1
    if not available:
        print(f"warning: trainer.gpus={gpus}: no accelerator on this machine; training on the CPU", file=sys.stderr)
        return "cpu", 1
    if gpus == -1:
        return kind, available
    if (max(gpus) + 1 if isinstance(gpus, list) else gpus) > available:
        raise ValueError(f"trainer.gpus={gpus}: this machine has {available} ({kind}, numbered from 0)")
    return kind, gpus


def precision_for(precision: Any, accelerator: str) -> Any:
    """``auto`` is bf16-mixed where the hardware computes in bfloat16, else 32-true; the rest passes through."""
    if precision != "auto":
        return precision
    if accelerator == "cpu":
        capable = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    else:
        capable = accelerator == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if capable else "32-true"


def resolve_hardware(trainer: TrainerConfig) -> dict[str, Any]:
    """The configuration's ``gpus`` and ``auto`` values, as arguments of ``lightning.Trainer`` on this machine.

    ``accelerator`` and ``devices`` that were given stay as they are.
    """
    chosen: dict[str, Any] = {key: getattr(trainer, key) for key in ("accelerator", "devices")}
    if chosen["accelerator"] is None and chosen["devices"] is None:
        chosen["accelerator"], chosen["devices"] = accelerator_for(
            trainer.gpus, cuda=torch.cuda.device_count(), mps=int(torch.backends.mps.is_available())
        )
    elif trainer.gpus != "auto":
        raise ValueError(f"trainer.gpus={trainer.gpus}: leave it out where trainer.accelerator or devices are given")
    kind = _kind(chosen["accelerator"])
    if trainer.sync_batchnorm and kind == "cpu" and several_processes(trainer.num_nodes, chosen):
        raise ValueError("trainer.sync_batchnorm=true: is of GPUs, and this run is on the CPU; leave it false")
    chosen["precision"] = precision_for(trainer.precision, "cuda" if kind in ("gpu", "auto") else kind)
    if trainer.strategy not in (None, *STRATEGIES):
        raise ValueError(f"trainer.strategy={trainer.strategy}: must be one of {', '.join(STRATEGIES)}, or left out")
    chosen["strategy"] = DDP if several_processes(trainer.num_nodes, chosen) else None
    if kind in ("cuda", "gpu") and trainer.benchmark is None and not trainer.deterministic:
        chosen["benchmark"] = True  # cuDNN tries its algorithms once for each shape, and ours stay the same
    return {key: value for key, value in chosen.items() if value is not None}


def several_processes(num_nodes: int, hardware: Mapping[str, Any]) -> bool:
    """Whether a run on ``hardware``, as ``resolve_hardware`` says it, is one of several processes."""
    return num_nodes > 1 or _several(hardware.get("devices"), _kind(hardware.get("accelerator")))


def on_cpu(hardware: Mapping[str, Any]) -> bool:
    """Whether a run on ``hardware``, as ``resolve_hardware`` says it, is one on the CPU."""
    return _kind(hardware.get("accelerator")) == "cpu"


def ask_for_gpus_once() -> None:
    """Have a process that finds no CUDA device remember that.

    PyTorch's Adam asks at every step. As Lightning sets it up, each question is put to NVIDIA's driver library (so that
    CUDA is not started before processes fork), and where there is none, the whole search path is gone through
    (experiments/speed). CUDA's own answer is kept, and without a device there is nothing to start.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, instead of asking the kernel for it at every step again.

    By default glibc gives large blocks back, and the kernel then zeroes the same pages for the next activation
    (experiments/speed). The peak stays what it was. For the whole process, for good.

    Returns:
        Whether it could be done: with glibc.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def _kind(accelerator: str | None) -> str:
    """``accelerator`` as Lightning takes it, and the CPU for what is left open where there is nothing else."""
    accelerator = accelerator or "auto"
    return "cpu" if accelerator == "auto" and not torch.accelerator.is_available() else accelerator


def _several(devices: Any, kind: str) -> bool:
    """Whether ``devices``, in any form that Lightning takes, may mean more than one."""
    if devices in (None, "auto", -1, "-1"):
        return kind != "cpu" and torch.cuda.device_count() > 1
    if isinstance(devices, str) and "," in devices:
        devices = [number for number in devices.split(",") if number]
    return len(devices) > 1 if isinstance(devices, list) else int(devices) > 1


def resolve_device(name: str) -> torch.device:
    """``auto``: the accelerator, if there is one.

    Raises:
        ValueError: it is not available here.
    """
    if name == "auto":
        name = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"  # type: ignore[union-attr]
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name}: not available here ({str(error).splitlines()[0]})") from error
