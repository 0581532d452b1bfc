import pytest
import torch
from torch import Tensor, nn

from dcgan.models.base import Generator
from dcgan.models.norms import ConditionalNorm
from dcgan.training import ema as module
from dcgan.training.ema import EMA


class Normed(Generator):
    """A dense layer, batch norm, and with labels a gain for each class before another."""

    def __init__(self, *, num_classes: int = 0) -> None:
        super().__init__(latent_dim=3, num_classes=num_classes)
        self.dense, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3)
        self.of_class = ConditionalNorm(nn.BatchNorm1d(4, affine=False), 4, num_classes) if num_classes else None
        self.last = nn.BatchNorm1d(4)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        features: Tensor = self.norm(self.dense(latents))
        if self.of_class is not None:
            assert labels is not None
            features = self.of_class(features, labels)
        return self.last(features)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("batch", "decay"), [(64, 0.99557), (128, 0.99117), (256, 0.98241)])
def test_half_life_of_ten_thousand_images(batch: int, decay: float) -> None:
    assert EMA(Normed(), half_life=10, seed=0).decay(batch) == pytest.approx(decay, abs=5e-6)


def test_parameters_are_averaged() -> None:
    network = Normed()
    ema = EMA(network, half_life=0.1, seed=0)
    expected = {name: value.clone() for name, value in network.named_parameters()}
    for _ in range(5):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update(network, num_images=50)
        for name, value in network.named_parameters():
            expected[name] = expected[name] * 0.5**0.5 + value.detach() * (1 - 0.5**0.5)
    for name, average in ema.generator.named_parameters():
        torch.testing.assert_close(average, expected[name])


def test_the_average_is_given_the_statistics_of_its_own_weights() -> None:
    """Of standard normal noise a dense layer has the mean b and the variance |w|^2; the live network's are others."""
    torch.manual_seed(0)
    network = Normed()
    ema = EMA(network, half_life=1, seed=0)
    nn.init.normal_(network.dense.weight, std=3)
    network(torch.randn(64, 3) + 5)
    ema.update(network, num_images=1000)
    fitted, dense = ema.fitted(), ema.generator.dense
    assert not torch.allclose(dense.weight, network.dense.weight, atol=0.1)
    torch.testing.assert_close(fitted.norm.running_mean, dense.bias, atol=0.1, rtol=0)
    torch.testing.assert_close(fitted.norm.running_var, dense.weight.square().sum(1), atol=0, rtol=0.05)
    assert not torch.allclose(fitted.norm.running_mean, network.norm.running_mean, atol=0.5)
    assert fitted.norm.momentum == 0.3
    assert not any(layer.training for layer in fitted.modules())


def test_statistics_are_those_of_even_labels() -> None:
    """Class 0 has the mean 0, class 1 has 6: over both 3, and 1 + 9 for the variance."""
    network = Normed(num_classes=2)
    assert network.of_class is not None
    nn.init.constant_(network.of_class.bias.weight[1], 6.0)
    fitted = EMA(network, half_life=1, seed=0).fitted()
    torch.testing.assert_close(fitted.last.running_mean, torch.full((4,), 3.0), atol=0.1, rtol=0)
    torch.testing.assert_close(fitted.last.running_var, torch.full((4,), 10.0), atol=0, rtol=0.05)


def test_statistics_follow_from_weights_and_seed_alone() -> None:
    network = Normed()
    one, two, other = (EMA(network, half_life=1, seed=seed) for seed in (3, 3, 4))
    state = torch.get_rng_state()
    one.fitted()
    two.generator.norm.running_mean.fill_(9)
    assert all(map(torch.equal, one.generator.buffers(), two.fitted().buffers()))
    assert not torch.equal(other.fitted().norm.running_mean, two.generator.norm.running_mean)
    assert torch.equal(torch.get_rng_state(), state)


def test_statistics_are_estimated_once_for_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(module, "fit_statistics", lambda generator, *, seed: calls.append(seed))
    network = Normed()
    ema = EMA(network, half_life=1, seed=5)
    ema.fitted()
    ema.fitted()
    ema.update(network, num_images=1)
    ema.fitted()
    assert calls == [5, 5]


def test_zero_half_life_keeps_the_latest_weights() -> None:
    network = Normed()
    ema = EMA(network, half_life=0, seed=0)
    nn.init.ones_(network.dense.weight)
    ema.update(network, num_images=1)
    assert torch.equal(ema.generator.dense.weight, network.dense.weight)


def test_the_average_stays_in_evaluation_mode_and_takes_no_gradients() -> None:
    ema = EMA(Normed(), half_life=1, seed=0)
    ema.train()
    assert not any(module.training for module in ema.modules())
    assert not any(parameter.requires_grad for parameter in ema.parameters())
