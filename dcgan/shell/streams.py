"""Printing that never raises: what was computed outlives a closed pipe or terminal, and one that knows only ASCII."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from dcgan.shell.writing import is_full


class Forgiving:
    """A stream that a program writes to, whatever became of its reader."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = False  # nobody reads any more

    def write(self, text: str) -> int:
        """Write what can be written."""
        if not self.lost:
            with self._until_lost():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    encoding = self._stream.encoding
                    self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write out what was kept back."""
        if not self.lost:
            with self._until_lost():
                self._stream.flush()

    @contextmanager
    def _until_lost(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # the latter: of a file that was closed
            self.lost = True
            if self._stream in (sys.__stdout__, sys.__stderr__):
                _lead_nowhere(self._stream)
            if is_full(error):
                print("note: the disk is full: what is printed is lost; the work goes on", file=sys.stderr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lead_nowhere(stream: TextIO) -> None:
    """Else Python complains when it ends, of what is still kept back, and exits with 120."""
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def forgiving() -> Iterator[Forgiving]:
    """Have ``sys.stdout``, which is yielded, and ``sys.stderr`` never raise inside; a closed one leads nowhere."""
    before = sys.stdout, sys.stderr
    with ExitStack() as nowhere:
        out, err = (Forgiving(stream or nowhere.enter_context(Path(os.devnull).open("w"))) for stream in before)
        sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
        try:
            yield out
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before
