"""The page of a report without a browser: one file, whose links lead somewhere; in its figures nothing overlaps."""

import base64
import io
import json
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from synthetic import write_run, write_sweep
from torch.utils.tensorboard import SummaryWriter

from dcgan.data import images
from dcgan.reports import figures, frames, pictures, sweep_page
from dcgan.reports.curves import scalars
from dcgan.reports.files import write_report
from dcgan.reports.sweep import MOST_VALUES, build_report

AXES = {
    "loss.name": ["hinge", "least_squares", "non_saturating", "relativistic_average"],
    "optimizer.lr": [1e-4, 2e-4, 5e-4, 1e-3, 2e-3],
    "d_steps": [1, 2],
}


def fid(*values: Any) -> float:
    return float(np.exp(np.random.default_rng([len(str(value)) for value in values]).normal()))


def page(folder: Path) -> str:
    return write_report(build_report(folder), folder)[-1].read_text()


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forty")
    return write_sweep(folder, AXES, fid, seeds=[0], words=("loss=hinge",), steps=(500, 1000))


def write_events(folder: Path, *, last: int = 100) -> None:
    writer = SummaryWriter(str(folder))
    for step in range(10, last + 1, 10):
        for tag in (*frames.LOSSES, *frames.ACCURACIES, "logits/real"):
            writer.add_scalar(tag, step / 100, step)
        writer.add_image("samples/generated", np.random.default_rng(0).random((3, 64, 64)), step)
    writer.close()


def test_the_page_is_one_file_whose_links_lead_somewhere(tmp_path: Path) -> None:
    folder = tmp_path / "a <b>&"
    write_sweep(folder, {"loss.name": ["hinge", "least_squares"]}, fid, seeds=[0], words=("loss=hinge",))
    run = folder / "hinge_seed-0"
    write_events(run)
    origin = json.loads((run / "provenance.jsonl").read_text())
    origin["command"].append("name=<script>alert(1)</script>")
    (run / "provenance.jsonl").write_text(json.dumps(origin))
    text = page(folder)
    assert not re.search(r"<script|https?://|url\(|@import|<link", text)
    assert "name=&lt;script&gt;" in text
    assert "Report: a &lt;b&gt;&amp;" in text
    assert {*re.findall(r'href="#([^"]+)"', text)} <= {*re.findall(r'id="([^"]+)"', text)}
    for link in re.findall(r'href="([^#][^"]*)"', text):
        assert (folder / link).exists()
    assert 'content="width=device-width' in text
    assert "Losses and accuracies" in text
    assert text.count("<img") == 2 + 2 + 2 * 5 + 2 + 2  # curves, scalars, strips, best and worst, a grid for each
    assert len(text) < 1_000_000


def test_links_hold_where_the_page_is_written_elsewhere(tmp_path: Path) -> None:
    write_run(tmp_path / "sweep/run", {}, fid=1.0)
    (*_, path) = write_report(build_report(tmp_path / "sweep"), tmp_path / "else/where")
    assert 'href="../../sweep/run"' in path.read_text()


def test_what_is_damaged_or_missing_is_left_out(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"loss.name": ["hinge", "least_squares"]}, fid, seeds=[0], words=("loss=hinge",))
    one, other = tmp_path / "hinge_seed-0", tmp_path / "least_squares_seed-0"
    for path in (one / "samples").glob("*.png"):
        path.write_bytes(path.read_bytes()[:50])
    (one / "events.out.tfevents.1").write_bytes(b"\x10" + b"\0" * 11 + b"loss/generator\xff\xff\0\0\0\0")
    (other / "csv/version_0").mkdir(parents=True)
    (other / "csv/version_0/metrics.csv").write_text("loss/generator,epoch\n1.0,x\n,\n")
    (other / "provenance.jsonl").unlink()
    for path in (other / "samples").glob("*.png"):
        path.unlink()
    text = page(tmp_path)
    assert "There is no grid of it." in text
    assert f"its configuration is {other}/config.yaml" in text
    assert "Losses and accuracies" not in text


def test_strange_values_are_shown_or_left_out(tmp_path: Path) -> None:
    """What other programs, or a byte that fell over, may have put where a run has names and numbers."""
    names = ["$\\frac$ {", "\x07\n<i>", "x" * 500]
    write_sweep(tmp_path, {"loss.name": names, "d_steps": [1, 2]}, fid, seeds=[0], words=("loss=hinge",))
    lines = [{"value": 1e300}, {"value": "1"}, {"measures": 3}, {"step": True}, {"cpu_seconds": [1]}, {"value": -2.0}]
    for folder, change in zip(sorted(tmp_path.iterdir()), lines, strict=True):
        path = folder / "metrics.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("\n".join(json.dumps(one | change) for one in found))
        (folder / "provenance.jsonl").write_text(json.dumps({"command": 3.0, "machine": [1], "git_commit": "\ud800"}))
    text = page(tmp_path)
    assert "&lt;i&gt;" in text
    assert "\x07" not in text


def size_of(card: str) -> tuple[int, int]:
    (code,) = re.findall(r"base64,([^\"]+)", card)
    return Image.open(io.BytesIO(base64.b64decode(code))).size


def test_forty_groups_have_every_figure_and_a_picture_of_each(forty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those beyond the first twelve a corner."""
    monkeypatch.setattr(sweep_page, "CORNER", 2)
    text = page(forty)
    titles = re.findall("<h2>(.*?)</h2>", text)
    for title in ("While training", "What each key does", "What keys do together", "All groups at once"):
        assert title in titles
    cards = re.findall("<article.*?</article>", text, re.DOTALL)
    assert [card.count("<img") for card in cards] == [1] * 40
    assert [size_of(card) for card in cards] == [(122, 122)] * 12 + [(62, 62)] * 28
    assert len(text) < 2_000_000


@pytest.mark.parametrize("last", [100, 5000])
def test_scalars_are_read_back_from_both_loggers(tmp_path: Path, last: int) -> None:
    write_events(tmp_path, last=last)
    found = scalars(tmp_path, ["loss/generator", "accuracy/real"])
    assert list(found["accuracy/real"]) == list(range(10, last + 1, 10))
    assert found["loss/generator"][50] == pytest.approx(0.5)
    (tmp_path / "csv/version_0").mkdir(parents=True)
    (tmp_path / "csv/version_0/metrics.csv").write_text("step,loss/generator\n7,2.5\n8,\n9,hal")
    assert scalars(tmp_path, ["loss/generator"])["loss/generator"][7] == 2.5


def test_a_strip_is_cut_where_images_end(tmp_path: Path) -> None:
    assert images.GAP == pictures.GAP
    assert pictures.evenly(range(0, 1001, 100), 6) == [0, 200, 400, 600, 800, 1000]
    assert pictures.evenly([0, 5], 6) == [0, 5]
    picture = np.zeros((62, 62, 3), dtype=np.uint8)
    picture[:32, :32] = 200
    Image.fromarray(picture).save(tmp_path / "x.png")
    found = pictures.corner(tmp_path / "x.png", resolution=28, columns=1)
    assert found is not None
    (tmp_path / "corner.png").write_bytes(found[0])
    with Image.open(tmp_path / "corner.png") as corner:
        assert corner.size == (32, 32)
        assert corner.getextrema() == (200, 200)


# --- figures


def drawn(folder: Path) -> Iterator[Figure]:
    """Every kind of figure of a report."""
    (board,) = build_report(folder).boards
    groups, curves = frames.groups(board), frames.over_seeds(frames.evaluations(board))
    yield figures.curves(curves, x="step", title="step")
    yield figures.curves(curves, x="cpu_seconds", title="CPU-seconds")
    for key in board.keys:
        yield figures.effect(groups, key, key)
    few = [key for key in board.keys if groups[key].nunique() <= MOST_VALUES]
    for keys in combinations(few, 2):
        yield figures.interaction(groups, keys, keys)
    if len(board.keys) > 1:
        yield figures.parallel(groups, dict(zip(board.keys, board.keys, strict=True)))


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of labels on one axis, or of texts in a panel or a legend, that lie over each other."""
    figure.draw_without_rendering()
    groups = [[*axes.get_xticklabels()] for axes in figure.axes] + [[*axes.get_yticklabels()] for axes in figure.axes]
    groups += [[*axes.texts] for axes in figure.axes] + [list(legend.get_texts()) for legend in figure.legends]
    found = []
    for texts in groups:
        shown = [text for text in texts if text.get_text()]
        if shown and shown[0].get_rotation():  # turned: what counts is how far lines of them are apart
            ends = sorted(text.get_window_extent().x1 for text in shown)
            height = shown[0].get_fontsize() * figure.dpi / 72
            gap = min((b - a for a, b in pairwise(ends)), default=1e9) * np.sin(np.radians(shown[0].get_rotation()))
            found += [("turned", "labels")] if gap < height else []
            continue
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
        found += [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]
    return found


def test_no_labels_overlap_or_leave_the_figure(forty: Path, tmp_path: Path) -> None:
    two = write_sweep(tmp_path / "two", {"loss.name": AXES["loss.name"][:2]}, fid, words=("loss=hinge",))
    search = tmp_path / "search"
    rng = np.random.default_rng(0)
    for i in range(40):
        rate, half_life = (float(10 ** rng.uniform(*ends)) for ends in ((-4.5, -2.5), (-1, 3)))
        settings = {"optimizer.lr": rate, "ema.half_life": half_life, "model.width": int(rng.integers(4, 64))}
        write_run(search / f"trial-{i}", settings, fid=fid(rate), steps=(500, 1000))
    for folder in (two, forty, search):
        for figure in drawn(folder):
            assert overlapping(figure) == []
            box = figure.get_tightbbox()
            width, height = figure.get_size_inches()
            assert box.x0 > -0.01
            assert box.y0 > -0.01
            assert box.x1 < width + 0.01
            assert box.y1 < height + 0.01


def test_an_option_with_keys_that_others_lack_is_drawn(tmp_path: Path) -> None:
    """``penalty=none,r1 penalty.gamma=1,2.5``: numbers beside nothing."""
    for seed in range(2):
        write_run(tmp_path / f"none-{seed}", {}, fid=2.0 + seed, seed=seed)
        for gamma in (1.0, 2.5):
            words = ("penalty=r1", "model.discriminator.norm=layer")
            write_run(tmp_path / f"r1-{gamma}-{seed}", {"penalty.gamma": gamma}, fid=gamma, seed=seed, words=words)
    (board,) = build_report(tmp_path).boards
    assert board.keys == ["penalty.name", "penalty.gamma", "model.discriminator.norm"]
    assert [overlapping(figure) for figure in drawn(tmp_path)] == [[]] * 9


def test_one_evaluation_alone_is_drawn_as_a_point() -> None:
    frame = pd.DataFrame({"place": [1], "name": ["a"], "step": [5], "cpu_seconds": [1.0], "fid": [2.0]})
    figure = figures.curves(frame.assign(low=2.0, high=2.0), x="step", title="step")
    (line,) = figure.axes[0].lines
    assert line.get_marker() == "o"
