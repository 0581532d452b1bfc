import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic import write_generators
from torch import Tensor

from dcgan.runs.load import load_generator
from dcgan.sharing.interpolate import Route, Stop, legs, slerp, stops_of


def test_the_great_circle_keeps_the_length_and_turns_evenly() -> None:
    start, end = torch.tensor([3.0, 0.0, 4.0]), torch.tensor([0.0, 5.0, 0.0])  # both of length 5, a right angle
    for share in (0.0, 0.25, 0.5, 0.9):
        point = slerp(start, end, share)
        assert float(point.norm()) == pytest.approx(5)
        assert float(point @ start) == pytest.approx(25 * math.cos(share * math.pi / 2), abs=1e-5)
    assert torch.equal(slerp(start, end, 0.0), start)
    assert torch.equal(slerp(start, start, 0.3), start)
    longer = slerp(start, 2 * end, 0.5)  # White 2016: each end by its own length
    assert float(longer.norm()) == pytest.approx(math.hypot(5, 10) * math.sin(math.pi / 4))


@pytest.mark.parametrize("conditioning", ["norm", "concat", None])
@pytest.mark.parametrize("path", ["spherical", "linear"])
def test_every_stop_is_the_plain_sample(conditioning: str | None, path: str, workdir: Path, command: Any) -> None:
    words = [] if conditioning is None else ["model.conditional=true", f"model.generator.conditioning={conditioning}"]
    write_generators(Path("run"), *words)
    labels = [] if conditioning is None else ["label=[7,2,5]"]
    asked = ["run=run", "checkpoint=last", "mode=interpolate", "seed=[3,4,5]", f"path={path}", "n=4", *labels]
    drawn = command("generate", *asked, "format=npz", "out=a")
    assert drawn.code == 0, drawn.err
    images = np.load("a.npz")["images"]
    assert len(images) == 9
    generator = load_generator("run", checkpoint="last")
    for i, (seed, label) in enumerate([(3, 7), (4, 2), (5, 5)]):
        own = generator.sample(n=1, seed=seed, labels=None if conditioning is None else torch.tensor([label]))
        assert np.array_equal(images[4 * i], own[0, 0].numpy())
    closed = command("generate", *asked, "format=gif", "loop=true", "out=a")
    assert closed.code == 0, closed.err
    with Image.open("a.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (12, (224, 224), 0)
        assert np.array_equal(np.asarray(film.convert("L"))[::8, ::8], images[0])


def test_a_closed_way_ends_one_step_before_its_beginning() -> None:
    corners = [torch.tensor(point) for point in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0])]
    route = Route(corners, None, steps=3, way=slerp, loop=True)
    angles = torch.atan2(*route.latents(0, 12).T.flip(0)) % (2 * math.pi)
    assert torch.allclose(angles, torch.arange(12) * math.pi / 6, atol=1e-5)
    assert (len(route), route.labels(0, 1)) == (12, None)
    assert torch.equal(route.latents(5, 8), route.latents(0, 12)[5:8])


def test_classes_are_mixed_evenly() -> None:
    shares = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
    route = Route([torch.zeros(2)] * 2, shares, steps=4, way=torch.lerp, loop=False)
    mixed: Tensor | None = route.labels(0, len(route))
    assert mixed is not None
    assert mixed.tolist() == [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]]


def test_what_a_path_goes_through() -> None:
    assert stops_of([3], None, num_classes=0) == [Stop(3, i, None) for i in range(4)]
    assert stops_of([3], None, num_classes=2) == [Stop(3, i, i % 2) for i in range(4)]
    assert stops_of([3], [1], num_classes=2) == [Stop(3, i, 1) for i in range(4)]
    assert stops_of([3], [1, 0], num_classes=2) == [Stop(3, 0, 1), Stop(3, 0, 0)]
    assert stops_of([3, 4], None, num_classes=2) == [Stop(3, 0, 0), Stop(4, 0, 0)]
    assert stops_of([3, 4], [1, 0], num_classes=2) == [Stop(3, 0, 1), Stop(4, 0, 0)]
    with pytest.raises(ValueError, match="3 seeds and 2 classes; name as many of both, or one of either"):
        stops_of([3, 4, 5], [1, 0], num_classes=2)
    stops = [Stop(3, 0, 1), Stop(4, 0, 0)]
    assert legs(stops, ["ant", "bee"], loop=True) == ["seed 3 to 4, class bee to ant", "seed 4 to 3, class ant to bee"]
