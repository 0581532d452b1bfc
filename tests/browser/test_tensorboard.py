"""TensorBoard over a sweep, in headless Chromium, as make dashboard shows it: make test-browser."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

pytestmark = pytest.mark.browser
SWEEP = ["-m", "loss=hinge,minimax", "trainer.max_steps=20", "trainer.log_every_n_steps=2", "samples.every=5"]
SWEEP += ["metrics.num_samples=60", "metrics.every=5", "samples.n=16", "name=mine"]
SECONDS = 40


@pytest.fixture
def dashboard(command: Callable[..., Any], workdir: Path, chromium: Any) -> Iterator[Callable[[str], Any]]:
    """A page with one of its tabs."""
    result = command("train", *TINY, *SWEEP)
    assert result.code == 0, result.err
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--logdir=outputs", "--host=127.0.0.1", f"--port={port}", "--samples_per_plugin=images=1000"]
    server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *words], stderr=subprocess.DEVNULL)
    try:
        for _ in range(SECONDS):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(1)

        def tab(name: str) -> Any:
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(1000 * SECONDS)
            page.goto(f"http://127.0.0.1:{port}/#{name}")
            return page

        yield tab
    finally:
        server.terminate()
        server.wait(SECONDS)


def test_each_tab_shows_what_is_read_there(dashboard: Callable[[str], Any], workdir: Path) -> None:
    page = dashboard("custom_scalars")
    for title in ("losses", "D's verdict on real and fake", "FID", "KL of the classes"):
        page.get_by_text(title, exact=True).wait_for()
    page.get_by_text("Matches (6)").first.wait_for()  # real, fake, fooled, of two runs

    page = dashboard("images")
    page.get_by_text("samples/generated").first.wait_for()
    page.locator("tf-image-loader paper-slider").first.wait_for()
    slider = page.locator("tf-image-loader paper-slider").first
    assert slider.evaluate("one => Number(one.max)") == 4  # steps 0, 5, 10, 15, 20

    page = dashboard("histograms")
    for side in ("real", "fake"):
        page.get_by_text(f"logits/of_{side}").first.wait_for()

    page = dashboard("hparams")
    page.get_by_text("minimax").first.wait_for()
    shown = page.locator("vaadin-grid-cell-content").all_inner_texts()
    columns = [text.strip() for text in shown if text.strip().count(".") == 1 and " " not in text.strip()]
    assert columns[0] == "loss.name", columns[:5]  # what varied stands first

    page = dashboard("text")
    page.get_by_text("run/command").first.wait_for()
