import pytest
import torch
from torch import nn

from dcgan.training.ema import EMA


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(("batch", "decay"), [(64, 0.99557), (128, 0.99117), (256, 0.98241)])
def test_half_life_of_ten_thousand_images(batch: int, decay: float) -> None:
    assert EMA(make(), half_life=10).decay(batch) == pytest.approx(decay, abs=5e-6)


def test_parameters_are_averaged_and_buffers_copied() -> None:
    network = make()
    ema = EMA(network, half_life=0.1)
    expected = {name: value.clone() for name, value in network.named_parameters()}
    for step in range(5):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(8, 3) + step)  # moves the running statistics
        ema.update(network, num_images=50)
        for name, value in network.named_parameters():
            expected[name] = expected[name] * 0.5**0.5 + value.detach() * (1 - 0.5**0.5)
    for name, average in ema.generator.named_parameters():
        torch.testing.assert_close(average, expected[name])
    for average, latest in zip(ema.generator.buffers(), network.buffers(), strict=True):
        assert torch.equal(average, latest)


def test_zero_half_life_keeps_the_latest_weights() -> None:
    network = make()
    ema = EMA(network, half_life=0)
    nn.init.ones_(network[0].weight)
    ema.update(network, num_images=1)
    assert torch.equal(ema.generator[0].weight, network[0].weight)


def test_the_average_stays_in_evaluation_mode_and_takes_no_gradients() -> None:
    ema = EMA(make(), half_life=1)
    ema.train()
    assert not any(module.training for module in ema.modules())
    assert not any(parameter.requires_grad for parameter in ema.parameters())
