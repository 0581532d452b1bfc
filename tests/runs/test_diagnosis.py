"""The rules, on looks that are made up: what each state is said for, how soon, and what nothing is said for."""

import dataclasses
import json
import math
from typing import Any

import pytest
from conftest import config

from dcgan.runs.diagnosis import Diagnosis
from dcgan.runs.remedies import REMEDIES, knob
from dcgan.runs.signals import Reference, Signals
from dcgan.runs.signs import HEALTHY, RULES, STATES, class_share, effective

REAL = Reference(number=64, rank=40.0, spread=0.5, mean=-0.7, saturated=0.8, classes=(7, 7, 7, 6, 6, 6, 6, 6, 6, 7))
WELL: dict[str, Any] = {
    "logit_real": 1.5,
    "logit_fake": -1.5,
    "accuracy_real": 0.8,
    "accuracy_fake": 0.8,
    "ordered": 0.85,
    "loss_discriminator": 0.9,
    "loss_generator": 2.0,
    "grad_norm_discriminator": 1.0,
    "grad_norm_generator": 1.0,
    "logit_seen": 1.5,
    "logit_held_out": 1.4,
    "logit_sampled": -1.5,
    "recognised": 0.5,
    "rank": 38.0,
    "spread": 0.95,
    "moved": 0.4,
    "returned": 1.3,
    "mean": 0.0,
    "saturated": 0.0,
    "classes": (8, 8, 5, 6, 7, 6, 6, 6, 5, 7),
    "obeyed": None,
    "distance": 0.1,
    "fid": 20.0,
}
AGAINST = {
    "diverging": {"loss_discriminator": 40.0},
    "memorising": {"recognised": 0.95},
    "discriminator_blind": {"ordered": 0.5},
    "discriminator_won": {"ordered": 0.9999, "rank": 15.0},
    "oscillating": {"moved": 0.9, "returned": 0.1},
    "class_collapse": {"classes": (32, 0, 0, 32, 0, 0, 0, 0, 0, 0)},
    "sample_collapse": {"rank": 3.0},
    "not_learning": {"moved": 0.001},
}


def seen(step: int, **numbers: Any) -> Signals:
    return Signals(step=step, **WELL | numbers)


def diagnosed(*looks: dict[str, Any], start: int = 1000, patience: int = 3) -> Diagnosis:
    """What is said after looks every 50 steps, the first being healthy."""
    diagnosis = Diagnosis(REAL, patience=patience)
    for number, look in enumerate(({}, *looks)):
        diagnosis.see(seen(start + 50 * number, **look))
    return diagnosis


def test_classes_in_effect_are_what_entropy_says() -> None:
    assert effective((32, 0, 0, 32)) == pytest.approx(math.exp(math.log(2)))  # of two, log 2
    assert effective((1,) * 10) == pytest.approx(10)
    assert effective((5, 0)) == pytest.approx(1)
    assert effective((3, 1)) == pytest.approx(4 / 3**0.75)
    assert effective(None) is effective((0, 0)) is None
    share = class_share(seen(1, classes=(32, 32) + (0,) * 8), dataclasses.replace(REAL, classes=(6,) * 10))
    assert share == pytest.approx(0.2)


def test_every_state_has_its_rule_and_its_remedy() -> None:
    assert set(AGAINST) == set(RULES) == set(REMEDIES) == set(STATES) - {HEALTHY}


@pytest.mark.parametrize("state", AGAINST)
def test_each_state_is_said_after_patience_looks_and_since_the_first(state: str) -> None:
    against = AGAINST[state]
    assert diagnosed(against, against).finding.state == HEALTHY
    found = diagnosed(against, against, against).finding
    assert (found.state, found.since) == (state, 1001)  # 150 steps before it is said, at a look every 50
    assert diagnosed(against, patience=1).finding.state == state
    words = knob(state, config(), rates={"generator": 0.002, "discriminator": 0.003})
    assert "0.00" in words


@pytest.mark.parametrize("state", AGAINST)
def test_one_odd_look_says_nothing_and_takes_nothing_back(state: str) -> None:
    against = AGAINST[state]
    assert diagnosed(*[against, against, {}] * 5).finding.state == HEALTHY
    assert not diagnosed(against, {}).suspects
    said = diagnosed(*[against] * 3, *[{}, {}, against] * 3)
    assert (said.finding.state, said.finding.since, said.suspects) == (state, 1001, state != "memorising")
    over = diagnosed(*[against] * 3, {}, {}, {})
    assert (over.finding.state, over.finding.since, over.suspects) == (HEALTHY, 1300, False)


@pytest.mark.parametrize("state", AGAINST)
def test_the_first_steps_are_not_held_against_a_run(state: str) -> None:
    against = AGAINST[state]
    assert diagnosed(*[against] * 5, start=50).finding.state == HEALTHY
    assert diagnosed(*[against] * 8, start=50).finding.since == 301


def test_what_is_just_within_a_bound_is_well_and_what_was_said_stays_until_it_is_clearly_so() -> None:
    assert diagnosed(*[{"rank": 10.1}] * 9).finding.state == HEALTHY  # a quarter of 40 is against it
    assert diagnosed(*[{"rank": 9.9}] * 9).finding.state == "sample_collapse"
    assert diagnosed(*[{"rank": 9.9}] * 9, *[{"rank": 11.0}] * 9).finding.state == "sample_collapse"
    assert diagnosed(*[{"rank": 9.9}] * 9, *[{"rank": 11.2}] * 9).finding.state == HEALTHY


def test_of_several_states_the_first_is_said() -> None:
    both = AGAINST["discriminator_won"] | AGAINST["class_collapse"]
    assert diagnosed(*[both] * 3).finding.state == "discriminator_won"
    second = [AGAINST["class_collapse"], *[both] * 2]  # the other looks as if it were the reason
    assert diagnosed(*second).finding.state == HEALTHY
    assert diagnosed(*second, both).finding.state == "discriminator_won"
    assert diagnosed(*second, AGAINST["class_collapse"]).finding.state == "class_collapse"


def test_a_discriminator_that_is_always_right_has_not_won_while_samples_are_like_real_images() -> None:
    right = {"ordered": 1.0}
    assert diagnosed(*[right] * 9).finding.state == HEALTHY
    for unlike in ({"spread": 0.39, "mean": 0.3}, {"rank": 15.0}, {"classes": (60, 4) + (0,) * 8}):
        assert diagnosed(*[right | unlike] * 3).finding.state == "discriminator_won"


def test_where_samples_stand_still_a_discriminator_that_guesses_is_not_to_blame() -> None:
    guesses = AGAINST["discriminator_blind"]
    assert diagnosed(*[guesses | {"moved": 0.001}] * 3).finding.state == "not_learning"
    assert diagnosed(*[AGAINST["discriminator_won"] | {"moved": 0.001}] * 3).finding.state == "discriminator_won"


def test_what_is_not_finite_diverges_even_at_the_beginning() -> None:
    broken = {"loss_generator": math.nan, "rank": math.inf, "moved": math.nan}
    found = diagnosed(broken, start=50, patience=1).finding
    assert (found.state, found.figure) == ("diverging", "loss_generator is not finite")


def test_what_a_run_has_not_is_not_held_against_it() -> None:
    without = dict.fromkeys(("recognised", "logit_held_out", "moved", "returned", "classes", "fid"))
    without |= {"grad_norm_discriminator": None, "grad_norm_generator": None}
    assert diagnosed(*[without] * 9).finding.state == HEALTHY
    assert diagnosed(*[without | {"rank": 1.0, "spread": 0.0}] * 9).finding.state == "sample_collapse"


def test_classes_that_a_run_never_had_are_not_lost_before_it_is_old() -> None:
    diagnosis = Diagnosis(REAL, patience=3)
    found = {step: diagnosis.see(seen(step, **AGAINST["class_collapse"])).state for step in range(50, 1651, 50)}
    assert [step for step, state in found.items() if state != HEALTHY] == [1600, 1650]


def test_a_look_that_cannot_tell_is_neither_for_nor_against_a_state() -> None:
    """As one in which classes are not counted."""
    against, without = AGAINST["class_collapse"], {"classes": None}
    assert diagnosed(*[without, against] * 3).finding.since == 1051
    assert diagnosed(*[against] * 3, *[without] * 9).finding == diagnosed(*[against] * 3).finding


def test_samples_come_to_rest_as_the_rate_falls() -> None:
    """As those of ``best`` do, 150 steps before its end."""
    assert diagnosed(*[{"moved": 0.006}] * 3).finding.state == "not_learning"
    assert diagnosed(*[{"moved": 0.006, "rate": 0.01}] * 3).finding.state == HEALTHY
    assert diagnosed(*[{"moved": 0.00006, "rate": 0.01}] * 3).finding.state == "not_learning"


def test_samples_that_are_not_of_the_class_that_was_asked_for_are_not_learnt() -> None:
    assert diagnosed(*[{"obeyed": 0.1}] * 3).finding.state == "not_learning"
    assert diagnosed(*[{"obeyed": 0.9}] * 3).finding.state == HEALTHY


def test_what_held_out_images_show_hides_nothing_that_is_acted_on() -> None:
    memory, collapse = AGAINST["memorising"], AGAINST["sample_collapse"]
    found = diagnosed(*[memory] * 3, *[memory | collapse] * 3)
    assert (found.finding.state, found.finding.since) == ("memorising", 1001)
    assert (found.without_held_out.state, found.without_held_out.since) == ("sample_collapse", 1151)
    alone = diagnosed(*[{}] * 3, *[collapse] * 3)
    assert found.without_held_out == alone.without_held_out == alone.finding
    assert diagnosed(*[memory] * 3).without_held_out.healthy


def test_nothing_began_before_somebody_looked() -> None:
    diagnosis = Diagnosis(REAL, patience=1)
    diagnosis.begin(4000)
    assert diagnosis.see(seen(4050, **AGAINST["sample_collapse"])).since == 4001


def test_a_resumed_diagnosis_goes_on_where_it_was() -> None:
    against = AGAINST["memorising"]
    before = diagnosed(against, against)
    again = Diagnosis(REAL, patience=3)
    again.load_state_dict(json.loads(json.dumps(before.state_dict())))
    for one in (before, again):
        one.see(seen(1150, **against))
    assert before.finding == again.finding
    assert again.finding.state == "memorising"
    assert again.state_dict() == before.state_dict()


@pytest.mark.parametrize("ordered", [0.3, 0.9999])
def test_samples_that_are_all_alike_are_said_before_what_the_discriminator_makes_of_them(ordered: float) -> None:
    """It judges them as one: experiments/2026-11-30_failures, of latents that are scaled away and of dead units."""
    assert diagnosed(*[{"ordered": ordered, "rank": 3.0}] * 3).finding.state == "sample_collapse"


def test_narrow_samples_of_another_brightness_are_no_collapse() -> None:
    """As of images in 0..1 beside ones in -1..1."""
    narrow = {"spread": 0.3}
    assert diagnosed(*[narrow] * 3).finding.state == "sample_collapse"
    found = diagnosed(*[narrow | {"mean": 0.8}] * 3).finding
    assert found.state == "not_learning"
    assert "mean pixel is off by +0.80" in found.figure


@pytest.mark.parametrize(("start", "distance", "state"), [(450, 2.9, HEALTHY), (450, 3.1, "not_learning")])
def test_samples_may_be_far_from_real_images_while_a_run_is_young(start: int, distance: float, state: str) -> None:
    """1 from step 1,500 on, and 1,500 over the step before: at the first of these looks, 500, 3."""
    assert diagnosed(*[{"distance": distance}] * 3, start=start).finding.state == state
    assert diagnosed(*[{"distance": 1.1}] * 3, start=4000).finding.state == "not_learning"
    assert diagnosed(*[{"distance": 0.9}] * 3, start=4000).finding.healthy


def test_labels_count_once_digits_are_drawn() -> None:
    """A narrow ResNet draws six of ten classes for 500 steps before it heeds labels at all."""
    unheeded = {"obeyed": 0.1}
    assert diagnosed(*[unheeded] * 3).finding.state == "not_learning"
    few = unheeded | {"classes": (16, 16, 16, 16, 0, 0, 0, 0, 0, 0)}
    assert "asked for" not in diagnosed(*[few] * 3, start=400).finding.figure
    assert "asked for" in diagnosed(*[unheeded] * 3).finding.figure
