from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed
from scipy import stats
from synthetic import write_generators

from dcgan.config.check import check
from dcgan.config.schema import GenerateConfig
from dcgan.data.latents import sample_latents
from dcgan.runs.load import load
from dcgan.sharing.draw import Drawing, drawing, in_proportion

CONDITIONAL = "model.conditional=true"


def asked(run: Path, *words: str) -> tuple[Drawing, Any]:
    loaded = load(run, checkpoint="last", device="cpu")
    config = check(composed(f"run={run}", *words, entry="generate"), GenerateConfig)
    return drawing(config, loaded.generator, loaded.config), loaded.generator


def test_a_sample_is_the_same_whatever_is_drawn_beside_it(tmp_path: Path) -> None:
    run = write_generators(tmp_path / "run", CONDITIONAL)
    rows, generator = asked(run, "seed=[3,4]", "label=[7,2]", "n=5")
    assert (len(rows), rows.columns) == (20, 5)
    assert list(rows.names) == ["seed 3, class 7", "seed 3, class 2", "seed 4, class 7", "seed 4, class 2"]
    assert rows.labels(0, 20).tolist() == ([7] * 5 + [2] * 5) * 2
    whole = rows.images(generator)
    assert torch.equal(whole[15:], generator.sample(n=5, seed=4, labels=torch.full((5,), 2)))
    assert torch.equal(rows.latents(3, 17), rows.latents(0, 20)[3:17])
    plain, _ = asked(run, "seed=3", "n=12")
    assert torch.equal(plain.images(generator), generator.sample(n=12, seed=3))
    everything, _ = asked(run, "label=all", "n=2")
    assert everything.labels(0, 20).tolist() == [label for label in range(10) for _ in range(2)]
    text, _ = asked(run, "text=2026", "n=2")
    assert (text.labels(0, 8).tolist(), text.columns) == ([2, 0, 2, 6] * 2, 4)
    assert torch.equal(text.latents(0, 8), sample_latents(seed=0, n=8, latent_dim=generator.latent_dim))


def test_truncated_latents_are_the_same_where_they_were_near_and_truncated_normal_all_together() -> None:
    plain, near = (sample_latents(seed=3, n=500, latent_dim=100, truncation=t) for t in (None, 0.7))
    inside = plain.abs() <= 0.7
    assert torch.equal(plain[inside], near[inside])
    assert near.abs().max() <= 0.7
    assert torch.equal(near[17:19], sample_latents(seed=3, n=2, first=17, latent_dim=100, truncation=0.7))
    again = near[~inside].numpy()
    assert stats.kstest(again, stats.truncnorm(-0.7, 0.7).cdf).pvalue > 0.001
    assert torch.equal(plain, sample_latents(seed=3, n=500, latent_dim=100, truncation=9.0))


def test_classes_come_as_often_as_their_shares_say_at_any_number() -> None:
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    label_of = in_proportion(shares.tolist())
    labels = label_of(np.arange(10_000))
    for n in (20, 100, 1000, 10_000):
        assert np.abs(np.bincount(labels[:n], minlength=4) - n * shares).max() < 4
    assert label_of(np.array([9_999])) == labels[9_999]


@pytest.mark.parametrize(
    ("classes", "word", "expected"),
    [
        (["ant", "bee"], "label=bee", [1]),
        (["ant", "bee"], "label=1", [1]),
        (["ant", "bee"], "label=[bee,ant]", [1, 0]),
        (["3", "8"], "label=8", [1]),
        (["3", "8"], "label=1", "label=1: must be one of 3, 8"),
        (["ant", "bee"], "label=cat", "label=cat: must be one of ant, bee"),
        (["ant", "bee"], "label=2", "label=2: must be one of ant, bee"),
        (["a", "b"], "text=abba", [0, 1, 1, 0]),
        (["a", "b"], "text=cab", "text=cab: no class is called 'c'; a letter must be one of a, b"),
        ([], "label=10", "label=10: must be from 0 to 9"),
        ([], "label=-1", "label=-1: must be from 0 to 9"),
        ([], "text=19x", "text=19x: no class is called 'x'; a letter must be from 0 to 9"),
        (None, "label=all", "label=all: this model takes no labels; leave it null, or train a conditional one"),
        (None, "text=1", "text=1: this model takes no labels; leave it null, or train a conditional one"),
        (None, "labels=data", "labels=data: this model takes no labels; leave it even, or train a conditional one"),
    ],
)
def test_classes_by_name_and_number(tmp_path: Path, classes: Any, word: str, expected: Any) -> None:
    own = ["data=folder", "data.folder=mine", "data.resolution=28", "data.channels=1"] if classes else []
    words = [] if classes is None else [CONDITIONAL, "samples.n=10", *own]
    run = write_generators(tmp_path / "run", *words, classes=classes or ())
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=r"^") as error:
            asked(run, word)
        assert str(error.value) == expected
        return
    found, _ = asked(run, word, "n=1")
    assert found.labels(0, len(found)).tolist() == expected
