"""The scalars that a run's dashboard was given, from TensorBoard's event files or the CSV logger's."""

import csv
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

LARGEST = 4096  # bytes of an event of scalars; pictures are passed over unread
FRAME = 12, 4  # bytes before and after an event: its length (8) and two checksums (TFRecord)

Points = dict[str, dict[int, float]]  # by tag, then by step


def scalars(folder: Path, tags: Sequence[str]) -> Points:
    """The curves of ``tags`` that a run has; what a resumed run wrote again counts as it was written last."""
    found: Points = {tag: {} for tag in tags}
    wanted = [tag.encode() for tag in tags]
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in _events(path, wanted):
            for value in event.summary.value:
                if value.tag in found and value.WhichOneof("value") == "simple_value":
                    found[value.tag][event.step] = value.simple_value
    for path in sorted(folder.glob("csv/version_*/metrics.csv")):
        for tag, step, value in _cells(path, tags):
            found[tag][step] = value
    return found


def _events(path: Path, wanted: Sequence[bytes]) -> Iterator[Event]:
    """Those that name one of the tags. TensorBoard's own reader checks sums byte by byte, over pictures for seconds."""
    before, after = FRAME
    with path.open("rb") as file:
        while len(header := file.read(before)) == before:
            (length,) = struct.unpack("<Q", header[:8])
            if length > LARGEST:
                file.seek(length + after, 1)
                continue
            content = file.read(length)
            file.seek(after, 1)
            if len(content) == length and any(tag in content for tag in wanted):
                with suppress(DecodeError):
                    yield Event.FromString(content)


def _cells(path: Path, tags: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of each cell that has one; what a killed process left half written is none."""
    with path.open(newline="", errors="replace") as file:
        for line in csv.DictReader(file):
            for tag in tags:
                with suppress(ValueError, TypeError, KeyError):
                    yield tag, int(line["step"]), float(line[tag])
