"""``python -m dcgan.evaluate run=<run folder>`` or ``samples=<file or folder>``: how good samples are, in numbers."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from dcgan.cli import Launch, cli
from dcgan.config.check import check
from dcgan.config.schema import EvaluateConfig
from dcgan.table import compare, describe

if TYPE_CHECKING:
    from dcgan.scoring import Samples


def evaluate(config: EvaluateConfig) -> list[dict[str, Any]]:
    """Score a run's checkpoint or somebody's samples; write records and a page, print the table, return the records.

    Raises:
        ValueError, OSError: one line on what is wrong; nothing is written.
    """
    from dcgan import scoring

    if config.samples is not None:
        path = Path(config.samples)
        out = Path(config.out or Path("outputs") / "evaluations" / path.stem)
        return _evaluate(scoring.samples_of_file(path, config), config, out=out, prefix="")
    run = Path(config.run or "")
    prefix = f"{run.name}_" if config.out else ""
    return _evaluate(scoring.samples_of_run(run, config), config, out=Path(config.out or run), prefix=prefix)


def _evaluate(samples: "Samples", config: EvaluateConfig, *, out: Path, prefix: str) -> list[dict[str, Any]]:
    from dcgan.metrics.protocol import append_record
    from dcgan.page import write_page
    from dcgan.scoring import score

    found = score(samples, split=config.split, memorisation=config.memorisation, cas=config.cas)
    table = describe(found.records)
    protocol = found.records[0]["metric"].removeprefix("fid_")
    step = f"_step_{samples.origin['step']:06d}" if "step" in samples.origin else ""
    out.mkdir(parents=True, exist_ok=True)
    page = out / f"{prefix}evaluation_{protocol}{step}.html"
    write_page(found, table, page)
    for record in found.records:
        append_record(out / "metrics.jsonl", record)
    print(f"{table}\n  recorded in {out}/metrics.jsonl, figures in {page}")
    return found.records


def run_folders(folder: Path) -> list[Path]:
    """The run folders in a folder, at any depth.

    Raises:
        FileNotFoundError: there are none.
    """
    runs = sorted({path.parent.parent for path in folder.rglob("checkpoints/*.ckpt")})
    if not runs:
        raise FileNotFoundError(f"run={folder}: no run folder with checkpoints, nor a folder of them")
    return runs


def _evaluate_all(folders: Sequence[Path], config: EvaluateConfig) -> bool:
    """Each run, then a table of all; a run that fails does not keep the others from theirs."""
    from dataclasses import replace

    records, failed = [], False
    for folder in folders:
        try:
            records.append(evaluate(replace(config, run=str(folder)))[0])
        except (ValueError, OSError) as error:
            failed = True
            print(f"error: {folder}: {' '.join(str(error).split())}", file=sys.stderr)
        print()
    if records:
        print(compare(records))
    return not failed


def main(config: DictConfig, launch: Launch) -> Any:
    """Evaluate what the command line names, and print it."""
    typed = check(config, EvaluateConfig)
    if (typed.run is None) == (typed.samples is None):
        raise ValueError("run=, samples=: name one of them, a run folder or a file or folder of images")
    if typed.metrics is not None and typed.metrics.name == "none":
        raise ValueError("metrics=none: nothing to evaluate with; take digits, fashion, stacked or inception")
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
