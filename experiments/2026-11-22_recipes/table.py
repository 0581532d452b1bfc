"""Prints the table of README.md from results.jsonl: python experiments/2026-11-22_recipes/table.py."""

import json
from pathlib import Path


def main() -> None:
    lines = [json.loads(line) for line in (Path(__file__).parent / "results.jsonl").read_text().splitlines()]
    print("| recipe | seed | FID after 100, 200, 300, 400, 500 steps | digits | CPU seconds |")
    print("|---|---|---|---|---|")
    for line in sorted(lines, key=lambda line: (line["recipe"], line["seed"])):
        curve = ", ".join(f"{value:.1f}" for _, value in line["curve"])
        print(f"| {line['recipe']} | {line['seed']} | {curve} | {line['modes']} | {line['process_cpu_seconds']:.0f} |")


if __name__ == "__main__":
    main()
