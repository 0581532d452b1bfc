"""A search space: what may be said in it, and what is refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest
from conftest import options

from dcgan.shell.space import Choice, Interval, corners, read_space, trial_folder


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("interval(1, 9)", Interval(1.0, 9.0)),
        ("tag(log, interval(1e-4, 1e-2))", Interval(1e-4, 1e-2, log=True)),
        ("int(interval(1, 9))", Interval(1, 9)),
        ("tag(log, int(interval(4, 64)))", Interval(4, 64, log=True)),
        ("int(tag(log, interval(4, 64)))", Interval(4, 64, log=True)),
        ("range(1, 9)", Interval(1, 8, step=1)),
        ("range(1, 10, 4)", Interval(1, 9, step=4)),
        ("range(9, 1, -3)", Interval(3, 9, step=3)),
        ("range(0.1, 0.4, 0.1)", Interval(0.1, 0.3, step=0.1)),
        ("choice(hinge, minimax)", Choice(("hinge", "minimax"))),
        ("a,b", Choice(("a", "b"))),
        ("choice([0.0, 0.9], [0.5, 0.999])", Choice(("[0.0,0.9]", "[0.5,0.999]"))),
        ("null,256", Choice(("null", "256"))),
    ],
)
def test_hydras_notation_is_read(text: str, values: Any) -> None:
    (axis,) = read_space({"key": text}, name="mine")
    assert axis.values == values
    numbers = [value for value in axis.ends if not isinstance(value, str)]
    assert list(map(type, numbers)) == [type(value) for value in values if type(value) in (int, float)][: len(numbers)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (3, "search=mine: key: 3: one value is no axis; write several, or type key=3 on the command line"),
        ("choice(a)", "search=mine: key: choice(a): has one value, and an axis two or more"),
        ("choice(a, a)", "has one value, and an axis two or more"),
        ("range(1, 2)", "has one value, and an axis two or more"),
        ("range(3, 1)", "has no value, and an axis two or more"),
        ("interval(1, 1)", "the interval is empty; its first end must be below its second"),
        ("interval(2, 1)", "the interval is reversed; its first end must be below its second"),
        ("interval(0, inf)", "must have two finite ends"),
        ("tag(log, interval(0, 1))", "has no logarithm at 0; begin above 0, or leave out log"),
        ("tag(log, range(1, 9))", "log is of an interval"),
        ("tag(lg, interval(1, 2))", "tag lg: no such tag; there is log"),
        ("shuffle(range(1, 9))", "there is no order to shuffle"),
        ("log(interval(1, 2))", "log(interval(1, 2)): not in Hydra's notation, such as interval(0.1, 1)"),
        ("interval(1", "not in Hydra's notation, such as interval(0.1, 1)"),
        ([1, 2], "[1, 2]: not in Hydra's notation"),
        ({"lr": "1,2"}, "holds keys of its own; write key.lr: ... in one line"),
    ],
)
def test_an_axis_that_is_none_is_refused(text: Any, line: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        read_space({"key": text}, name="mine")
    assert str(error.value).startswith("search=mine: key: ")
    assert line in str(error.value)


def test_every_end_and_every_choice_is_a_corner_and_all_of_them_where_they_are_few() -> None:
    few = read_space({"a": "interval(0, 1)", "b": "choice(x, y, z)"}, name="few")
    assert len({(point["a"], point["b"]) for point in corners(few)}) == 6
    many = read_space({**{f"key{i}": "interval(0, 9)" for i in range(9)}, "c": "choice(x, y, z)"}, name="many")
    found = list(corners(many))
    assert len(found) <= 24
    assert all({point[axis.key] for point in found} == set(axis.ends) for axis in many)


def test_a_trials_folder_says_what_varied() -> None:
    found = trial_folder(7, {"optimizer.lr": 0.00123456, "loss": "hinge"})
    assert found == "trial_0007_optimizer.lr-0.001235_loss-hinge"


WIDTHS = "model.width: int(interval(4, 8))\n"


@pytest.fixture
def mine(workdir: Path) -> Any:
    """A space of one's own, and how it is found."""
    (workdir / "conf" / "search").mkdir(parents=True)

    def written(text: str) -> list[str]:
        (workdir / "conf" / "search" / "mine.yaml").write_text(text)
        return [f"hydra.searchpath=[file://{workdir}/conf]", "search=mine"]

    return written


@pytest.mark.parametrize(
    ("space", "words", "line"),
    [
        (None, "", "search: say which; there are adam, architecture, balance, losses"),
        (None, "search=adm", "search=adm: no such option; there are adam, architecture, balance, losses"),
        ("", "", "search=mine: is empty; a space has keys of dcgan.train"),
        ("- model.width: 1,2", "", "search=mine: is a list; a space has keys of dcgan.train and their values"),
        (WIDTHS, "trials=0", "trials=0: must be at least 1"),
        (WIDTHS, "trials=many", "trials=many: must be a whole number"),
        (WIDTHS, "sampler=grid", "sampler=grid: must be one of tpe, random"),
        (WIDTHS, "objective=kid", "objective=kid: must be fid, cpu_seconds, or both, as in [fid,cpu_seconds]"),
        (WIDTHS, "objective=[fid,fid]", "objective=['fid', 'fid']: must be fid, cpu_seconds, or both"),
        (WIDTHS, "objective=[fid,cpu_seconds] pruning=true", "pruning=true: is by the FID of one step after another"),
        (WIDTHS, "metrics=none", "metrics=none: a search reads what evaluations record; leave it out"),
        (WIDTHS, "model.width=8", "model.width: was typed, and is searched by search=mine; leave one of them out"),
        (WIDTHS, "optimizer.lr=1,2", "optimizer.lr=1,2: several values; type one, or name the key in a space"),
        (WIDTHS, "resume=auto", "resume: the same line goes on with a search; leave it out"),
        (WIDTHS, "trials=2 seeed=1", "seeed: no such key; did you mean seed?"),
        (WIDTHS, "hydra.run.dir=x", "hydra.run.dir=x: is of dcgan.train; here it is name="),
        ("model.wdith: interval(1, 2)", "", "search=mine: model.wdith=1.0: model.wdith: no such key; did you mean"),
        ("model.width: interval(1, 2)", "", "model.width=1.0: must be a whole number; write int(interval(1, 2))"),
        ("model.width: range(-1, 9)", "", "search=mine: model.width=-1: model.width=-1: must be at least 1"),
        ("loss: choice(hinge, hing)", "", "search=mine: loss=hing: loss=hing: no such option; there are hinge,"),
        ("loss: choice(hinge, wasserstein)", "", "loss=wasserstein: needs something that bounds its critic's slope"),
        ("trials: range(1, 9)", "", "search=mine: trials: is not of one run; leave it out of a space"),
        ("seed: range(0, 3)", "", "search=mine: seed: would be chosen for its luck; leave it out of a space"),
        ("++model.width: 2,3", "", "search=mine: ++model.width: write model.width"),
        ("metrics.num_samples: choice(20, 30)", "", "are measured otherwise, so their FIDs have no order"),
    ],
)
def test_a_mistake_is_one_line_before_anything_starts(
    space: str | None, words: str, line: str, mine: Any, command: Any, workdir: Path
) -> None:
    result = command("tune", *(mine(space) if space is not None else []), *words.split())
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1, result.err
    assert line in result.err
    assert not (workdir / "outputs").exists()


def test_a_sweep_of_searches_is_none(command: Any) -> None:
    result = command("tune", "-m", "search=adam", "trials=1")
    assert result.code == 1
    assert result.err.startswith("error: -m: is of a sweep")
    assert not list(Path().iterdir())


def test_without_optuna_it_says_what_to_install(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan.tune.find_spec", lambda name: None)
    assert command("tune", "search=adam").err == "error: optuna is not installed: pip install 'dcgan[tune]'\n"


@pytest.mark.parametrize("name", options("search"))
def test_the_spaces_that_ship_hold_what_trains(name: str, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Any] = []
    monkeypatch.setattr("dcgan.tune.tune", planned.append)
    result = command("tune", f"search={name}")
    assert result.code == 0, result.err
    assert planned[0].trials == 40
    assert len(planned[0].space) > 1
