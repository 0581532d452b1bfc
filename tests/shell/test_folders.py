"""The names of run folders."""

import pytest

from dcgan.shell.folders import folder_name, named


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["model=dcgan", "trainer.gpus=1"], "dcgan"),
        (["optimizer.lr=1e-4", "seed=3"], "dcgan_optimizer.lr-1e-4_seed-3"),
        (["resume=x", "data.root=/x", "++trainer.max_steps=5", "name=dcgan", "experiment=a", "logger=csv"], "dcgan"),
        (["optimizer.betas=[0.5,0.9]"], "dcgan_optimizer.betas-0.5-0.9"),
        (["penalty.gamma=1e+30", "optimizer.lr=1e-30"], "dcgan_penalty.gamma-1e30_optimizer.lr-1e-30"),
    ],
)
def test_a_folder_is_named_by_what_was_typed_that_matters(words: list[str], name: str) -> None:
    assert folder_name("dcgan", named(words)) == name


def test_long_names_stay_distinct_and_short() -> None:
    words = [f"model.width={i}" for i in range(40)]
    one, other = folder_name("dcgan", words), folder_name("dcgan", [*words, "seed=1"])
    assert one != other
    assert len(one) == len(other) == 80
