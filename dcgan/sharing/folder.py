"""A generator as a folder to hand on: its file, a card, samples."""

import shlex
import shutil
import tempfile
from pathlib import Path

from torch import Tensor

from dcgan.config.schema import ExportConfig
from dcgan.data.images import grid, save_png
from dcgan.models.base import Generator
from dcgan.runs.load import Loaded, generator_path, load
from dcgan.sharing.card import card
from dcgan.sharing.forms import FORMS, write_checked
from dcgan.sharing.web import PARTS, write_page
from dcgan.shell.writing import naming, refuse_no_folder
from dcgan.shell.zoo import home, source

WEIGHTS = "generator.safetensors"
CARD, SAMPLES = "README.md", "samples.png"
OWN = {CARD, SAMPLES, WEIGHTS, *PARTS, *(form.file for form in FORMS.values())}  # what is ever replaced
SHOWN = 64  # samples; of a model with labels a row of ten for each of up to ten


def place(config: ExportConfig) -> Path:
    """Where the folder goes.

    Raises:
        FileExistsError: it is there, and may not be replaced.
    """
    run = source(config.run, config.zoo)
    out = Path(config.out) if config.out else home(run) / "exported" / config.format
    refuse_no_folder(out)
    if not out.exists():
        return out
    if not config.overwrite:
        raise FileExistsError(f"out={out}: exists; choose another, or overwrite=true")
    if others := sorted(path.name for path in out.iterdir() if path.name not in OWN):
        raise FileExistsError(f"out={out}: holds {others[0]} too, which this command did not write; choose another")
    return out


def write_folder(config: ExportConfig, out: Path) -> Path:
    """Write it beside ``out`` first: an interrupted command leaves no half of it.

    Raises:
        ValueError: the exported file draws other images than the generator.
    """
    run = source(config.run, config.zoo)
    loaded = load(run, checkpoint=config.checkpoint, device="cpu")
    out.parent.mkdir(parents=True, exist_ok=True)
    with naming(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as temporary:
        folder = Path(temporary) / "folder"
        folder.mkdir()
        said = _write_files(loaded, run, config, folder)
        save_png(samples_of(loaded.generator), folder / SAMPLES)
        text = card(loaded, run, form=config.format, agreement=said)
        (folder / CARD).write_text(text, encoding="utf-8", errors="replace")
        if out.is_dir():
            shutil.rmtree(out)
        folder.rename(out)
    print(_told(out, config.format) + (f"\n  {said}" if said else ""))
    return out


def _told(out: Path, form: str) -> str:
    """What was written, and how large it is; of a page how to see it."""
    written = [path for path in sorted(out.iterdir()) if path.name not in (CARD, SAMPLES)]
    file = out / "index.html" if form == "web" else written[0]
    line = f"{file}  {sum(path.stat().st_size for path in written) / 1e6:.1f} MB"
    if form == "web":
        line += f"\n  see it with  python -m http.server --bind 127.0.0.1 --directory {shlex.quote(str(out))}"
    return line


def _write_files(loaded: Loaded, run: Path, config: ExportConfig, folder: Path) -> str:
    """Write what is of the format, hold it against the generator, and say how well they agree."""
    if config.format == "safetensors":
        shutil.copyfile(generator_path(run, loaded.checkpoint), folder / WEIGHTS)
        return ""
    if config.format == "web":
        return write_page(loaded, folder, root=Path(config.data.root))
    return write_checked(loaded, folder / FORMS[config.format].file, form=config.format)


def samples_of(generator: Generator) -> Tensor:
    """The picture that goes with a card: the first samples, in rows of their classes."""
    classes = generator.num_classes
    number = 10 * min(classes, 10) if classes else SHOWN
    return grid(generator.sample(n=number, seed=0), num_classes=classes)
