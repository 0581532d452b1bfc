"""The report and the evaluation page in headless Chromium, at a desk and on a phone: make test-browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from synthetic import write_sweep

from dcgan.reports.files import write_report
from dcgan.reports.sweep import build_report

pytestmark = pytest.mark.browser
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
LOSSES = ["hinge", "least_squares", "non_saturating", "relativistic_average"]
RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3]

# What lies beyond the right edge, and cannot be scrolled to in a box of its own.
BEYOND = """() => [...document.body.querySelectorAll('*')].filter(one => {
  for (let above = one; above; above = above.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(above).overflowX) && above !== one) return false;
  return one.getBoundingClientRect().right > innerWidth + 1;
}).map(one => one.outerHTML.slice(0, 120))"""
CLIPPED = """() => [...document.body.querySelectorAll('*')].filter(one =>
  ['hidden', 'clip'].includes(getComputedStyle(one).overflowX) && !(one instanceof SVGElement)
  && one.scrollWidth > one.clientWidth).map(one => one.outerHTML.slice(0, 120))"""
DANGLING = """() => [...document.querySelectorAll('a[href^="#"]')].map(one => one.getAttribute('href').slice(1))
  .filter(id => !document.getElementById(id))"""
EMPTY = "() => [...document.images].filter(one => !one.complete || one.naturalWidth === 0).length"
SMALLEST = "() => Math.min(...[...document.images].map(one => one.getBoundingClientRect().width))"


@pytest.fixture(params=SIZES)
def opened(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Callable[[Path], Any]]:
    """Open a file; what it asks of the network, and what it complains of, is kept in ``asked`` and ``said``."""
    width, height = SIZES[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, offline=True)

    def open_(path: Path) -> Any:
        page = context.new_page()
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.goto(path.absolute().as_uri())
        shot = Path(path.parent / f"{path.stem}_{request.param}.png")
        page.screenshot(path=shot, full_page=True)
        return page

    yield open_
    context.close()


def check(page: Any, path: Path) -> None:
    """What holds of every page."""
    asked = [url for url in page.asked if not url.startswith("data:")]
    assert asked == [path.absolute().as_uri()]
    assert page.said == []
    page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(BEYOND) == []
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(DANGLING) == []
    assert page.evaluate(EMPTY) == 0
    assert page.evaluate(SMALLEST) > 30
    for link in page.query_selector_all("a:not([href^='#'])"):
        assert (path.parent / unquote(link.get_attribute("href"))).exists()


def reported(folder: Path) -> Path:
    return write_report(build_report(folder), folder)[-1]


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def fid(loss: str, rate: float, steps: int, seed: int) -> float | None:
        if (loss, rate, seed) == ("hinge", 2e-3, 1):
            return None
        return 1 + len(loss) / 10 + abs(np.log(rate / 3e-4)) + steps / 5 + 0.02 * seed

    axes = {"loss.name": LOSSES, "optimizer.lr": RATES, "d_steps": [1, 2]}
    return reported(write_sweep(tmp_path_factory.mktemp("forty"), axes, fid, words=("loss=hinge",)))


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two runs, äöü & <b>")
    return reported(write_sweep(folder, {"loss.name": LOSSES[:2]}, lambda loss, _: len(loss), seeds=[0]))


def test_a_report_of_two_runs(two: Path, opened: Callable[[Path], Any]) -> None:
    page = opened(two)
    check(page, two)
    assert page.query_selector(".answer p").inner_text().startswith("hinge is lowest with one seed alone")
    assert len(page.query_selector_all(".leaderboard tbody tr")) == 2
    assert len(page.query_selector_all("article")) == 2
    assert len(page.query_selector_all("article img")) == 2
    assert len(page.query_selector_all(".strip")) == 2
    assert len(page.query_selector_all("svg polyline")) == 2
    (command, _) = page.query_selector_all("article pre")
    assert command.inner_text() == "python -m dcgan.train loss=hinge seed=0"
    assert "<b>" in page.title()


def test_a_report_of_forty_groups(forty: Path, opened: Callable[[Path], Any]) -> None:
    page = opened(forty)
    check(page, forty)
    assert len(page.query_selector_all(".leaderboard tbody tr")) == 40
    assert len(page.query_selector_all("article")) == 40
    assert len(page.query_selector_all("article img")) == 40
    assert len(page.query_selector_all("article pre")) == 120
    titles = [one.inner_text() for one in page.query_selector_all("h2")]
    for title in ("While training", "What each key does", "What keys do together", "All groups at once"):
        assert title in titles
    assert len(page.query_selector_all(".figures img")) == 2 + 3 + 3  # curves, effects, pairs
    assert len(page.query_selector_all(".grids img")) == 2  # best and worst
    assert "hinge_0.002_1_seed-1: failed: NotFiniteError" in page.query_selector("#listed + ul").inner_text()
    page.click("text=command >> nth=3")
    assert page.url.endswith("#b0-g4-command")


def test_an_evaluation(
    command: Callable[..., Any], opened: Callable[[Path], Any], workdir: Path, mnist_root: Path
) -> None:
    np.save("theirs.npy", np.random.default_rng(0).integers(0, 255, (100, 28, 28), dtype=np.uint8))
    assert command("evaluate", "samples=theirs.npy", "num_samples=100", "out=scores").code == 0
    (path,) = Path("scores").glob("*.html")
    page = opened(path)
    check(page, path)
    header, *rows = page.query_selector_all("tr")
    assert "digits_residual" in header.inner_text()
    assert rows[0].query_selector("td").inner_text() == "fid_digits_test_100"
    assert len(rows) == 10
    assert len(page.query_selector_all("figure img")) >= 4
