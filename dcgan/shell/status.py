"""``status.json``: what state a run is in, for people, sweeps and reports. Imports no torch."""

from pathlib import Path
from typing import Any

from dcgan.shell.writing import is_full, replacing, to_json


def write_status(folder: Path, **status: Any) -> None:
    """Write ``status.json``: ``state`` (running, finished, interrupted or failed) and what is known beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / "status.json", to_json(status, indent=2) + "\n"
    try:
        with replacing(path) as temporary:
            temporary.write_text(text)
    except OSError as error:
        if not (is_full(error) and path.exists()):
            raise
        with path.open("r+") as file:  # no room for a second file: into the first, whose room is taken already
            file.write(text)
            file.truncate()
