"""A leaderboard as pandas frames, which figures are drawn from."""

import numpy as np
import pandas as pd

from dcgan.reports.curves import scalars
from dcgan.reports.decide import FLOOR
from dcgan.reports.sweep import Board
from dcgan.reports.varied import ABSENT

LOSSES = {"loss/discriminator": "discriminator's loss", "loss/generator": "generator's loss"}
ACCURACIES = {"accuracy/real": "real images taken for real", "accuracy/fake": "fakes taken for fakes"}
MOST_RUNS = 4  # of a group, whose losses are read
MOST_POINTS = 200


def evaluations(board: Board) -> pd.DataFrame:
    """A row for each evaluation while training: place, name, seed, step, cpu_seconds, fid."""
    rows = [
        (row.place, row.name, one.run.seed, point["step"], point.get("cpu_seconds"), point["value"])
        for row in board.rows
        for one in row.outcomes
        for point in one.run.curve
        if point["value"] is not None and point["value"] > FLOOR
    ]
    frame = pd.DataFrame(rows, columns=["place", "name", "seed", "step", "cpu_seconds", "fid"])
    return frame.astype({"cpu_seconds": float, "fid": float})


def over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """At each step of each group: the geometric mean, the lowest and the highest, and the mean of the CPU-seconds."""
    logs = frame.assign(log=np.log(frame["fid"]))
    found = logs.groupby(["place", "name", "step"], as_index=False).agg(
        log=("log", "mean"), low=("fid", "min"), high=("fid", "max"), cpu_seconds=("cpu_seconds", "mean")
    )
    return found.assign(fid=np.exp(found["log"]))


def groups(board: Board) -> pd.DataFrame:
    """A row for each group that has a number: place, name, fid, and a column for each key that varied."""
    rows = [
        {"place": row.place, "name": row.name, "fid": row.group.summary()[0]}
        | {key: row.settings.get(key, ABSENT) for key in board.keys}
        for row in board.rows
        if len(row.group.logs)
    ]
    return pd.DataFrame(rows, columns=["place", "name", "fid", *board.keys])


def dashboard(board: Board, *, places: int) -> pd.DataFrame:
    """A row for each point of the losses and accuracies of the first groups: place, name, tag, step, value.

    Means over seeds; of long curves, every so many points.
    """
    tags = [*LOSSES, *ACCURACIES]
    rows = [
        (row.place, row.name, tag, step, value)
        for row in board.rows[:places]
        for one in row.outcomes[:MOST_RUNS]
        for tag, points in scalars(one.run.folder, tags).items()
        for step, value in _thinned(points).items()
    ]
    frame = pd.DataFrame(rows, columns=["place", "name", "tag", "step", "value"])
    return frame.groupby(["place", "name", "tag", "step"], as_index=False)["value"].mean()


def _thinned(points: dict[int, float]) -> dict[int, float]:
    """By their steps, which are the same in every seed."""
    steps = sorted(points)
    return {step: points[step] for step in steps[:: max(1, -(-len(steps) // MOST_POINTS))]}
