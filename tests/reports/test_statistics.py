"""Intervals, tests and sample sizes, against closed forms and by simulation: they hold as often as they claim."""

import numpy as np
import pytest
from scipy import stats

from dcgan.reports.statistics import holm, improvement, p_value, seeds_needed, student

TRIALS = 20_000
DRAWS = {  # logs of FIDs: as assumed, those of skewed FIDs, heavy tails, and now and then one that went wrong
    "normal": lambda rng, shape: rng.normal(size=shape),
    "log gamma": lambda rng, shape: np.log(rng.gamma(4, size=shape)),
    "t": lambda rng, shape: rng.standard_t(5, size=shape),
    "outliers": lambda rng, shape: rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 4, 1),
}


def test_the_interval_and_the_test_are_student_s() -> None:
    values = np.array([0.3, -0.1, 0.9, 0.5])
    found, known = student(values), stats.ttest_1samp(values, 0)
    assert found.mean == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert p_value(values) == pytest.approx(known.pvalue)
    assert p_value(np.zeros(3)) == 1  # equal runs
    assert p_value(np.ones(3)) == 0  # of which one is always the same bit better
    assert student(values[:1]) == (0.3, None, None)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([[0.6, 0.5], [0.001, 0.2]])) == pytest.approx(np.array([[1, 1], [0.002, 0.2]]))


def test_the_probability_of_improvement_counts_pairs() -> None:
    assert improvement(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert improvement(np.array([1.0, np.inf]), np.array([2.0, np.inf])) == pytest.approx((1 + 1 + 0 + 0.5) / 4)


@pytest.mark.parametrize(("difference", "deviation"), [(1.0, 1.0), (0.5, 0.4), (0.4, 1.0)])
def test_the_seeds_that_are_said_to_settle_it_do_so_in_eight_of_ten_cases(difference: float, deviation: float) -> None:
    n = seeds_needed(difference, deviation)
    assert n is not None
    rng = np.random.default_rng(0)
    powers = [(p_value(rng.normal(difference, deviation, (TRIALS, m))) < 0.05).mean() for m in (n, n - 2)]
    assert powers[0] > 0.78
    assert powers[1] < 0.8  # no more than are needed
    more = seeds_needed(difference, deviation, comparisons=10)
    assert more is not None
    assert more > n
    assert seeds_needed(0.01, 1.0) is None
    assert seeds_needed(0.0, 0.0) is None


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("kind", DRAWS)
def test_intervals_of_paired_differences_hold_what_they_claim(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    differences = DRAWS[kind](rng, (TRIALS, n)) - DRAWS[kind](rng, (TRIALS, n))
    found = student(differences)
    assert ((found.low <= 0) & (found.high >= 0)).mean() > 0.945  # three standard errors below 0.95
    drawn = differences[:1000][np.arange(1000)[:, None, None], rng.integers(0, n, (1000, 300, n))].mean(-1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() < 0.94  # the bootstrap's do not


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("kind", DRAWS)
def test_where_all_groups_are_equal_one_report_in_twenty_at_most_calls_one_better(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    for groups in (2, 4, 8):
        of_seeds = rng.normal(size=(5000, 1, n))
        logs = DRAWS[kind](rng, (5000, groups, n)) + of_seeds
        one, other = np.triu_indices(groups, 1)
        false = (holm(p_value(logs[:, one] - logs[:, other])).min(-1) < 0.05).mean()
        assert false < 0.06  # three standard errors above 0.05
