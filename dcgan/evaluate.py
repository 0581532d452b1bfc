"""``python -m dcgan.evaluate run=<run folder>`` or ``samples=<file or folder>``: how good samples are, in numbers."""

import itertools
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.check import check
from dcgan.config.registry import lookup
from dcgan.config.schema import EvaluateConfig
from dcgan.reports.table import compare, describe
from dcgan.shell.cli import Launch, cli
from dcgan.shell.composed import composed
from dcgan.shell.folders import folder_name
from dcgan.shell.resume import of_a_run
from dcgan.shell.status import UNFINISHED, read_status, shown_health
from dcgan.shell.writing import refuse_no_folder

if TYPE_CHECKING:
    from dcgan.reports.scoring import Samples, Score


def evaluate(config: EvaluateConfig) -> list[dict[str, Any]]:
    """Score a run's checkpoint or somebody's samples; write records and a page, print the table, return the records.

    Raises:
        ValueError, OSError: one line on what is wrong; nothing is written.
    """
    from dcgan.reports import scoring

    if config.samples is not None:
        path = Path(config.samples)
        samples = scoring.samples_of_file(path, config)
        out = Path("outputs") / "evaluations" / folder_name(path.resolve().name, [samples.origin["samples_sha256"][:8]])
        return _evaluate(samples, config, out=Path(config.out or out), prefix="")
    run = Path(config.run or "")
    status = read_status(run)
    for words in (UNFINISHED.get(status.get("state", "finished")), shown_health(status)):
        if words:
            print(f"note: {run}: {words}", file=sys.stderr)
    prefix = f"{run.resolve().name}_" if config.out else ""
    return _evaluate(scoring.samples_of_run(run, config), config, out=Path(config.out or run), prefix=prefix)


def evaluate_samples(images: Any, labels: Any = None, *, overrides: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Score an array of images as ``python -m dcgan.evaluate samples=<file>`` does; nothing is written.

    Args:
        images: uint8, (N, H, W), (N, C, H, W) or (N, H, W, C), as an array or a tensor.
        labels: whole numbers (N,), for ``cas=true``.
        overrides: words of that command, such as ``["metrics=fashion", "num_samples=2000"]``.

    Returns:
        A record for the feature space, and one for each of its judges: ``records[0]["value"]`` is the FID.

    Raises:
        ValueError, OSError: one line on what is wrong.
    """
    import numpy as np

    from dcgan.reports import scoring
    from dcgan.runs.called import nothing_left_behind

    with nothing_left_behind(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.npz"
        images = images.detach().cpu() if hasattr(images, "detach") else images
        arrays: dict[str, Any] = {"images": np.asarray(images)}
        np.savez(path, **arrays | ({} if labels is None else {"labels": np.asarray(labels)}))
        words = [f"samples={path}", *overrides]
        config = check(composed(words, entry="evaluate"), EvaluateConfig, typed=words)
        try:
            samples = scoring.samples_of_file(path, config, name="images")
        except ValueError as error:
            raise ValueError(str(error).replace(f"samples={path}", "images")) from error
        found = scoring.score(samples, split=config.split, memorisation=config.memorisation, cas=config.cas)
    return found.records


def _evaluate(samples: "Samples", config: EvaluateConfig, *, out: Path, prefix: str) -> list[dict[str, Any]]:
    from dcgan.metrics.protocol import append_record
    from dcgan.reports.scoring import score

    refuse_no_folder(out)
    found = score(samples, split=config.split, memorisation=config.memorisation, cas=config.cas)
    table = describe(found.records)
    protocol = found.records[0]["metric"].removeprefix("fid_")
    step = f"_step_{samples.origin['step']:06d}" if "step" in samples.origin else ""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for record in found.records:
            append_record(out / "metrics.jsonl", record)
    except OSError:
        print(table)  # the only place left
        raise
    figures = _figures(found, _new(out / f"{prefix}evaluation_{protocol}{step}.html"))
    print(f"{table}\n  recorded in {out}/metrics.jsonl{figures}")
    return found.records


def _figures(found: "Score", page: Path) -> str:
    """Write the page and say where it is. That it fails is no reason to fail: the numbers are recorded."""
    try:
        from dcgan.reports.page import write_page

        write_page(found, page)
    except Exception as error:
        print(f"note: {page}: no figures ({type(error).__name__}: {' '.join(str(error).split())})", file=sys.stderr)
        return ""
    return f", figures in {page}"


def _new(path: Path) -> Path:
    """``path``, with a number if there is such a file: an evaluation never takes another's page away."""
    others = (path.with_name(f"{path.stem}-{i}{path.suffix}") for i in itertools.count(2))
    return next(one for one in itertools.chain([path], others) if not one.exists())


def run_folders(folder: Path) -> list[Path]:
    """The run folders in a folder, at any depth.

    Raises:
        FileNotFoundError: there are none.
    """
    runs = sorted(
        {path.parent.parent for path in folder.rglob("checkpoints/*") if path.suffix in (".ckpt", ".safetensors")}
    )
    if not runs:
        raise FileNotFoundError(f"run={folder}: no run folder with checkpoints, nor a folder of them{of_a_run(folder)}")
    return runs


def _evaluate_all(folders: Sequence[Path], config: EvaluateConfig) -> bool:
    """Each run, then a table of all; a run that fails does not keep the others from theirs."""
    from dataclasses import replace

    records, failed = [], False
    for folder in folders:
        try:
            records += evaluate(replace(config, run=str(folder)))
        except (ValueError, OSError) as error:
            failed = True
            print(f"error: {folder}: {' '.join(str(error).split())}", file=sys.stderr)
        print()
    if records:
        print(compare(records, health={str(folder): shown_health(read_status(folder)) for folder in folders}))
    return not failed


def main(config: DictConfig, launch: Launch) -> Any:
    """Evaluate what the command line names, and print it."""
    typed = check(config, EvaluateConfig, typed=launch.overrides)
    if (typed.run is None) == (typed.samples is None):
        raise ValueError("run=, samples=: name one of them, a run folder or a file or folder of images")
    if typed.metrics is not None and typed.metrics.name == "none":
        raise ValueError("metrics=none: nothing to evaluate with; take digits, fashion, stacked, own or inception")
    if typed.data.name is not None:
        lookup(CATALOGUE, typed.data.name, key="data.name")
    if typed.run is not None and typed.data.name is not None:
        raise ValueError(f"data.name={typed.data.name}: a run knows its data set; leave it null")
    for word in launch.overrides:
        if re.match(r"\W*metrics\.(every|num_samples)=", word):
            raise ValueError(f"{word}: is how often training evaluates, and on how much; here it is num_samples=")
    if typed.run is None or (Path(typed.run) / "checkpoints").is_dir():
        return evaluate(typed)
    if not _evaluate_all(run_folders(Path(typed.run)), typed):
        sys.exit(1)
    return None


if __name__ == "__main__":
    cli("evaluate", main)
