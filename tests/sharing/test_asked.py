import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import composed

from dcgan.config.check import check
from dcgan.config.schema import GenerateConfig
from dcgan.sharing.asked import FORMATS, place, refuse, refuse_more


def asked(*words: str) -> GenerateConfig:
    return check(composed("run=run", *words, entry="generate"), GenerateConfig)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["path=linear"], "path=linear: mode=grid has no use for it, only interpolate"),
        (["loop=true"], "loop=true: mode=grid has no use for it, only interpolate"),
        (["steps=[0,5]"], "steps=[0,5]: mode=grid has no use for it, only progress, sheet"),
        (["mode=sheet", "seed=3"], "seed=3: mode=sheet has no use for it, only grid, interpolate, progress, compare"),
        (["mode=sheet", "n=3"], "n=3: mode=sheet has no use for it, only grid, interpolate, progress, compare"),
        (["mode=progress", "checkpoint=5"], "checkpoint=5: mode=progress has no use for it, only grid, interpolate, c"),
        (["mode=interpolate", "text=7"], "text=7: mode=interpolate has no use for it, only grid, progress, compare"),
        (["format=gif"], "format=gif: is of mode=interpolate, progress; mode=grid writes grid, png, npz"),
        (["mode=compare", "format=npz"], "format=npz: is of mode=grid, interpolate; mode=compare writes grid"),
        (["text=2026", "label=7"], "label=7: text=2026 says the classes; leave one of them out"),
        (["text=2026", "labels=data"], "labels=data: text= or label= says the classes; leave one of them out"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(words: list[str], line: str) -> None:
    with pytest.raises(ValueError, match=r"^") as error:
        refuse(asked(*words))
    assert str(error.value).startswith(line)


def test_a_picture_has_its_limits() -> None:
    refuse_more(asked("n=5"), 5, most=5)
    with pytest.raises(ValueError, match=r"n=6: 6 images are too many for a picture, which shows 5; format=npz or png"):
        refuse_more(asked("n=6"), 6, most=5)
    with pytest.raises(ValueError, match=r"n=6: 60 images are too many for a picture, which shows 50$"):
        refuse_more(asked("n=6", "mode=compare"), 60, most=50)


def test_what_is_asked_for_alone_needs_nothing_else() -> None:
    for mode, forms in FORMATS.items():
        for form in forms:
            refuse(asked(f"mode={mode}", f"format={form}"))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "grid_best_seed0_n64.png"),
        (["n=4", "label=7", "seed=3"], "grid_best_seed3_label7_n4.png"),
        (["seed=[3,4]", "format=npz", "checkpoint=100"], "npz_100_seed-3-4_n10.npz"),
        (["label=all", "format=png"], "png_best_seed0_labelall_n10"),
        (["text=2026", "weights=raw", "truncation=0.5"], "grid_best_seed0_text2026_truncation0.5_weightsraw_n1.png"),
        (["mode=interpolate", "loop=true", "format=gif"], "interpolate_best_seed0_looptrue_n12.gif"),
        (["mode=progress", "format=webp"], "progress_seed0_n100.webp"),
        (["mode=progress", "label=all"], "progress_seed0_labelall_n1.png"),
        (["mode=compare", "seed=[3,4]", "n=5"], "compare_best_seed-3-4_n5.png"),
        (["mode=sheet", "steps=[0,1000]"], "sheet_steps-0-1000.png"),
    ],
)
def test_a_name_says_what_was_asked_for(words: list[str], name: str, tmp_path: Path) -> None:
    assert place(asked(*words)) == Path("run/generated") / name


def test_mistakes_answer_without_torch_and_lists_are_told_from_sweeps(workdir: Path, command: Any) -> None:
    code = """
import sys
from dcgan.shell.cli import cli
from dcgan.generate import main
sys.argv = ["dcgan.generate", "run=x", "loop=true"]
try:
    cli("generate", main)
except SystemExit as error:
    assert error.code == 1
assert not {"torch", "pandas", "matplotlib"} & {*sys.modules}, "a heavy import"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert command("generate", "run=x", "seed=3,4").err.endswith("; a list is seed=[3,4]\n")
