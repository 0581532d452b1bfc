"""The last lines of results.jsonl as a table, and all their rounds together, for README.md.

    python experiments/speed/bench_table.py --last 28

A line a session, its intervals bootstrapped over rounds; then one for each processor, width and precision, bootstrapped
over sessions and the rounds of each: a process keeps its layout of memory, and with it its speed, as long as it lives.
"""

import argparse
import json
import random
from typing import Any

from bench import RESULTS, ratio


def shown(found: dict[str, float], digits: int) -> str:
    median, low, high = (f"{found[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def setting(line: dict[str, Any]) -> tuple[Any, ...]:
    """What lines must have in common for their rounds to be taken together."""
    return line["machine"]["cpu"], line["width"], line["precision"]


def together(lines: list[dict[str, Any]], slow: str, fast: str) -> dict[str, float]:
    return ratio(*((line["seconds"][slow], line["seconds"][fast]) for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--last", type=int, default=10)
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()][-parser.parse_args().last :]
    random.seed(0)
    for line in lines:
        speeds = ", ".join(str(line["images_per_second"][name]) for name in ("dcgan.train", "plain", "bare"))
        cells = [line["width"], line["precision"], line["rounds"], speeds]
        cells += [shown(line["speed_over_plain"], 2), shown(line["time_over_bare"], 3)]
        print("|", " | ".join(map(str, cells)), "|")
    print()
    for common in dict.fromkeys(map(setting, lines)):
        same = [line for line in lines if setting(line) == common]
        cells = [*common, sum(line["rounds"] for line in same)]
        cells += [shown(together(same, "plain", "dcgan.train"), 2), shown(together(same, "dcgan.train", "bare"), 3)]
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
