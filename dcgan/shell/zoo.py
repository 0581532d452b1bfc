"""Generators that ship with the package, by name. No torch."""

from pathlib import Path

ZOO = Path(__file__).parents[1] / "sharing" / "zoo"
PREFIX = "zoo:"  # of init=


def names() -> list[str]:
    """Of all that ship."""
    return sorted(path.stem for path in ZOO.glob("*.safetensors"))


def zoo_file(name: str, *, key: str = "zoo") -> Path:
    """The file of one.

    Raises:
        ValueError: there is none of that name; the message lists those there are.
    """
    if name not in names():
        prefix = PREFIX if key == "init" else ""
        raise ValueError(f"{key}={prefix}{name}: there is no such generator; there are {', '.join(names())}")
    return ZOO / f"{name}.safetensors"


def source(run: str | None, zoo: str | None) -> Path:
    """The run folder or the file that was named.

    Raises:
        ValueError: neither was, or both, or no such generator ships.
    """
    if (run is None) == (zoo is None):
        raise ValueError(f"run=, zoo=: name one of them, a run folder or a generator that ships ({', '.join(names())})")
    return zoo_file(zoo) if zoo is not None else Path(run or "")


def home(run: Path) -> Path:
    """Where what is made of it goes unless somebody says otherwise: into the run folder; of a file, under outputs/."""
    return Path("outputs") / run.stem if run.is_file() else run
