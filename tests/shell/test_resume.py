"""Where a run that may be a stranger's looks on this machine: where the person who types says, and nowhere else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import TINY, composed, printed_run
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dcgan.config.schema import SCHEMAS, path_keys
from dcgan.runs.load import load
from dcgan.shell.resume import resumed

QUICK = [*TINY, "metrics=none", "trainer.max_steps=2", "samples.every=100"]
THEIRS = "/nowhere/theirs"


def change(run: Path, **keys: Any) -> None:
    """Have the run's configuration, in its folder and in its generators, say otherwise: ``data__root`` is data.root."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    for key, value in keys.items():
        group, _, name = key.partition("__")
        config[group] |= value if not name else {name: value}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    for path in run.glob("checkpoints/*.safetensors"):
        with safe_open(path, "pt") as file:
            recipe = json.loads(file.metadata()["recipe"])
        save_file(load_file(path), path, metadata={"recipe": json.dumps({**recipe, "config": config})})


@pytest.fixture
def run(command: Callable[..., Any], workdir: Path) -> Path:
    """A stranger's run: its configuration names a folder that is not theirs to name."""
    run = Path(printed_run(command("train", *QUICK).out))
    change(run, data__root=THEIRS, trainer__default_root_dir=THEIRS)
    return run


def test_which_keys_are_paths() -> None:
    data = {"data.root", "data.folder"}
    assert set(path_keys(SCHEMAS["train"])) == {*data, "metrics.weights", "trainer.default_root_dir", "init", "resume"}
    assert set(path_keys(SCHEMAS["evaluate"])) == {"run", "samples", "out", *data, "metrics.weights"}
    assert set(path_keys(SCHEMAS["generate"])) == {"run", "out", *data}


@pytest.mark.parametrize("said", ["environment", "typed", "default"])
def test_a_resumed_run_finds_its_data_where_the_person_says(
    said: str, run: Path, command: Any, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"resume={run}", "trainer.max_steps=3"]
    if said != "environment":
        monkeypatch.delenv("DCGAN_DATA")
    if said == "default":
        Path("data").symlink_to(mnist_root)
    elif said == "typed":
        words.append(f"data.root={mnist_root}")
    result = command("train", *words)
    assert result.code == 0, result.err
    note = f"note: data.root=data: the run had {THEIRS}, which must be typed again\n"
    assert result.err == (note if said == "default" else "")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["root"] == ("data" if said == "default" else str(mnist_root))
    assert config["trainer"]["default_root_dir"] is None


@pytest.mark.parametrize("said", ["environment", "typed", "default"])
def test_an_evaluation_finds_its_data_where_the_person_says(
    said: str, run: Path, command: Any, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = []

    def stop(samples: Any, **_: Any) -> None:
        roots.append(str(samples.data.root))
        raise ValueError("far enough")

    monkeypatch.setattr("dcgan.reports.scoring.score", stop)
    if said != "environment":
        monkeypatch.delenv("DCGAN_DATA")
    words = [f"data.root={mnist_root}"] if said == "typed" else []
    assert command("evaluate", f"run={run}", "num_samples=20", *words).err.endswith("error: far enough\n")
    assert roots == ["data" if said == "default" else str(mnist_root)]


def test_weights_are_typed_again(run: Path, command: Any) -> None:
    change(run, metrics={"name": "inception", "every": 5, "num_samples": 20, "weights": THEIRS})
    refused = command("evaluate", f"run={run}", "num_samples=20")
    assert refused.err.splitlines()[-1].startswith(
        f"error: metrics.weights: the run had {THEIRS}; a run folder chooses"
    )
    mine = command("evaluate", f"run={run}", "num_samples=20", "metrics=inception", "metrics.weights=mine.pth")
    assert mine.err.splitlines()[-1].startswith("error: metrics.weights=mine.pth: not a file of plain tensors")

    refused = command("train", f"resume={run}", "trainer.max_steps=3")
    assert refused.err.startswith(f"error: metrics.weights: the run had {THEIRS}; a run folder chooses no path here")
    words = [f"resume={run}", "metrics.weights=mine.pth", "trainer.max_steps=3"]
    assert resumed(composed(*words), words, folder=run).metrics.weights == "mine.pth"
    assert command("train", *words).err.startswith("error: metrics.weights=mine.pth: not a file of plain tensors")


def test_a_generator_is_drawn_from_by_path_and_step(run: Path) -> None:
    from dcgan import load_generator

    assert load(run, checkpoint="last", device="cpu").step == 2
    (run / "checkpoints" / "last.generator.safetensors").rename(run / "checkpoints/step_000002.generator.safetensors")
    assert load_generator(str(run), checkpoint=2).num_classes == 0
    with pytest.raises(FileNotFoundError, match="run=text: no run folder with checkpoints"):
        load_generator("text")
    for wrong in (None, 3, ["text"]):
        with pytest.raises(ValueError, match=r"load_generator\(.+\): takes the path of a run folder"):
            load_generator(wrong)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="checkpoint=None: "):
        load_generator(run, checkpoint=None)  # type: ignore[arg-type]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "holds YAML aliases"),
        ("name: ${oc.env:HOME}\n", "holds ${...}"),
        ("# " + "x" * 2**20, "has 1048578 bytes"),
    ],
)
def test_a_strangers_configuration_fills_no_memory_and_asks_for_nothing(
    content: str, words: str, command: Any, workdir: Path
) -> None:
    (workdir / "theirs").mkdir()
    (workdir / "theirs" / "config.yaml").write_text(content)
    result = command("train", "resume=theirs")
    assert (result.code, result.err) == (1, f"error: theirs/config.yaml: {words}, and is no run's configuration\n")
