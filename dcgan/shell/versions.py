"""What to say of a run folder that another version made."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan import __version__

FIRST_NAMED = "0.2.0"  # runs name their version from this one on


@contextmanager
def of_this_version(run: str, made_by: str | None) -> Iterator[None]:
    """Where what is read inside does not fit, and another version made it, say which."""
    try:
        yield
    except ValueError as error:
        if made_by == __version__:
            raise ValueError(f"{run}: {error}") from error
        version = f"dcgan {made_by}" if made_by else f"a dcgan before {FIRST_NAMED}"
        raise ValueError(
            f"{run}: was made by {version}{_commit(run)}, which this one, {__version__}, does not read ({error})"
        ) from error


def version_of(run: Path) -> str | None:
    """The version that made a run folder; None: it does not say."""
    return _provenance(run).get("packages", {}).get("dcgan")  # type: ignore[no-any-return]


def _commit(run: str) -> str:
    commit = _provenance(Path(run)).get("git_commit")
    return f" (commit {commit[:12]})" if commit else ""


def _provenance(run: Path) -> dict:  # type: ignore[type-arg]
    try:
        found = json.loads((run / "provenance.jsonl").read_text().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
