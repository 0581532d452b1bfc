"""``dcgan.train`` that dies, as by SIGKILL, at a moment chosen beforehand: ``killed.py <when> <nth> words``.

``when``: step, evaluation, writing (a checkpoint is half on the disk), renaming (it is written and has no name yet),
between (the generator beside it is still the old one), logging (half a line of metrics.jsonl), status (all is done but
said).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dcgan.runs import evaluation
from dcgan.runs import run as runs
from dcgan.runs.checkpoints import Checkpoints
from dcgan.shell import writing
from dcgan.shell.cli import cli
from dcgan.train import main
from dcgan.training.gan import GAN

when, nth = sys.argv[1], int(sys.argv[2])
left = nth


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_last(is_one: bool = True) -> bool:
    """Whether this is the ``nth`` of those moments."""
    global left  # noqa: PLW0603
    left -= is_one
    return is_one and left == 0


def before(owner: Any, name: str, moment: Callable[..., bool]) -> None:
    """Die instead of calling ``owner.name`` where ``moment`` of its arguments says so."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if moment(*args, **kwargs):
            die()
        return real(*args, **kwargs)

    setattr(owner, name, wrapped)


def half_written(path: Path, content: bytes) -> bool:
    if not (".ckpt" in path.name and at_last()):
        return False
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    return True


def half_a_line(path: Path, value: Any) -> bool:
    if not at_last():
        return False
    with path.open("ab") as file:
        file.write(writing.to_json(value).encode()[:40])
    return True


if when == "step":
    before(GAN, "training_step", lambda *_, **__: at_last())
elif when == "evaluation":
    before(evaluation, "monitor", lambda *_, **__: at_last())
elif when == "writing":
    before(Path, "write_bytes", half_written)
elif when == "renaming":
    before(Path, "replace", lambda source, target: at_last(".ckpt" in source.name and "last" in Path(target).name))
elif when == "between":
    before(sys.modules[Checkpoints.__module__], "save_generator", lambda *_, **__: at_last())
elif when == "logging":
    before(evaluation, "append_record", half_a_line)
elif when == "status":
    before(runs, "record_status", lambda run, **status: at_last("results" in status))
else:
    raise SystemExit(f"{when}: no such moment")
sys.argv[1:] = sys.argv[3:]
cli("train", main)
