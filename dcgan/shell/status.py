"""``status.json``: what state a run is in, for people, sweeps and reports. Imports no torch."""

import json
from pathlib import Path
from typing import Any


def write_status(folder: Path, **status: Any) -> None:
    """Write ``status.json``: ``state`` (running, finished, interrupted or failed) and what is known beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".status.json"
    temporary.write_text(json.dumps(status, indent=2) + "\n")
    temporary.replace(folder / "status.json")
