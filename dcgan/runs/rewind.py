"""What a run recorded after the step that it goes on from: taken back, so that no step stands twice."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dcgan.metrics.protocol import read_records
from dcgan.shell.reading import from_json, small_text
from dcgan.shell.writing import replacing


def clear(folder: Path) -> None:
    """Remove what an attempt that never came to a checkpoint left beside its configuration and its provenance."""
    for name in ("checkpoints", "samples", "csv", "branches"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (folder / "metrics.jsonl", *folder.glob("events.out.tfevents.*")):
        path.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Remove what killed writers left: files that never came to their names, each as large as what it was to be."""
    for path in (*folder.glob(".*"), *folder.glob("checkpoints/.*")):
        if re.fullmatch(r"\..+\.\d+", path.name):
            path.unlink(missing_ok=True)


def rewind(folder: Path, *, step: int) -> None:
    """Keep of ``metrics.jsonl`` and of ``csv/`` the lines up to ``step``; half a line at the end goes too.

    TensorBoard's own are cut by ``purge_step`` (``loggers.py``): it disregards what came after.
    """

    def of_json(line: str) -> bool:
        return int(from_json(line).get("step", 0)) <= step  # of other samples than the run's own there is none

    _keep(folder / "metrics.jsonl", of_json)
    for path in sorted(folder.glob("csv/version_*/metrics.csv")):
        header = small_text(path, errors="replace").partition("\n")[0].split(",")
        column = header.index("step") if "step" in header else -1

        def of_csv(line: str, header: list[str] = header, column: int = column) -> bool:
            cells = line.split(",")
            return cells == header or (len(cells) == len(header) and int(cells[column]) <= step)

        _keep(path, of_csv)


def steps_after(folder: Path, *, step: int) -> list[Any]:
    """What ``metrics.jsonl`` says of the steps after ``step``, which ``rewind`` takes away."""
    path = folder / "metrics.jsonl"
    lines = read_records(path) if path.exists() else []
    return [line for line in lines if int(line.get("step", 0)) > step]


def _keep(path: Path, wanted: Callable[[str], bool]) -> None:
    """Of the lines of a file those that are wanted; one that cannot be read is not."""
    if not path.exists():
        return

    def readable(line: str) -> bool:
        try:
            return wanted(line.rstrip("\n"))
        except (ValueError, AttributeError, TypeError, IndexError):
            return False

    lines = small_text(path, errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and readable(line)]
    if kept != lines:
        with replacing(path) as temporary:
            temporary.write_text("".join(kept))
