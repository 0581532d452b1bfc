import math
from itertools import pairwise

import pytest
import torch
from conftest import composed, config, options
from torch import nn

from dcgan.config import options as config_options
from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.training.build import build_gan
from dcgan.training.optim import OPTIMIZERS, SCHEDULES, Rates, learning_rate_factor


def factors(schedule: str, *, warmup: int, total: float, steps: int) -> list[float]:
    return [learning_rate_factor(schedule, warmup=warmup, step=step, total=total) for step in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1, 1]),
        ("constant", 2, [0.5, 1, 1, 1, 1]),
        ("linear", 0, [1, 0.8, 0.6, 0.4, 0.2]),
        ("linear", 1, [1, 1, 0.75, 0.5, 0.25]),
        ("cosine", 0, [(1 + math.cos(math.pi * step / 5)) / 2 for step in range(5)]),
    ],
)
def test_the_rate_over_five_steps(schedule: str, warmup: int, expected: list[float]) -> None:
    assert factors(schedule, warmup=warmup, total=5, steps=5) == pytest.approx(expected)


@pytest.mark.parametrize(("total", "expected"), [(math.inf, [1, 0.75, 0.5, 0.25]), (5, [1, 0.75, 0.5, 0.25])])
def test_the_rate_falls_over_whichever_ends_first(total: float, expected: list[float]) -> None:
    factors = [learning_rate_factor("linear", warmup=0, step=i, total=total, time=i / 4) for i in range(4)]
    assert factors == pytest.approx(expected)
    slow = [learning_rate_factor("linear", warmup=0, step=i, total=4, time=i / 100) for i in range(4)]
    assert slow == pytest.approx([1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    ("words", "total", "steps"),
    [
        ([], 5000, 100),
        ([], 500, 50),
        ([], 9, 0),
        ([], math.inf, 100),
        (["optimizer.warmup=200"], 5000, 200),
        (["experiment=dcgan"], 10_000, 0),  # which is what the paper says
        (["experiment=folder_64", "data.folder=x"], 5000, 100),
    ],
)
def test_a_warm_up_takes_a_hundred_steps_or_a_tenth_of_a_short_run(words: list[str], total: float, steps: int) -> None:
    rates = build_gan(check(composed(*words), TrainConfig, typed=words)).rates._replace(schedule="constant")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rates.start([optimizer])
    found = []
    for step in range(250):
        rates.set([optimizer], step=step, total=total)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([min(1.0, (step + 1) / max(1, steps)) for step in range(250)])


def rates_by_the_clock(rates: Rates, times: list[float], *, total: float) -> list[float]:
    """The share ``times[step]`` of the run's time is over in each step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rates.start([optimizer])
    found = []
    for step, time in enumerate(times):
        rates.set([optimizer], step=step, total=total, time=time)
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("total", [math.inf, 5000])
def test_a_run_by_time_warms_up_in_a_tenth_of_it_if_a_hundred_steps_take_longer(total: float) -> None:
    times = [step / 40 for step in range(40)]
    assert rates_by_the_clock(Rates("constant", None), times, total=total) == pytest.approx(
        [0.01, 0.25, 0.5, 0.75, *[1.0] * 36]
    )
    falling = rates_by_the_clock(Rates("linear", None), times, total=total)
    assert falling == pytest.approx([0.01, 0.25, 0.5, 0.75, *[1 - time for time in times[4:]]])
    quick = rates_by_the_clock(Rates("linear", None), [step / 10_000 for step in range(200)], total=total)
    assert quick[:100] == pytest.approx([(step + 1) / 100 for step in range(99)] + [1 - 0.0099], rel=1e-3)


def test_a_warm_up_that_the_clock_cuts_off_ends_without_a_jump() -> None:
    found = rates_by_the_clock(Rates("linear", 30), [step / 40 for step in range(40)], total=math.inf)
    assert max(abs(one - other) for one, other in pairwise(found)) < 0.04
    assert found[-1] == pytest.approx(1 / 40)


def test_a_run_that_is_taken_back_to_its_first_step_warms_up_again() -> None:
    """By the clock too, which goes on: half of the run's time is over."""
    times = [0.5 + step / 100 for step in range(20)]
    found = rates_by_the_clock(Rates("constant", None), times, total=math.inf)
    assert found == pytest.approx([0.01, *[step / 10 for step in range(1, 10)], *[1.0] * 10])


def test_a_run_that_is_made_longer_does_not_warm_up_again() -> None:
    rates = Rates("constant", None)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rates.start([optimizer])
    for step in range(50):
        rates.set([optimizer], step=step, total=50)
    resumed = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rates.start([resumed])
    resumed.load_state_dict(optimizer.state_dict())
    rates.set([resumed], step=50, total=5000)
    assert resumed.param_groups[0]["lr"] == 1.0


def test_a_run_without_end_keeps_its_rate() -> None:
    assert factors("constant", warmup=0, total=math.inf, steps=3) == [1, 1, 1]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_begins_at_one_and_never_rises(schedule: str) -> None:
    found = factors(schedule, warmup=0, total=50, steps=50)
    assert found[0] == 1
    assert all(one >= other > 0 for one, other in pairwise(found))


def test_every_optimiser_has_its_option() -> None:
    assert set(options("optimizer")) == set(OPTIMIZERS) | {"adam_ttur"}
    assert set(config_options.NETWORK_OPTIMIZERS) == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("words", "discriminator", "generator"),
    [
        ([], ("Adam", {"lr": 2e-3, "betas": (0.5, 0.999)}), ("Adam", {"lr": 2e-3})),
        (["optimizer=adam_ttur"], ("Adam", {"lr": 4e-4, "betas": (0.0, 0.9)}), ("Adam", {"lr": 1e-4})),
        (["optimizer=adam_ttur", "optimizer.lr=1e-3"], ("Adam", {"lr": 4e-4}), ("Adam", {"lr": 1e-3})),
        (["optimizer=adamw"], ("AdamW", {"weight_decay": 0.01}), ("AdamW", {"weight_decay": 0.01})),
        (["optimizer=rmsprop"], ("RMSprop", {"lr": 5e-5, "momentum": 0.0}), ("RMSprop", {"lr": 5e-5})),
        (["optimizer=sgd", "optimizer.momentum=0.9"], ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9})),
        (
            [
                "optimizer.discriminator.name=sgd",
                "optimizer.discriminator.lr=0.1",
                "optimizer.discriminator.momentum=0.5",
            ],
            ("SGD", {"lr": 0.1, "momentum": 0.5}),
            ("Adam", {"lr": 2e-3, "betas": (0.5, 0.999)}),
        ),
        (["optimizer.generator.name=rmsprop"], ("Adam", {}), ("RMSprop", {"lr": 2e-3})),
    ],
)
def test_what_is_configured_is_what_steps(words: list[str], discriminator: tuple, generator: tuple) -> None:
    for optimizer, (kind, settings) in zip(
        build_gan(config(*words)).configure_optimizers(), (discriminator, generator), strict=True
    ):
        assert type(optimizer).__name__ == kind
        for key, value in settings.items():
            found = optimizer.param_groups[0][key]
            assert (tuple(found) if isinstance(found, list | tuple) else found) == value


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_descends(name: str) -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    options_ = {"betas": (0.5, 0.9)} if name.startswith("adam") else {}
    optimizer = OPTIMIZERS[name]([weight], lr=0.1, **options_)
    for _ in range(50):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert abs(float(weight.detach())) < 2
