"""What is typed with any characters is understood, and what is printed to be pasted back is taken back."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, composed

from dcgan.shell.words import pasted

PATHS = [
    *("outputs/plain-1_2.3", "with space", "two  spaces ", "übung", "a=b", "a,b", "a(b)", "it's", 'say "x"', "$HOME"),
    *("a#b", "~mine", "~", "[a]", "{a: b}", "back\\slash", "end\\", "日本", "a;b&c|d", "*?!", "${oc.env:HOME}", "`x`"),
    *("true", "null", "2026", "1e3", "007", "-x", "a:b", "%", "@", "a<b>c", "tab\there", "\\'", '\\"', "'", '"'),
]


@pytest.mark.parametrize("name", PATHS)
def test_what_is_printed_to_be_pasted_is_taken_back(name: str) -> None:
    (word,) = shlex.split(pasted("run", Path(name)))
    taken = composed(word, entry="generate").run
    assert taken == (str(Path(name).absolute()) if name.startswith("~") else name)
    if name == "outputs/plain-1_2.3":
        assert word == f"run={name}"


AS_THEY_ARE = [
    "a#b",
    "übung 1",
    "it's",
    'a"b',
    "a;b&c",
    "<x>",
    "日本",
    "2026",
    "1e3",
    "true",
    "~no-one",
    "007",
    "1_000",
]


@pytest.mark.parametrize("path", AS_THEY_ARE)
def test_a_path_is_taken_with_any_characters_that_cannot_mean_anything_else(path: str, command: Any) -> None:
    assert composed(f"run={path}", entry="generate").run == path
    assert command("generate", f"run={path}").err == f"error: run={path}: no run folder with checkpoints\n"
    assert command("train", f"resume={path}").err == f"error: resume={path}: no run folder (it has no config.yaml)\n"


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("resume=a=b", "resume=a=b: not key=value; quote a value that holds =, commas or brackets: 'resume=\"a=b\"'"),
        ("resume=ä(1)", "quote a value that holds ä or =, commas or brackets: 'resume=\"ä(1)\"'"),
        ("resume=a,b", "resume=a,b: several values are a sweep; add -m"),
        ("resume=[a]", "resume=['a']: no run folder"),
        ("resume={a: 1}", "resume={'a': 1}: no run folder"),
        ("name=ä", "name=ä: must be letters, digits"),
        ("optimizer.lr=1;2", "optimizer.lr=1;2: must be a number"),
        ("data=./mine", "data=./mine: a path, where an option's name is wanted; there are fashion_mnist, folder,"),
        ("data=./mine", "stacked_mnist; data=folder data.folder=<path> takes your own images\n"),
        ("data=/tmp/ä#", "data=/tmp/ä#: a path, where an option's name is wanted; "),
        ("data=mine/", "data=mine/: a path, where"),
        ("data=3", "data=3: no such option; there are fashion_mnist"),
        ("metrics=weights.pth", "weights.pth: a path, where an option's name is wanted; there are digits,"),
        ("experiment=./mine.yaml", "hydra.searchpath=[file://<folder>] finds your own"),
        ("model=dcgn", "model=dcgn: no such option; there are dcgan, mlp, resnet\n"),
        ("outputs/mine", "outputs/mine: not key=value\n"),
    ],
)
def test_a_word_is_refused_for_what_is_wrong_with_it(word: str, line: str, command: Any) -> None:
    err = command("train", word).err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--seed=3", "--seed=3: keys have no dashes before them; type seed=3"),
        ("--seed 3", "--seed: keys have no dashes before them; type seed=3"),
        ("--optimizer.lr 1e-3", "--optimizer.lr: keys have no dashes before them; type optimizer.lr=1e-3"),
        ("-model=mlp", "-model=mlp: keys have no dashes before them; type model=mlp"),
        (
            "--batch-size 64",
            "--batch-size: no such flag; what a run is to be is typed as key=value, as in data.batch_size",
        ),
        ("--lr=1e-3", "as in optimizer.lr=1e-3"),
        ("--lr seed=1", "as in optimizer.lr=..."),
        ("--epochs 3", "--epochs: no such flag; what a run is to be is typed as key=value; --help lists them"),
        ("--run=mine", "--run=mine: no such flag; "),
    ],
)
def test_flags_of_other_programs_are_told_their_key(words: str, line: str, command: Any) -> None:
    err = command("train", *words.split()).err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert line in err


def test_and_those_of_ours_and_hydras(command: Any) -> None:
    line = "error: --run=mine: keys have no dashes before them; type run=mine\n"
    assert command("generate", "--run=mine").err == line
    for flags in ("--cfg job -p seed", "-cjob --package=seed", "--pack seed --cfg=job"):
        assert command("train", "seed=7", *flags.split()).out.strip() == "7"


def test_a_folder_that_was_typed_alone_is_told_its_key(command: Any) -> None:
    assert command("evaluate", "a b").err == "error: a b: not key=value, as in 'run=a b'\n"


def test_the_summary_of_a_run_in_an_odd_folder_is_pasted_into_a_shell(command: Any, workdir: Path) -> None:
    folder = "my übung (1), a=b & $x #2"
    words = [*TINY, "metrics=none", "trainer.max_steps=1", f"hydra.run.dir='{folder}'"]
    trained = command("train", *words)
    assert trained.code == 0, trained.err
    (line,) = [line for line in trained.out.splitlines() if line.startswith("  draw ")]
    shell = line.removeprefix("  draw").replace("python", sys.executable, 1)
    drawn = subprocess.run(["sh", "-c", f"{shell} out=g.png"], capture_output=True, text=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert Path("g.png").is_file()
    refused = command("train", *words)
    (hint,) = [part.removeprefix("or ") for part in refused.err.strip().split("; ")[1].split("folder, ")[1:]]
    resumed = command("train", *shlex.split(hint), "trainer.max_steps=2")
    assert resumed.code == 0, resumed.err


# --- files that YAML or Hydra does not take

EXPERIMENTS = {
    "tab": ("# @package _global_\nmodel:\n\twidth: 8\n", "tab.yaml, line 3, column 1: holds a tab; indent with spaces"),
    "open": ("# @package _global_\nmodel: [8\n", "open.yaml, line 3, column 1: no YAML: expected ',' or ']'"),
    "twice": ("# @package _global_\nseed: 1\nseed: 2\n", "twice.yaml, line 3, column 1: no YAML: found duplicate key"),
    "control": ('# @package _global_\nname: "\x01"\n', "no YAML: unacceptable character #x0001"),
    "local": ("seed: 3\n", "experiment=local: its file must begin with the line `# @package _global_` (no byte order"),
    "deep": (
        "defaults:\n  - override /model: mlp\n",
        "experiment=deep: its file must begin with the line `# @package _global_` (no byte order mark before it)",
    ),
    "mark": ("\ufeff# @package _global_\nseed: 3\n", "experiment=mark: its file must begin with the line `# @package"),
    "slip": ("# @package global\nseed: 3\n", "experiment=slip: its file must begin with the line `# @package"),
    "group": ("# @package _group_\nseed: 3\n", "experiment=group: its file must begin with the line `# @package"),
    "other": ("# @package _global_\nexperiment: quick\n", "experiment=other: its file must begin with the line `# @"),
    "slashless": (
        "# @package _global_\ndefaults:\n  - override model: mlp\n",
        "experiment=slashless: in the file's defaults it must be `override /model: ...`\n",
    ),
    "plain": ("# @package _global_\ndefaults:\n  - model: mlp\n", "defaults it must be `override /model: mlp`\n"),
    "scalar": ("# @package _global_\nloss: hinge\n", "in the file's defaults it must be `override /loss: hinge`\n"),
    "off": ("# @package _global_\nhealth: off\n", 'in the file\'s defaults it must be `override /health: "off"`\n'),
    "bare": (
        "# @package _global_\nmodel:\n# width: 8\n",
        "model: has nothing below it in the file; leave it out, or indent its keys under it\n",
    ),
    "list": ("# @package _global_\n- seed\n", "In 'experiment/list': ConfigTypeError raised while composing config: "),
}


@pytest.mark.parametrize("text", ["1.50", "2026_11_30", "1e3", "true", "007", "plain"])
def test_a_name_is_a_text_whatever_number_it_looks_like(text: str) -> None:
    assert composed(f"name={text}").name == composed(f"text={text}", entry="generate").text == text


def test_what_is_in_a_run_folder_leads_to_it(command: Any, workdir: Path) -> None:
    saved = Path("mine/checkpoints/last.ckpt")
    saved.parent.mkdir(parents=True)
    for path in (saved, saved.with_name("last.generator.safetensors"), Path("mine/config.yaml")):
        path.touch()
    line = f"error: resume={saved}: no run folder (it has no config.yaml); it is of one: resume={workdir / 'mine'}\n"
    assert command("train", f"resume={saved}").err == line
    for entry, path in (("generate", saved), ("generate", saved.parent), ("evaluate", saved.parent)):
        told = command(entry, f"run={path}").err
        assert told.startswith(f"error: {'run=' if path != saved else ''}{path}"), told
        assert told.endswith(f"; it is of one: run={workdir / 'mine'}\n" if path != saved else f"{workdir / 'mine'}\n")
    line = (
        f"error: init=mine: is a run folder; name its generator, init={saved.with_name('last.generator.safetensors')}\n"
    )
    assert command("train", "init=mine", "metrics=none").err == line


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_file_is_refused_for_what_is_wrong_with_it(name: str, command: Any, workdir: Path) -> None:
    text, line = EXPERIMENTS[name]
    (workdir / "conf" / "experiment").mkdir(parents=True)
    (workdir / "conf" / "experiment" / f"{name}.yaml").write_text(text)
    err = command("train", f"hydra.searchpath=[file://{workdir}/conf]", f"experiment={name}").err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"model:\n\twidth: 8\n", "error: {here}/run/config.yaml, line 2, column 1: holds a tab; indent with spaces\n"),
        (b"name: \xe4\n", "error: run/config.yaml: no YAML: not UTF-8 (invalid continuation byte)\n"),
        (b"- 1\n", "error: run/config.yaml: holds a list, and is no run's configuration\n"),
    ],
)
def test_a_runs_configuration_that_was_edited_wrongly(content: bytes, line: str, command: Callable[..., Any]) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").write_bytes(content)
    assert command("train", "resume=run").err == line.format(here=Path.cwd())
