"""Handing a folder out on loopback."""

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
FIRST, TRIED = 8000, 100  # ports, where none was asked for


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, of which some are made when they are first asked for."""

    # Of the machine's own table a browser may refuse modules, and compile WebAssembly late.
    extensions_map = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"} | {
        ending: kind
        for ending, kind in SimpleHTTPRequestHandler.extensions_map.items()
        if ending not in (".js", ".mjs", ".wasm")
    }

    def do_GET(self) -> None:
        """Answer with a file."""
        assert isinstance(self.server, PageServer)
        try:
            self.server.make(self.path.lstrip("/"))
        except (ValueError, OSError) as error:
            self.send_error(500, " ".join(str(error).split()))
        else:
            super().do_GET()

    def end_headers(self) -> None:
        """Have nothing kept by the browser: the next model may be served at the same address."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


class PageServer(ThreadingHTTPServer):
    """``makers``: what writes a file of the folder that is not there yet, by the file's name."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__((HOST, port), partial(Handler, directory=str(folder)))
        self.folder = folder
        self.makers: Mapping[str, Callable[[Path], None]] = {}
        self._one = threading.Lock()

    @property
    def url(self) -> str:
        """Where the folder is."""
        return f"http://{HOST}:{self.server_port}/"

    def make(self, name: str) -> None:
        """Write the file ``name``, if that is still to be done; one at a time."""
        if name in self.makers:
            with self._one:
                if not (self.folder / name).exists():
                    self.makers[name](self.folder / name)


@contextmanager
def listening(folder: Path, *, port: int | None) -> Iterator[PageServer]:
    """A server that has its port, on this machine's own address alone; who has it calls ``serve_forever``.

    Args:
        port: None: 8000, or the next one that is free.

    Raises:
        OSError: the port is in use or not allowed; the message says what to do.
    """
    server = _bound(folder, port) if port else _next_free(folder)
    try:
        yield server
    finally:
        server.server_close()


def _bound(folder: Path, port: int) -> PageServer:
    try:
        return PageServer(folder, port)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise OSError(f"port={port}: {reason}; choose another, or leave it out for the next free one") from error


def _next_free(folder: Path) -> PageServer:
    for port in range(FIRST, FIRST + TRIED):
        try:
            return PageServer(folder, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(f"port: none from {FIRST} to {FIRST + TRIED - 1} is free; choose one with port=")
