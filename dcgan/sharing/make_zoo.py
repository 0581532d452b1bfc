"""Make a generator that ships of a run: ``python -m dcgan.sharing.make_zoo <name> <run folder>``.

Its best generator in float16, its card and samples, in ``zoo/``. The run is made by the command in the card, and
evaluated by ``dcgan.evaluate`` before, so that the card has its numbers.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from dcgan.data.images import save_png
from dcgan.runs.load import load, save_generator
from dcgan.sharing.card import beside, card, evaluations
from dcgan.sharing.folder import samples_of
from dcgan.shell.writing import to_json
from dcgan.shell.zoo import ZOO

COMPARED = 1000  # samples
LARGEST = 7e6  # bytes of a file


def make(name: str, run: Path) -> list[Path]:
    """Write the files of an entry, and return where they are.

    Raises:
        ValueError: the file is larger than what ships may be.
    """
    loaded = load(run, checkpoint="best", device="cpu")
    config = asdict(loaded.config)
    config["name"], config["data"]["root"] = name, "data"  # that of this machine is nobody's business
    file, text, picture = (ZOO / f"{name}{ending}" for ending in (".safetensors", ".md", ".png"))
    save_generator(loaded.generator, file, config=config, step=loaded.step, half=True)
    if file.stat().st_size > LARGEST:
        file.unlink()
        raise ValueError(f"{name}: its file has more than {LARGEST / 1e6:.0f} MB")
    half = load(file, checkpoint="best", device="cpu").generator
    one, other = (generator.sample(n=COMPARED, seed=1).int() for generator in (loaded.generator, half))
    found = (one - other).abs()
    share = f"{float((found > 0).float().mean()):.1%}"
    agreement = (
        f"Weights in float16: of {COMPARED:,} samples {share} of the pixels differ from float32's, by at most "
        f"{int(found.max())} of 255"
    )
    save_png(samples_of(half), picture)
    metrics, origin = (beside(file, kind) for kind in ("metrics.jsonl", "provenance.jsonl"))
    metrics.write_text("".join(to_json({**one, "run": name}) + "\n" for one in evaluations(run, loaded)))
    origin.write_text(beside(run, "provenance.jsonl").read_text().splitlines()[0] + "\n")
    loaded = load(file, checkpoint="best", device="cpu")
    text.write_text(card(loaded, file, form="zoo", agreement=agreement), encoding="utf-8")
    return [file, text, picture, metrics, origin]


def main() -> None:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    print(*make(arguments.name, arguments.run), sep="\n")


if __name__ == "__main__":
    main()
