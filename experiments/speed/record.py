"""One JSON line for a measurement: what was found, and the code, machine and load it was found with."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from dcgan.runs.provenance import provenance


def record(path: Path, line: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(with_provenance(line)) + "\n")


def with_provenance(line: dict[str, Any]) -> dict[str, Any]:
    made_with = provenance([])
    return {
        "date": date.today().isoformat(),
        **line,
        **{key: made_with[key] for key in ("git_commit", "git_changes", "packages", "machine")},
        "load_average": round(os.getloadavg()[0], 2),
    }
