import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hydra import compose, initialize_config_dir

from dcgan import demo, doctor, evaluate, export, generate, report, train, tune
from dcgan.config.check import check
from dcgan.config.schema import CONF, TrainConfig
from dcgan.data.sources import prepare
from dcgan.features.spaces import FeatureSpace, load_feature_space
from dcgan.shell.cli import cli, for_hydra
from dcgan.shell.sweep import SweepSummary
from dcgan.training import ema

ENTRIES = {
    module.__name__.rpartition(".")[2]: module.main
    for module in (train, evaluate, generate, export, demo, doctor, report, tune)
}
# The smallest run that still does everything.
TINY = ["model.width=4", "data.batch_size=16", "samples.n=4", "trainer.gpus=0", "trainer.enable_progress_bar=false"]
TINY += ["optimizer.schedule=constant", "optimizer.warmup=0"]  # may be resumed for longer


SLOW = {"command", "mnist_root", "digits", "recipe"}  # fixtures of tests that train, score, or read a data set


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``-m fast``: the inner loop. ``-m gpu``: what a machine without one skips. ``-m cluster``: only if asked for.

    Faults are counted by name.
    """
    for item in items:
        if not SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker("fast")
        if fault := item.get_closest_marker("fault"):
            item.user_properties.append(("fault", fault.args[0]))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason=NO_GPU))
        asked = "cluster" in config.option.markexpr or config.option.markexpr == "fault"
        if item.get_closest_marker("cluster") and not asked:
            item.add_marker(pytest.mark.skip(reason="takes minutes, and SLURM: make test-cluster"))
        if item.get_closest_marker("browser") and "browser" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip(reason="needs Playwright and a Chromium: make test-browser"))


NO_GPU = f"no CUDA device on this machine (torch {torch.__version__})"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How much a GPU would have shown; and of ``make test-faults`` the table."""
    if config.option.markexpr == "fault":
        _print_faults(terminalreporter)
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_GPU in str(report.longrepr)]
    if skipped:
        terminalreporter.section("GPU", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests were SKIPPED, and nothing was shown of a GPU: {NO_GPU}", red=True)


def _print_faults(terminalreporter: Any) -> None:
    """Each fault, how often it was provoked, and how often nothing was lost."""
    trials: dict[str, dict[str, int]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for one in terminalreporter.stats.get(outcome, []):
            for fault in [value for key, value in one.user_properties if key == "fault"]:
                if one.when == "call" or outcome != "passed":
                    found = trials.setdefault(fault, dict.fromkeys(("passed", "failed", "skipped"), 0))
                    found[outcome] += 1
    terminalreporter.section("faults")
    terminalreporter.line("| fault | trials | survived | lost | not tried here |\n|---|---|---|---|---|")
    for fault, found in sorted(trials.items()):
        number = found["passed"] + found["failed"]
        terminalreporter.line(f"| {fault} | {number} | {found['passed']} | {found['failed']} | {found['skipped']} |")


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_allocation() -> None:
    """Lightning's own Trainer, which some tests make, would take one for a launch; a run has a test of its own."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """Real MNIST and Fashion-MNIST, fetched if need be. Without them these tests fail: they are never skipped."""
    root = Path(os.environ.get("DCGAN_DATA", Path(__file__).parents[1] / "data")).absolute()
    for name in ("mnist", "fashion_mnist"):
        prepare(name, root)
    return root


@pytest.fixture(scope="session")
def digits() -> FeatureSpace:
    """The feature space that everything is chosen by."""
    return load_feature_space("digits")


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist_root: Path) -> Path:
    """An empty current folder, with the data set known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_DATA", str(mnist_root))
    return tmp_path


@pytest.fixture
def command(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workdir: Path
) -> Callable[..., Result]:
    """Run an entry point in this process, as ``python -m dcgan.<entry> <words>`` would.

    The average's statistics are of 256 samples instead of 10,240, which are most of the time of a run of two steps; not
    where a fault is tried, on a process of its own, whose run has to be the same.
    """
    if request.node.get_closest_marker("fault") is None:
        monkeypatch.setattr(ema, "FIT_BATCHES", 2)

    def run(entry: str, *words: str) -> Result:
        monkeypatch.setattr(sys, "argv", [f"dcgan.{entry}", *words])
        monkeypatch.setattr(SweepSummary, "failed", False)
        code = 0
        try:
            cli(entry, ENTRIES[entry])
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
            if isinstance(exit_.code, str):
                print(exit_.code, file=sys.stderr)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def composed(*words: str, entry: str = "train") -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(entry, for_hydra(words, entry))


def config(*words: str, root: Path | str = "data") -> TrainConfig:
    words = (*TINY, f"data.root={root}", *words)
    return check(composed(*words), TrainConfig, typed=words)


def companions(word: str) -> list[str]:
    """What must be said beside an option, which by itself would be refused."""
    if word.startswith("penalty=") and word != "penalty=none":
        return ["model.discriminator.norm=layer"]
    if word in ("data=folder", "data=idx"):
        return [f"data={word[5:]}", "data.folder=mine", "data.resolution=28", "data.channels=1"]
    if word.startswith("experiment=folder_"):
        return ["data.folder=mine"]
    return ["model.discriminator.norm=spectral"] if word == "loss=wasserstein" else []


def printed_run(out: str) -> str:
    """The run folder that a finished command names."""
    return next(line.split()[1] for line in out.splitlines() if line.startswith("  run "))


def options(group: str) -> Sequence[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One for all of tests/browser: Playwright takes no second one beside it."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "no chromium: make test-browser installs Debian's"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def recipes() -> list[str]:
    """Those that need nothing else to be said: of MNIST and other sets that are there."""
    return [name for name in options("experiment") if not companions(f"experiment={name}")]
