"""``python -m dcgan.demo run=<run folder>``: a page that draws with a run's generator, in the browser."""

import signal
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import DemoConfig
from dcgan.sharing.needed import require
from dcgan.sharing.serve import listening
from dcgan.shell.cli import Launch, cli
from dcgan.shell.zoo import source


def demo(config: DemoConfig) -> None:
    """Serve the page on loopback until Ctrl-C; with a slider over the steps that the run kept.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong with the run.
        OSError: the port is in use.
    """
    require("web", by="dcgan.demo")
    run, root = source(config.run, config.zoo), Path(config.data.root)
    with tempfile.TemporaryDirectory(prefix="dcgan-demo-") as temporary:
        folder = Path(temporary)
        with listening(folder, port=config.port) as server:
            from dcgan.sharing.steps import write_pages  # torch loads here

            said, server.makers = write_pages(run, folder, checkpoint=config.checkpoint, root=root)
            print(f"{server.url}  Ctrl-C ends it\n  {said}", flush=True)
            if config.open:  # not in this thread: a browser without windows would keep it
                threading.Thread(target=webbrowser.open, args=[server.url], daemon=True).start()
            server.serve_forever()


def main(config: DictConfig, launch: Launch) -> None:
    """Serve what the command line names; SIGTERM ends it as Ctrl-C does, and nothing stays behind."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        demo(check(config, DemoConfig, typed=launch.overrides))
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    cli("demo", main)
