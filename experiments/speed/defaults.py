"""What each of the defaults that are there for speed is worth: images/s of ``dcgan.train`` with all, and without one.

    python experiments/speed/defaults.py --width 64 --threads 2 --without fast=false

In turns, nine rounds; 150 steps of 128 images, no evaluation; the speed that a run logs over steps 51 to 150. A ratio
is that of two runs of one round. Appends to defaults.jsonl.
"""

import argparse
import os
import statistics
from pathlib import Path

from processes import images_per_second
from record import record

RESULTS = Path(__file__).parent / "defaults.jsonl"
ROUNDS = 9
WITHOUT = [
    "fast=false",
    "trainer.precision=32-true",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without", nargs="+", choices=WITHOUT, default=WITHOUT)
    arguments = parser.parse_args()
    root = str(Path(os.environ.get("DCGAN_DATA", "data")).absolute())
    settings = ["", *arguments.without]
    speeds: dict[str, list[float]] = {setting: [] for setting in settings}
    for i in range(ROUNDS):
        for setting in settings[i % len(settings) :] + settings[: i % len(settings)]:
            words = ["experiment=dcgan", f"model.width={arguments.width}", "trainer.gpus=0", *filter(None, [setting])]
            speeds[setting].append(round(images_per_second(words, arguments.threads, root), 1))
        print({setting: values[-1] for setting, values in speeds.items()}, flush=True)
    gains = {
        setting: [round(a / b, 3) for a, b in zip(speeds[""], speeds[setting], strict=True)]
        for setting in arguments.without
    }
    for setting, values in gains.items():
        print(f"{setting:<28} {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    found = {"width": arguments.width, "threads": arguments.threads, "images_per_second": speeds, "gain_over": gains}
    record(RESULTS, found)


if __name__ == "__main__":
    main()
