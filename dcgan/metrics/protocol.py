"""A metric's name is its protocol: ``<metric>_<space>_<split>_<N>``. Only equal protocols are ranked."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dcgan.shell.reading import from_json, small_text
from dcgan.shell.writing import append_json

# What two values must share to be compared.
SAME = ("metric", "data", "resolution", "channels", "extractor_sha256", "num_real")


def protocol(space: str, split: str, num_samples: int, *, metric: str = "fid") -> str:
    """Which metric, which features, which real images, how many samples. ``fid_digits_train_2k``."""
    count = f"{num_samples // 1000}k" if num_samples % 1000 == 0 else str(num_samples)
    return f"{metric}_{space}_{split}_{count}"


def rank(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Records of evaluations, the lowest FID first.

    Raises:
        ValueError: they were not measured in the same way.
    """
    for key in SAME:
        values = sorted({str(record[key]) for record in records})
        if len(values) > 1:
            raise ValueError(f"not ranked, for they differ in {key}: {', '.join(values)}")
    return sorted(records, key=lambda record: record["value"])


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line."""
    append_json(path, record)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``, if there is one; what a killed process left half written is none."""
    found = []
    for line in small_text(path).splitlines() if path.exists() else ():
        with suppress(ValueError):
            found.append(from_json(line))
    return [record for record in found if isinstance(record, dict)]
