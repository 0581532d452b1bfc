"""Prints the table of README.md from peers.jsonl: python experiments/speed/peers_table.py.

A peer's best FID on its curve and when it was there, by each extractor that nothing is tuned to; then when each run of
ours first was as good, in CPU-seconds and as a share of the peer's. The later of the two extractors counts.
"""

import argparse
import json
from pathlib import Path
from typing import Any

OURS = ("quick", "best")


def first_within(curve: list[dict[str, float]], extractor: str, fid: float) -> float:
    """CPU-seconds until a curve is at ``fid`` or below; infinite if it never is."""
    return min((look["cpu_seconds"] for look in curve if look[extractor] <= fid), default=float("inf"))


def held_out(run: dict[str, Any]) -> list[str]:
    """The extractors beside ``digits`` that its curve was measured with."""
    return [key for key in run["curve"][0] if key.startswith("digits") and key != "digits"]


def compare(peer: dict[str, Any], ours: dict[str, Any]) -> tuple[float, float]:
    """CPU-seconds of ours until the peer's best, and their share of the peer's own: the worse of the two extractors."""
    found = []
    for extractor in held_out(peer):
        fid = min(look[extractor] for look in peer["curve"])
        seconds = first_within(ours["curve"], extractor, fid)
        found.append((seconds, seconds / first_within(peer["curve"], extractor, fid)))
    return max(found, key=lambda pair: pair[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "peers.jsonl")
    lines = [json.loads(line) for line in parser.parse_args().results.read_text().splitlines()]
    ours = [line for line in lines if line["name"] in OURS]
    names = [f"{line['name']}, seed {line['seed']}" for line in ours]
    extractors = ", ".join(["digits", *held_out(lines[0])])
    print(f"| peer | seed | steps | best FID: {extractors} | at CPU-seconds", *names, sep=" | ", end=" |\n")
    print("|---" * (5 + len(names)) + "|")
    for peer in lines:
        if peer not in ours:
            best = {key: min(look[key] for look in peer["curve"]) for key in ("digits", *held_out(peer))}
            when = [first_within(peer["curve"], key, fid) for key, fid in best.items()]
            cells = [f"{seconds:.0f} s, {share:.3f}" for seconds, share in (compare(peer, one) for one in ours)]
            print(f"| {peer['name']} | {peer['seed']} | {peer['steps']} |", end=" ")
            print(", ".join(f"{fid:.1f}" for fid in best.values()), end=" | ")
            print(", ".join(f"{seconds:.0f}" for seconds in when), *cells, sep=" | ", end=" |\n")
    for one in ours:
        last = one["curve"][-1]
        found = ", ".join(f"{last[key]:.2f}" for key in ("digits", *held_out(one)))
        print(f"{one['name']}, seed {one['seed']}: {found} after {last['cpu_seconds']:.0f} CPU-seconds")


if __name__ == "__main__":
    main()
