"""What was asked for, as far as the configuration alone tells it. No torch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcgan.config.rules import as_list, shown
from dcgan.config.schema import GenerateConfig
from dcgan.shell.folders import folder_name
from dcgan.shell.zoo import home, source

SAMPLING = ("grid", "interpolate", "progress", "compare")
OF_RUNS = ("progress", "sheet")
# Of each key its value where it was not asked for, and the modes that have a use for it.
USES: dict[str, tuple[Any, Sequence[str]]] = {
    "checkpoint": ("best", ("grid", "interpolate", "compare")),
    "seed": ([0], SAMPLING),
    "label": (None, SAMPLING),
    "text": (None, ("grid", "progress", "compare")),
    "labels": ("even", ("grid", "progress", "compare")),
    "truncation": (None, SAMPLING),
    "weights": ("averaged", SAMPLING),
    "path": ("spherical", ("interpolate",)),
    "loop": (False, ("interpolate",)),
    "steps": (None, ("progress", "sheet")),
    "n": (None, SAMPLING),
}
FORMATS = {
    "grid": ("grid", "png", "npz"),
    "interpolate": ("grid", "png", "npz", "gif", "webp"),
    "progress": ("grid", "gif", "webp"),
    "compare": ("grid",),
    "sheet": ("grid",),
}
ENDINGS = {"grid": ".png", "png": "", "npz": ".npz", "gif": ".gif", "webp": ".webp"}
KINDS = {".png": "a PNG", ".npz": "an .npz", ".gif": "a GIF", ".webp": "a WebP"}
NUMBERS = {"grid": 64, "interpolate": 12, "progress": 10, "compare": 10, "sheet": 0}
MOVING = 100  # images of a grid that moves
IN_A_ROW = 10  # where there are several rows
PARTIAL = ".partial"  # what is beside a file or folder that is not finished yet


def refuse(config: GenerateConfig) -> None:
    """Raise ValueError for what has no use in the mode, or does not go together."""
    run = source(config.run, config.zoo)
    if run.is_file() and config.mode in OF_RUNS:
        raise ValueError(f"mode={config.mode}: shows how a run went, and {run.name} is one generator; take run=")
    if run.is_file() and config.weights == "raw":
        raise ValueError(f"weights=raw: {run.name} holds averaged ones alone; take run=, or weights=averaged")
    for key, (unasked, modes) in USES.items():
        value = getattr(config, key)
        if config.mode not in modes and unasked not in (value, [value]):
            raise ValueError(f"{key}={typed(value)}: mode={config.mode} has no use for it, only {', '.join(modes)}")
    if config.format not in FORMATS[config.mode]:
        users = ", ".join(mode for mode, forms in FORMATS.items() if config.format in forms)
        raise ValueError(
            f"format={config.format}: is of mode={users}; mode={config.mode} writes {', '.join(FORMATS[config.mode])}"
        )
    if config.text is not None and config.label is not None:
        raise ValueError(f"label={typed(config.label)}: text={config.text} says the classes; leave one of them out")
    if config.labels == "data" and (config.text is not None or config.label is not None):
        raise ValueError("labels=data: text= or label= says the classes; leave one of them out")


def number(config: GenerateConfig) -> int:
    """``n``; where it was not said, what suits what is drawn."""
    if config.n is not None:
        return config.n
    one_each = config.mode == "compare" or (config.mode == "progress" and config.format == "grid")
    if config.mode != "interpolate" and (config.text is not None or _in_rows(config)):
        return 1 if one_each or config.text is not None else IN_A_ROW
    return MOVING if config.mode == "progress" and not one_each else NUMBERS[config.mode]


def _in_rows(config: GenerateConfig) -> bool:
    labels = as_list(config.label)
    return len(as_list(config.seed)) > 1 or len(labels) > 1 or labels == ["all"]


def refuse_more(config: GenerateConfig, there: int, *, most: int) -> None:
    """Raise ValueError where one picture would have to show more than ``most`` images."""
    if there > most:
        way = "; format=npz or png takes any number" if "npz" in FORMATS[config.mode] else ""
        raise ValueError(f"n={number(config)}: {there:,} images are too many for a picture, which shows {most:,}{way}")


def nearest(there: Sequence[int], steps: Sequence[int]) -> list[int]:
    """Of the steps that there are, those nearest to ``steps``, in order, each once."""
    return sorted({min(there, key=lambda step: abs(step - wanted)) for wanted in steps}) if there else []


def place(config: GenerateConfig) -> Path:
    """Where the result goes.

    Raises:
        ValueError, FileExistsError: it cannot, or something is there that stays.
    """
    out = _with_ending(Path(config.out), config) if config.out else _unnamed(config)
    if out.exists():
        _refuse_to_replace(out, config)
    return out


def _unnamed(config: GenerateConfig) -> Path:
    """A name in the run folder that says what was asked for."""
    told = []
    for key, (unasked, modes) in USES.items():
        value = number(config) if key == "n" else getattr(config, key)
        if config.mode in modes and (value != unasked or key in ("checkpoint", "seed")):
            told.append(typed(value) if key == "checkpoint" else f"{key}{typed(value)}")
    name = folder_name(config.format if config.mode == "grid" else config.mode, told)
    return home(source(config.run, config.zoo)) / "generated" / (name + ENDINGS[config.format])


def typed(value: Any) -> str:
    """A value as it is typed; a list of one as that one."""
    if isinstance(value, list):
        return shown(value[0]) if len(value) == 1 else f"[{','.join(map(shown, value))}]"
    return shown(value)


def _with_ending(out: Path, config: GenerateConfig) -> Path:
    """``out`` with the ending of what ``format`` writes; another's is refused, for readers go by it."""
    from dcgan.data.pictures import SUFFIXES as PICTURES

    if out.parent.is_file():
        raise ValueError(f"out={out}: {out.parent} is a file; choose another folder")
    ending, given = ENDINGS[config.format], out.suffix.lower()
    if out.is_dir() or given == ending or (out.exists() and not ending):  # refused by what is there, not by its name
        return out
    if not ending:  # a folder, whose name may hold a dot
        if given in {*PICTURES, ".npz", ".npy"}:
            raise ValueError(f"out={out}: format=png writes a folder of pictures; leave {out.suffix} out")
        return out
    if given:
        raise ValueError(f"out={out}: format={config.format} writes {KINDS[ending]}; let its name end in {ending}")
    return out.with_name(out.name + ending)


def _refuse_to_replace(out: Path, config: GenerateConfig) -> None:
    """Only what this command wrote itself is ever replaced: a file by a file, a folder of images by such a folder."""
    if not config.overwrite:
        raise FileExistsError(f"out={out}: exists; choose another, or overwrite=true")
    if out.is_dir() != (config.format == "png"):
        kind = "folder" if out.is_dir() else "file"
        raise FileExistsError(f"out={out}: is a {kind}, which format={config.format} does not write; choose another")
    if out.is_dir() and not all(re.fullmatch(r"\d{6,}\.png", path.name) for path in out.iterdir()):
        raise FileExistsError(f"out={out}: holds other files too; choose another folder")
