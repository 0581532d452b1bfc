"""What is said of groups of runs: better only where it can be trusted, and what is missing where it cannot."""

from collections.abc import Sequence

import numpy as np

from dcgan.reports.decide import Group, compare, decide, ranked


def group(name: str, *values: float | None, **more: float) -> Group:
    return Group(name, dict(enumerate(values)), **more)  # type: ignore[arg-type]


def said(*groups: Group, judge: str = "") -> list[str]:
    order = ranked(groups)
    return decide(order, compare(order)[0], judge=judge)


def test_a_clear_difference_is_called_better_with_its_size() -> None:
    found = said(group("b", 2.0, 2.1, 1.9, 2.0), group("a", 1.0, 1.05, 0.94, 1.01))
    assert found == [
        "a is better than b with 4 seeds (its FID is 50 % lower, 95 % interval 49 % to 51 % lower; "
        "a run of it ends lower than one of the other in 100 % of all pairs)."
    ]


def test_what_cannot_be_told_apart_is_said_with_the_seeds_that_would_settle_it() -> None:
    (text,) = said(group("hinge", 1.0, 1.3, 0.9), group("least_squares", 1.2, 1.25, 1.15))
    assert text.startswith(
        "hinge and least_squares cannot be told apart with 3 seeds (the FID of the first is 12 % lower"
    )
    assert text.endswith("; about 13 would settle it.")
    (text,) = said(group("a", 1.0, 1.3, 0.9), group("b", 1.3, 0.9, 1.0001))
    assert text.endswith("; more than 100 seeds would be needed to settle it.")


def test_a_difference_too_small_to_matter_asks_for_no_more_seeds() -> None:
    a, b = (1.0, 2.0, 4.0, 3.0), (1.001, 2.001, 3.999, 3.001)
    (text,) = said(group("a", *a), group("b", *b))
    assert text == (
        "a and b cannot be told apart with 4 seeds (the FID of the first is the same within 1 %, 95 % interval "
        "0 % lower to 0 % higher); whichever is lower, it is by no more than 1 %."
    )


def test_differences_are_paired_by_seed() -> None:
    """Seeds that differ by far more than the groups do."""
    values = [1.0, 10.0, 100.0, 1000.0]
    scattered = [value * factor for value, factor in zip(values, (1.2, 1.21, 1.19, 1.2), strict=True)]
    assert said(group("a", *values), group("b", *scattered))[0].startswith("a is better than b with 4 seeds")
    mixed = Group("b", dict(zip((3, 2, 1, 0), scattered, strict=True)))
    assert "cannot be told apart" in said(group("a", *values), mixed)[0]


def test_one_seed_is_a_lead_and_not_a_claim() -> None:
    assert said(group("a", 1.0)) == ["a: FID 1.00 with one seed: a lead, not a claim."]
    assert said(group("b", 9.0), group("a", 1.0)) == [
        "a is lowest with one seed alone, which is a lead and not a claim: train more seeds of it."
    ]
    assert said(group("a", 1.0, 1.1), group("b", 9.0)) == [
        "Of b there is one seed alone, which is a lead and not a claim."
    ]
    other_seeds = Group("b", {5: 9.0, 6: 9.1})
    assert said(group("a", 1.0, 1.1), other_seeds) == [
        "a shares fewer than two finished seeds with b: train both with the same seeds."
    ]


def test_a_run_that_failed_counts_against_its_group() -> None:
    """The runs that were left are better; what was lost is not forgotten."""
    lucky = group("lucky", 1.0, 1.1, 0.9, 1.0, None, None)
    sound = group("sound", 2.0, 2.2, 1.8, 2.0, 2.1, 1.9)
    first, *_, last = said(lucky, sound)
    assert first.startswith("lucky and sound cannot be told apart with 4 seeds")
    assert first.endswith("the runs that finished differ, but lucky failed more often, which counts against it.")
    assert last == "Failed: lucky in 2 of 6 runs; its mean is of the others alone."
    best = group("best", 0.5, 0.56, 0.44, 0.51, 0.5, 0.5)
    assert said(best, lucky)[0].startswith("best is better than lucky with 4 seeds")


def test_a_group_that_mostly_failed_stands_behind_and_nothing_is_divided_by_its_zero() -> None:
    gone, rare, sound = group("gone", None, None), group("rare", 0.1, None, None), group("sound", 2.0, 2.1)
    assert [one.name for one in ranked([gone, rare, sound])] == ["sound", "rare", "gone"]
    found = said(gone, rare, sound)
    assert "Of gone no run came to a result, so sound stands before." in found
    assert found[-1] == "Failed: rare in 2 of 3 runs and gone in 2 of 2 runs; their means are of the others alone."
    assert said(gone) == ["No run came to a result: all failed."]
    assert decide([], []) == ["No run has come to a result yet."]


def test_collapsed_runs_are_named() -> None:
    assert said(group("a", 1.0, 1.2, collapsed=1))[1] == (
        "Collapsed, most classes missing at the end: a in 1 of 2 runs."
    )


def test_a_judge_that_orders_the_first_two_otherwise_is_heard() -> None:
    pair = group("a", 1.0, 1.1, judged=5.0), group("b", 2.0, 2.2, judged=4.0)
    assert said(*pair, judge="digits_residual")[-1] == (
        "digits_residual, the judge of another make, orders them the other way: b before a (4.00 and 5.00). "
        "What lies between them may be tuned to the extractor."
    )
    agreeing = group("a", 1.0, 1.1, judged=3.0), pair[1]
    assert "orders a and b alike (3.00 and 4.00)" in said(*agreeing, judge="digits_residual")[-1]


def test_of_many_groups_the_pairs_are_all_counted() -> None:
    """Two that differ by themselves: among forty it is chance."""
    one, other = group("a", 1.0, 1.02, 0.98), group("b", 1.2, 1.18, 1.1)
    assert said(one, other)[0].startswith("a is better")
    rng = np.random.default_rng(0)
    many = [group(f"c{i}", *np.exp(0.5 + 0.2 * rng.normal(size=3))) for i in range(38)]
    text = " ".join(said(one, other, *many))
    assert "a and b cannot be told apart" in text
    assert "by themselves they would be, but in a report of so many groups that much is chance" in text
    assert len(text) < 1000


def test_reports_of_equal_groups_claim_nothing_in_nineteen_of_twenty_cases() -> None:
    """The words themselves, over groups some of whose runs fail."""
    rng, false, trials = np.random.default_rng(0), 0, 400

    def values(n: int) -> Sequence[float | None]:
        return [None if rng.random() < 0.1 else float(np.exp(0.3 * rng.normal())) for _ in range(n)]

    for _ in range(trials):  # a grid of two keys with two values each
        groups = [group(name, *values(4)) for name in "abcd"]
        keys = [[_together(groups[i], groups[j]) for i, j in pairs] for pairs in (((0, 1), (2, 3)), ((0, 2), (1, 3)))]
        comparisons, *effects = compare(ranked(groups), *keys)
        false += any("better" in sentence for sentence in decide(ranked(groups), comparisons, effects=effects))
    assert false / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def _together(one: Group, other: Group) -> Group:
    values = {(i, seed): value for i, part in enumerate((one, other)) for seed, value in part.values.items()}
    return Group(one.name + other.name, values)
