"""What a run was made with."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dcgan import __version__
from dcgan.models.precision import uses_tf32

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "tensorboard", "torchmetrics")
CHECKOUT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def provenance(overrides: Sequence[str], *, device: torch.device = CPU) -> dict[str, Any]:
    """Command, code, packages and machine.

    Args:
        device: what the run trains on, or the first of them.
    """
    return {
        "command": ["python", "-m", "dcgan.train", *overrides],
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": _git("status", "--porcelain", "--untracked-files=no"),
        "python": platform.python_version(),
        "packages": {"dcgan": __version__, **{name: version(name) for name in PACKAGES}},
        "machine": {
            "platform": platform.platform(),
            "cpu": torch.cpu.get_capabilities().get("cpu_name"),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "tf32": uses_tf32(),  # where training computes in float32; samples, features and penalties never do
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        },
    }


def _git(*arguments: str) -> str | None:
    """What git says of this package's own checkout; an installed package has none."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(CHECKOUT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
