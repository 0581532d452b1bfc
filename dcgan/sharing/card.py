"""A model card in the Hugging Face convention: what a generator is, how it was measured, how to use it."""

import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dcgan.config.catalogue import judged_by
from dcgan.metrics.protocol import read_records
from dcgan.reports.table import FORMS as NUMBERS
from dcgan.runs.load import Loaded
from dcgan.shell.reading import from_json, small_text

LICENCES = {  # of the images that it was trained on, as their makers give them
    "mnist": "MNIST (LeCun, Cortes and Burges): CC BY-SA 3.0",
    "stacked_mnist": "made of MNIST (LeCun, Cortes and Burges): CC BY-SA 3.0",
    "fashion_mnist": "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): MIT",
    "kmnist": "KMNIST (Clanuwat et al. 2018): CC BY-SA 4.0",
}
UNSURE, THIN = 0.02, 0.03  # of samples, and of real images: what is worth a sentence
FEW = 0.8  # of a class's share


def card(loaded: Loaded, run: Path, *, form: str, agreement: str) -> str:
    """The text of README.md.

    Args:
        form: what the generator was written as.
        agreement: how well the file agrees with the generator, in words.
    """
    data, generator = loaded.config.data, loaded.generator
    names = getattr(data, "classes", None) or []
    try:
        records = evaluations(run, loaded)
        table, weaknesses = list(_table(records)), list(_weaknesses(records, names))
    except (TypeError, AttributeError, KeyError, ArithmeticError) as error:
        raise ValueError(f"{beside(run, 'metrics.jsonl')}: holds a line that is no evaluation's; remove it") from error
    return (
        _environment()
        .get_template("card.md")
        .render(
            name=loaded.config.name,
            data=data.name,
            licence=LICENCES.get(data.name, "yours: ask their owner"),
            classes=generator.num_classes,
            names=names,
            latent_dim=generator.latent_dim,
            shape=f"{data.channels} x {data.resolution} x {data.resolution}",
            model=loaded.config.model.name,
            parameters=f"{sum(one.numel() for one in generator.parameters()):,}",
            step=loaded.step,
            form=form,
            agreement=agreement,
            command=_command(run),
            provenance=_provenance(run),
            records=records,
            table=table,
            weaknesses=weaknesses,
        )
    )


def beside(run: Path, name: str) -> Path:
    """A file of a run folder; of a generator's file, that which lies beside it under its name."""
    return run.with_name(f"{run.stem}.{name}") if run.is_file() else run / name


def evaluations(run: Path, loaded: Loaded) -> list[Mapping[str, Any]]:
    """The last one of these weights against the test split by each extractor; else that while training."""
    found = [one for one in read_records(beside(run, "metrics.jsonl")) if one.get("step") == loaded.step]
    tests = {one["extractor"]: one for one in found if one.get("split") == "test" and "measures" in one}
    training = [one for one in found if one.get("split") == "train" and one.get("value") is not None]
    return sorted(tests.values(), key=lambda one: judged_by(one["extractor"]) is not None) or [*training[-1:]]


def _table(records: list[Mapping[str, Any]]) -> Iterator[list[str]]:
    """A row for each measure: of the generator, of real images, and by the judges."""
    for name, form in NUMBERS.items():
        values = [one.get("measures", {}).get(name, {}).get("value") for one in records]
        if values and values[0] is not None:
            real = (records[0].get("real") or {}).get(name)
            yield [name, *("" if value is None else form.format(value) for value in (values[0], real, *values[1:]))]


def _weaknesses(records: list[Mapping[str, Any]], names: list[str]) -> Iterator[str]:
    """What it is bad at, as far as it was measured; classes by their ``names``, where they have some."""
    if not records:
        yield "It was not evaluated: nothing is known of how good it is."
        return
    first = records[0]
    own, real = ({name: _value(one) for name, one in (first.get(kind) or {}).items()} for kind in ("measures", "real"))
    if (unsure := real.get("confident", 1.0) - own.get("confident", 1.0)) > UNSURE:
        yield f"{unsure:.0%} more of its images than of real ones are none that a classifier is sure of."
    covered, possible = own.get("coverage", 1.0), real.get("coverage", 1.0)
    if possible - covered > THIN:
        yield f"Less varied than the data: it covers {covered:.0%} of the test images, unseen real ones {possible:.0%}."
    histogram = first.get("histogram") or []
    share = sum(histogram) / len(histogram) if histogram else 0
    called = dict(enumerate(names))
    if few := [called.get(label, str(label)) for label, number in enumerate(histogram) if number < FEW * share]:
        yield f"It draws fewer than {FEW:.0%} of what would be even of class {', '.join(few)}."
    for other in records[1:]:
        if _value(other) > 2 * _value(first):
            yield f"{other['extractor']}, a judge of another make, is harsher: FID {_value(other):.2f}."
    yield "Small images only; it knows nothing but the set that it was trained on, and repeats what is odd in that."


def _value(one: Any) -> float:
    found = one.get("value") if isinstance(one, Mapping) else one
    return float("nan") if found is None else float(found)


def _first_line(run: Path) -> dict[str, Any]:
    path = beside(run, "provenance.jsonl")
    try:
        found = from_json(small_text(path).splitlines()[0])
    except (OSError, ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


def _command(run: Path) -> str:
    words = _first_line(run).get("command")
    return shlex.join(map(str, words)) if isinstance(words, list) else ""


def _provenance(run: Path) -> str:
    line = _first_line(run)
    commit, packages = line.get("git_commit"), line.get("packages")
    words = [
        f"commit {str(commit)[:12]}" if commit else "",
        f"torch {packages['torch']}" if isinstance(packages, dict) and "torch" in packages else "",
    ]
    return ", ".join(word for word in words if word)


@cache
def _environment() -> Environment:
    loader = PackageLoader("dcgan.sharing", "templates")
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
