"""One process, then two, then one again: the same images, latents and draws at each step, and the same losses."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY
from torch import Tensor

D_STEPS = 2
LEG = 6  # steps with each number of processes
LINE = [
    *(*TINY[:3], "metrics=none", "logger=none", f"d_steps={D_STEPS}", "trainer.enable_progress_bar=false"),
    *("model.conditional=true", "model.discriminator.dropout=0.3", "model.norm=none", "trainer.precision=32-true"),
    *("augment=diffaugment", "penalty=wgan_gp", "optimizer.schedule=constant", "trainer.accelerator=cpu"),
]


def line(folder: Path, *, processes: int, steps: int, name: str) -> None:
    words = [*LINE, f"name={name}", "resume=auto", f"trainer.devices={processes}", f"trainer.max_steps={steps}"]
    command = [sys.executable, str(Path(__file__).with_name("watched.py")), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WATCHED": str(folder)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert found.returncode == 0, found.stderr


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What all processes of a step were given, in the order that one process would be."""

    def joined(name: str) -> Tensor:
        return torch.cat([part[name].unflatten(0, (D_STEPS, -1)) for part in parts], 1).flatten(0, 1)

    drawn = [torch.cat(rows) for rows in zip(*(part["drawn"] for part in parts), strict=True)]
    losses = {name: sum(p["losses"][name] for p in parts) / len(parts) for name in parts[0]["losses"]}
    return {**{name: joined(name) for name in ("images", "labels", "latents")}, "drawn": drawn, "losses": losses}


def steps_in(folder: Path) -> list[dict[str, Any]]:
    numbers = sorted({path.name[:4] for path in folder.iterdir()})
    return [
        together([torch.load(path, weights_only=True) for path in sorted(folder.glob(f"{number}_*"))])
        for number in numbers
    ]


@pytest.mark.fault("another number of processes")  # of which the suite has test_two_processes_compute_what_one_does
@pytest.mark.trials
@pytest.mark.parametrize("processes", [(1, 2, 1), (2, 1, 2), (4, 1, 2)])
def test_with_another_number_of_processes_each_step_is_the_same(processes: tuple[int, ...], workdir: Path) -> None:
    line(workdir / "straight", processes=1, steps=LEG * len(processes), name="straight")
    for leg, number in enumerate(processes, start=1):
        line(workdir / "elastic", processes=number, steps=LEG * leg, name="elastic")
    found, expected = steps_in(workdir / "elastic"), steps_in(workdir / "straight")
    assert len(found) == len(expected) == LEG * len(processes)
    assert len(list((workdir / "elastic").iterdir())) == LEG * sum(processes)
    furthest = 0.0
    for one, other in zip(found, expected, strict=True):
        for name in ("images", "labels", "latents"):
            assert torch.equal(one[name], other[name]), name
        assert len(one["drawn"]) == len(other["drawn"]) > 0
        assert all(torch.equal(*pair) for pair in zip(one["drawn"], other["drawn"], strict=True))
        furthest = max(furthest, *(abs(one["losses"][name] - value) for name, value in other["losses"].items()))
    print(f"the losses differ by {furthest:.1e} at most")
    assert furthest < 1e-4
