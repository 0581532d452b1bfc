"""The tables of an evaluation, on records made by hand: what the judges say stands beside, and where they disagree."""

from typing import Any

import pytest

from dcgan.reports.table import compare, describe

EXTRACTORS = ("digits", "digits1", "digits_residual")


def run(name: str, *values: float) -> list[dict[str, Any]]:
    """The records of one run: FIDs by ``digits`` and its judges."""
    return [
        {
            "run": name,
            "metric": f"fid_{extractor}_test_10k",
            "value": value,
            "measures": {"fid": {"value": value}},
            "extractor": extractor,
            "extractor_sha256": extractor,
            "data": "mnist",
            "resolution": 28,
            "channels": 1,
            "num_real": 10_000,
        }
        for extractor, value in zip(EXTRACTORS, values, strict=False)
    ]


def test_judges_that_agree_are_shown_and_no_more_is_said() -> None:
    assert compare([*run("b", 0.5, 0.6, 2.0), *run("a", 0.4, 0.5, 1.0)]).splitlines() == [
        "   1  fid_digits_test_10k  0.40  [digits1 0.50, digits_residual 1.00]  a",
        "   2  fid_digits_test_10k  0.50  [digits1 0.60, digits_residual 2.00]  b",
    ]


def test_a_run_that_ended_unwell_is_marked() -> None:
    lines = compare(
        [*run("b", 0.5), *run("a", 0.4)], health={"b": "class collapse since step 350", "a": ""}
    ).splitlines()
    assert [line.partition("10k")[2] for line in lines] == ["  0.40  a", "  0.50  b  (class collapse since step 350)"]


def test_a_judge_that_orders_two_runs_differently_is_named_with_them() -> None:
    *_, note = lines = compare([*run("quick", 0.73, 0.8, 2.75), *run("best", 1.06, 1.1, 1.9)]).splitlines()
    assert len(lines) == 3
    assert note == "digits_residual orders differently than digits: best (1.90) before quick (2.75)"


def test_of_many_pairs_the_widest_apart_are_named() -> None:
    records = [record for i in range(5) for record in run(f"run{i}", i, i, 10 * (5 - i) ** 2)]
    *_, note = lines = compare(records).splitlines()
    assert len(lines) == 6
    assert note == (
        "digits_residual orders differently than digits: run4 (10.00) before run0 (250.00); "
        "run3 (40.00) before run0 (250.00); run2 (90.00) before run0 (250.00); and 7 pairs more"
    )


def test_equal_values_are_no_disagreement() -> None:
    assert len(compare([*run("a", 0.4, 1.0, 2.0), *run("b", 0.4, 2.0, 1.0)]).splitlines()) == 2
    assert len(compare([*run("a", 0.4, 1.0, 2.0), *run("b", 0.5, 1.0, 2.0)]).splitlines()) == 2


def test_without_judges_or_without_ranks_no_order_is_compared() -> None:
    assert compare([*run("a", 0.5), *run("b", 0.4)]).splitlines() == [
        "   1  fid_digits_test_10k  0.40  b",
        "   2  fid_digits_test_10k  0.50  a",
    ]
    other = [record | {"resolution": 32} for record in run("b", 0.4, 0.5, 0.6)]
    *_, note = lines = compare([*run("a", 0.5, 0.4, 0.3), *other]).splitlines()
    assert len(lines) == 3
    assert note == "not ranked, for they differ in resolution: 28, 32"


@pytest.mark.parametrize("known", [True, False])
def test_the_report_of_one_run_shows_its_judges_and_what_real_images_score_by_each(known: bool) -> None:
    records = run("a", 0.4, 0.5, 1.0)
    for i, record in enumerate(records):
        record["real"] = {"fid": 0.1 * (i + 1)} if known else None
    more = {"step": 4, "checkpoint": "best", "split": "test", "num_fake": 10_000, "seconds": 1.0}
    records[0] |= more | {"halves": {"fid": 0.2}, "halves_of": [5000, 5000]}
    text = describe(records)
    (header,) = [line for line in text.splitlines() if "digits_residual" in line and "judges" not in line]
    (row,) = [line for line in text.splitlines() if line.startswith("  fid_digits_test_10k")]
    assert header.split()[-2:] == ["digits1", "digits_residual"]
    assert row.split()[-2:] == ["0.50", "1.00"]
    line = "  digits1, digits_residual: judges, by which nothing is chosen"
    floors = "; FID of real images 0.10 (digits), 0.20 (digits1), 0.30 (digits_residual)"
    assert line + (floors if known else "") in text.splitlines()
