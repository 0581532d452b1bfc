"""Images/s of a run's generator in the page of ``format=web``, beside onnxruntime's and the package's.

    python experiments/speed/web.py <run folder>

One at a time, and in batches of 100; onnxruntime takes as many threads as it wants, the page and the package one. And
from a server on loopback, with nothing cached: seconds until the first picture, and until the page has checked itself.
In turns, medians; needs Playwright and a Chromium. Appends to web.jsonl.
"""

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from record import record

from dcgan.runs.load import load
from dcgan.sharing.forms import inputs_of, run_onnx
from dcgan.sharing.serve import listening
from dcgan.sharing.web import GENERATOR, write_page

RESULTS = Path(__file__).parent / "web.jsonl"
TURNS, SECONDS, BATCHES = 5, 1.0, (1, 100)
IN_PAGE = """async ([batch, seconds]) => {
  const { draw } = await import('./generator.js');
  const { normals } = await import('./latents.js');
  const model = await (await fetch('model.json')).json();
  const latents = Array.from({ length: batch }, (_, i) => normals(i, model.latent_dim));
  const labels = model.classes.length ? latents.map((_, i) => i % model.classes.length) : null;
  await draw('generator.onnx', latents, labels);
  const began = performance.now();
  let n = 0;
  for (; performance.now() - began < 1000 * seconds; n += batch) await draw('generator.onnx', latents, labels);
  return 1000 * n / (performance.now() - began);
}"""


def rate(draw: Callable[[], Any], *, batch: int) -> float:
    """Images/s."""
    draw()
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        draw()
        n += batch
    return n / (time.perf_counter() - began)


def opened(browser: Any, url: str) -> tuple[Any, float, float]:
    """A page, and the seconds until its first picture and until its check."""
    page = browser.new_context().new_page()  # of its own: nothing cached
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#said:not(:empty)")
    first = time.perf_counter() - began
    page.wait_for_selector("body[data-ready=true]")
    return page, first, time.perf_counter() - began


def main(run: Path) -> None:
    from playwright.sync_api import sync_playwright  # of make test-browser

    torch.set_num_threads(1)
    root = Path(os.environ.get("DCGAN_DATA", "data"))
    loaded = load(run, checkpoint="best", device="cpu")
    found: dict[str, list[float]] = {}
    chromium = shutil.which("chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        listening(Path(folder), port=None) as server,
        sync_playwright() as web,
    ):
        write_page(loaded, Path(folder), root=root)
        exported = run_onnx(Path(folder) / GENERATOR)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = web.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(TURNS):
            page, first, checked = opened(browser, server.url)
            found.setdefault("first_picture_seconds", []).append(first)
            found.setdefault("checked_seconds", []).append(checked)
            for batch in BATCHES:
                inputs = inputs_of(loaded.generator, batch)
                found.setdefault(f"page_{batch}", []).append(page.evaluate(IN_PAGE, [batch, SECONDS]))
                found.setdefault(f"onnxruntime_{batch}", []).append(rate(lambda: exported(*inputs), batch=batch))  # noqa: B023
                found.setdefault(f"dcgan_{batch}", []).append(rate(lambda: loaded.generator.draw(*inputs), batch=batch))  # noqa: B023
            page.context.close()
        browser.close()
        server.shutdown()
    medians = {name: round(statistics.median(values), 3) for name, values in found.items()}
    print(medians)
    record(RESULTS, {"run": loaded.config.name, "medians": medians, "all": found})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
