"""The losses of the plain path, as they were: a change that is not about numerics reproduces them."""

import csv
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, printed_run

# Float32, one thread, default layout, on real MNIST. Rounding differs from machine to machine: after 20 steps by 4e-4
# for another number of threads or instruction set, so only the first steps are held tightly.
WORDS = [*TINY, "model.width=16", "data.batch_size=32", "trainer.precision=32-true"]
WORDS += ["fast=false"]
GOLDEN = {  # step: losses of the discriminator and the generator
    1: (1.278963565826416, 0.6689438819885254),
    2: (1.2031898498535156, 0.6649192571640015),
    3: (1.1541666984558105, 0.6468124389648438),
    20: (0.7094067335128784, 0.865023672580719),
}


def test_the_plain_path_reproduces_the_golden_trace(command: Any, workdir: Path) -> None:
    words = ["trainer.max_steps=20", "trainer.log_every_n_steps=1", "metrics=none", "logger=csv"]
    result = command("train", *WORDS, *words)
    assert result.code == 0, result.err
    (path,) = Path(printed_run(result.out)).rglob("metrics.csv")
    with path.open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    for step, expected in GOLDEN.items():
        found = [float(rows[step][f"loss/{network}"]) for network in ("discriminator", "generator")]
        assert found == pytest.approx(expected, rel=1e-5 if step <= 3 else 1e-2), step
