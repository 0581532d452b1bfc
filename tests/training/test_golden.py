"""The losses of the plain path, as they were: a change that is not about numerics reproduces them."""

import csv
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, printed_run

# Float32, one thread, default layout, on real MNIST. Rounding differs from machine to machine: after 20 steps by 4e-4
# for another number of threads or instruction set, so only the first steps are held tightly.
WORDS = [*TINY, "model.width=16", "data.batch_size=32", "trainer.precision=32-true"]
WORDS += ["fast=false", "optimizer.lr=2e-4", "model.latent_dim=100", "model.dense_units=null"]
GOLDEN = {  # step: losses of the discriminator and the generator
    1: (1.3142569065093994, 0.7142329216003418),
    2: (1.221097469329834, 0.7353337407112122),
    3: (1.1630232334136963, 0.7241721749305725),
    20: (0.5240715742111206, 1.1360588073730469),
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
