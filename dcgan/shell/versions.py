"""What to say of a run folder that another version made."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan import __version__
from dcgan.config.rules import one_line
from dcgan.shell.reading import from_json, small_text

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
    packages = _provenance(run).get("packages")
    found = packages.get("dcgan") if isinstance(packages, dict) else None
    return one_line(found) if isinstance(found, str) else None


def _commit(run: str) -> str:
    commit = _provenance(Path(run)).get("git_commit")
    return f" (commit {one_line(commit[:12])})" if isinstance(commit, str) else ""


def _provenance(run: Path) -> dict:  # type: ignore[type-arg]
    try:
        found = from_json(small_text(run / "provenance.jsonl").splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
