"""The page of a generator in headless Chromium, at a desk and on a phone, light and dark: make test-browser."""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic import write_generators

from dcgan.models.base import Generator
from dcgan.runs.load import load_generator
from dcgan.sharing.directions import directions
from dcgan.sharing.forms import inputs_of
from dcgan.sharing.interpolate import slerp
from dcgan.sharing.serve import PageServer, listening
from dcgan.sharing.steps import write_pages
from dcgan.sharing.web import CHECK, GENERATOR, SLIDERS

pytestmark = pytest.mark.browser
VIEWS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "has_touch": True},
}
SEED, CONTRAST = 7, 6
READING = "Canvas2D: Multiple readback operations"  # which tests do
CONTENTS = """id => {
  const canvas = document.getElementById(id);
  return [canvas.width, canvas.height, ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
}"""
UNNAMED = """() => [...document.querySelectorAll('button, input, select, canvas:not([aria-hidden])')]
  .filter(one => one.checkVisibility() && !one.ariaLabel && !one.innerText && !one.labels?.[0]?.innerText)
  .map(one => one.outerHTML)"""
SMALL = """() => [...document.querySelectorAll('button, input:not([type=radio]), select, .class')]
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 44).map(one => one.outerHTML)"""
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


class Served(NamedTuple):
    server: PageServer
    run: Path

    def generator(self, checkpoint: str = "last") -> Generator:
        return load_generator(self.run, checkpoint=checkpoint, device="cpu")


def served(folder: Path, mnist_root: Path, *words: str) -> Iterator[Served]:
    run = write_generators(folder / "run", "model.width=4", *words, steps=[0, 100], contrast=CONTRAST)
    page = folder / "page"
    page.mkdir()
    _, makers = write_pages(run, page, checkpoint="last", root=mnist_root)
    with listening(page, port=None) as server:
        server.makers = makers
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(server, run)
        server.shutdown()


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory, mnist_root: Path) -> Iterator[Served]:
    yield from served(tmp_path_factory.mktemp("conditional"), mnist_root, "model.conditional=true")


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory, mnist_root: Path) -> Iterator[Served]:
    yield from served(tmp_path_factory.mktemp("coloured"), mnist_root, "data.channels=3")


@pytest.fixture(params=VIEWS)
def opened(request: pytest.FixtureRequest, chromium: Any, tmp_path: Path) -> Iterator[Callable[[Served], Any]]:
    """Open a page that is ready; what it asks for, and what it complains of, is kept; so is a screenshot."""
    context = chromium.new_context(**VIEWS[request.param])
    pages = []

    def open_(page_of: Served) -> Any:
        page = context.new_page()
        page.view, page.asked, page.said = request.param, [], []
        page.on("request", lambda one: page.asked.append(one.url))
        page.on("console", lambda one: page.said.append(one.text))
        page.on("pageerror", lambda one: page.said.append(str(one)))
        page.goto(page_of.server.url)
        page.wait_for_selector("body[data-ready]")
        pages.append((page, page_of))
        return page

    yield open_
    for page, page_of in pages:
        page.screenshot(path=tmp_path / f"{request.param}.png", full_page=True)
        assert [words for words in page.said if not words.startswith(READING)] == []
        assert {url for url in page.asked if not url.startswith((page_of.server.url, "data:", "blob:"))} == set()
    context.close()


def press(page: Any, selector: str) -> None:
    one = page.locator(selector).first
    one.tap() if page.view == "phone" else one.click()


def settle(page: Any) -> None:
    page.wait_for_selector("body:not([data-drawing])")


def seen(page: Any, canvas: str = "picture") -> np.ndarray:
    """The pixels of a canvas: uint8 (H, W, 3)."""
    settle(page)
    width, height, *values = page.evaluate(CONTENTS, canvas)
    found = np.array(values, np.uint8).reshape(height, width, 4)
    assert (found[..., 3] == 255).all()
    return found[..., :3]


def random_of(page: Any, seed: int, latent_dim: int, n: int = 1) -> torch.Tensor:
    """The latents that the page draws at random, (n, latent_dim)."""
    script = "async ([seed, n]) => [...(await import('./latents.js')).normals(seed, n)]"
    return torch.tensor(page.evaluate(script, [seed, n * latent_dim])).view(n, latent_dim)


def drawn(generator: Generator, latents: torch.Tensor, *labels: int) -> np.ndarray:
    """What Python draws, side by side: uint8 (H, W, 3)."""
    images = generator.draw(latents, torch.tensor(labels) if labels else None)
    return torch.cat(list(images.expand(-1, 3, -1, -1)), -1).permute(1, 2, 0).numpy()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and int(np.abs(one.astype(int) - other).max()) <= 1


def choose_seed(page: Any, seed: int) -> None:
    page.locator("#seed").fill(str(seed))
    page.keyboard.press("Enter")
    page.locator("#title").click()  # away from the field, where keys are typed


def test_the_page_checks_itself_fits_and_can_be_read(conditional: Served, opened: Callable[[Served], Any]) -> None:
    page = opened(conditional)
    assert page.inner_text("#check").startswith(
        "Checked: the 16 pictures drawn here are those that Python drew (largest"
    )
    latents, labels = inputs_of(conditional.generator(), 16)
    rows = np.concatenate(np.split(seen(page, "sixteen"), 2), axis=1)
    assert same(rows, drawn(conditional.generator(), latents, *labels.tolist()))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(SMALL) == []
    assert page.get_attribute("#status", "role") == page.get_attribute("#check", "role") == "status"
    tree = page.locator("body").aria_snapshot()
    for line in ('button "Draw Space"', 'group "Class"', 'slider "Direction 1"', 'img "0, seed 0"'):
        assert line.replace(" Space", "") in tree.replace(" Space", ""), tree


def test_what_is_drawn_is_what_python_draws(
    conditional: Served, opened: Callable[[Served], Any], tmp_path: Path
) -> None:
    page, generator = opened(conditional), conditional.generator()
    before = seen(page)
    press(page, "#draw")
    page.wait_for_function("() => document.getElementById('seed').value !== '0'")
    seed = int(page.locator("#seed").input_value())
    one = random_of(page, seed, generator.latent_dim)
    assert same(seen(page), drawn(generator, one, 0))
    assert not same(seen(page), before)

    press(page, ".class >> nth=3")  # a class, by hand and by its key
    assert same(seen(page), drawn(generator, one, 3))
    page.keyboard.press("7")
    assert page.locator(".class input >> nth=7").is_checked()
    assert same(seen(page), drawn(generator, one, 7))
    page.keyboard.press("Space")
    assert int(page.locator("#seed").input_value()) != seed
    choose_seed(page, SEED)
    one = random_of(page, SEED, generator.latent_dim)
    assert same(seen(page), drawn(generator, one, 7))
    assert page.get_attribute("#picture", "aria-label") == f"7, seed {SEED}"
    assert page.inner_text("#status") == f"Drew 7, seed {SEED}."

    with page.expect_download() as caught:
        press(page, "#download")
    caught.value.save_as(tmp_path / "mine.png")
    assert caught.value.suggested_filename == f"seed_{SEED}.png"
    with Image.open(tmp_path / "mine.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB"))[5::10, 5::10], seen(page))


def test_it_is_steered_and_walks(conditional: Served, opened: Callable[[Served], Any]) -> None:
    page, generator = opened(conditional), conditional.generator()
    choose_seed(page, SEED)
    one, other = (random_of(page, seed, generator.latent_dim) for seed in (SEED, 1))
    plain = seen(page)

    slider = page.locator("#direction-1")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=4)
    page.mouse.up()
    amount = float(slider.input_value())
    assert amount > 1.5
    moved = one + amount * directions(generator, SLIDERS)[1]
    assert same(seen(page), drawn(generator, moved, 0))
    assert not same(seen(page), plain)
    press(page, "#middle")
    assert same(seen(page), plain)

    page.locator("#title").click()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.locator("#walk").input_value() == "0.3"
    assert same(seen(page), drawn(generator, slerp(one[0], other[0], 0.3)[None], 0))
    assert page.get_attribute("#walk", "aria-valuetext") == "30%"
    page.locator("#walk").focus()
    page.keyboard.press("End")
    assert same(seen(page), drawn(generator, other, 0))
    assert same(seen(page, "to"), seen(page))
    assert same(seen(page, "from"), plain)
    page.keyboard.press("Home")
    press(page, "#play")
    page.wait_for_function("() => document.getElementById('walk').value > 0.2")
    page.wait_for_function("() => document.getElementById('walk').value === '1'")
    page.wait_for_selector("#play[aria-pressed=false]")


def test_it_writes_and_goes_through_the_steps_with_the_same_latents(
    conditional: Served, opened: Callable[[Served], Any]
) -> None:
    page, generator = opened(conditional), conditional.generator()
    choose_seed(page, SEED)
    page.locator("#text").fill("314")
    page.wait_for_function("() => document.getElementById('written').width === 3 * 28")
    latents = random_of(page, SEED, generator.latent_dim, 3)
    assert same(seen(page, "written"), drawn(generator, latents, 3, 1, 4))
    assert page.get_attribute("#written", "aria-label") == "314, written by the generator"
    page.locator("#text").fill("3x4")
    page.wait_for_function("() => document.getElementById('text-error').textContent")
    assert page.inner_text("#text-error").startswith("No class is called “x”; there are 0, 1, 2,")
    assert not page.locator("#written").is_visible()

    page.locator("#step").focus()
    page.keyboard.press("Home")  # which is made now
    page.wait_for_function("() => document.getElementById('step-value').textContent === '0'")
    expected = drawn(conditional.generator("0"), latents[:1], 0)
    assert any(same(seen(page), expected) or page.wait_for_timeout(100) for _ in range(600))
    assert not same(expected, drawn(generator, latents[:1], 0))


def test_light_and_dark(conditional: Served, opened: Callable[[Served], Any]) -> None:
    page = opened(conditional)
    light, dark = "rgb(250, 250, 248)", "rgb(22, 24, 28)"
    first, second = (dark, light) if page.view == "dark" else (light, dark)
    assert page.evaluate(BACKGROUND) == first
    press(page, "#theme")
    assert page.evaluate(BACKGROUND) == second
    press(page, "#theme")
    assert page.evaluate(BACKGROUND) == first


def test_a_model_without_labels_says_that_it_cannot_be_asked(coloured: Served, opened: Callable[[Served], Any]) -> None:
    page, generator = opened(coloured), coloured.generator()
    choose_seed(page, SEED)
    assert same(seen(page), drawn(generator, random_of(page, SEED, generator.latent_dim)))
    assert not (seen(page)[..., 0] == seen(page)[..., 1]).all()  # in colour
    page.keyboard.press("7")
    assert "takes no labels, so it cannot be asked for a 7" in page.inner_text("#status")
    assert not page.locator("#classes").is_visible()
    assert not page.locator("#writing").is_visible()


def test_a_page_that_draws_otherwise_than_python_says_so(conditional: Served, chromium: Any, tmp_path: Path) -> None:
    shutil.copytree(conditional.server.folder, tmp_path / "page")
    path = tmp_path / "page" / CHECK
    found = json.loads(path.read_text())
    pixels = bytearray(base64.b64decode(found["pixels"]))
    pixels[-1] += 2 if pixels[-1] < 128 else -2
    path.write_text(json.dumps(found | {"pixels": base64.b64encode(pixels).decode()}))
    with listening(tmp_path / "page", port=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(server.url)
        page.wait_for_selector("body[data-ready=false]")
        words = "the 16 pictures drawn here are NOT those that Python drew (largest difference 2 of 255)."
        assert page.inner_text("#check") == f"Checked: {words}"
        assert page.inner_text("#status") == "This page does not draw what Python draws; see Check."
        (tmp_path / "page" / GENERATOR).unlink()
        page.reload()
        page.wait_for_function("() => document.getElementById('status').textContent.includes('could not be started')")
        assert "generator.onnx could not be loaded: 404" in page.inner_text("#status")
        page.close()
        server.shutdown()
