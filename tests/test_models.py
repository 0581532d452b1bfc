import inspect
from dataclasses import fields

import pytest
import torch
from conftest import options
from torch import nn

from dcgan.config.schema import ModelConfig
from dcgan.losses import NonSaturating
from dcgan.models import MODELS
from dcgan.models.base import Discriminator, Generator
from dcgan.models.dcgan import default_depth

SHAPES = [(1, 28), (3, 28), (1, 32), (3, 32), (1, 64), (3, 64), (1, 36)]


def build(name: str, channels: int, resolution: int) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return MODELS[name](width=4, depth=None, latent_dim=10, channels=channels, resolution=resolution)


def test_every_model_has_its_option() -> None:
    assert options("model") == sorted(MODELS)


@pytest.mark.parametrize(("channels", "resolution"), SHAPES)
@pytest.mark.parametrize("name", MODELS)
class TestEveryModelAtEveryShape:
    def test_shapes_and_range(self, name: str, channels: int, resolution: int) -> None:
        generator, discriminator = build(name, channels, resolution)
        images = generator(torch.randn(5, generator.latent_dim))
        assert images.shape == (5, channels, resolution, resolution)
        assert images.abs().max() <= 1
        verdict = discriminator(images)
        assert verdict.logits.shape == (5,)
        assert verdict.classes is None

    def test_gradients_reach_every_parameter(self, name: str, channels: int, resolution: int) -> None:
        generator, discriminator = build(name, channels, resolution)
        fake = generator(torch.randn(8, generator.latent_dim))
        NonSaturating().generator(real=torch.empty(0), fake=discriminator(fake).logits).backward()
        for network in (generator, discriminator):
            for key, parameter in network.named_parameters():
                assert parameter.grad is not None, key
                assert parameter.grad.abs().sum() > 0, key

    def test_in_eval_mode_an_image_does_not_depend_on_its_batch(
        self, name: str, channels: int, resolution: int
    ) -> None:
        generator, discriminator = build(name, channels, resolution)
        generator.eval(), discriminator.eval()
        latents = torch.randn(6, generator.latent_dim)
        images = generator(latents)
        torch.testing.assert_close(generator(latents[2:3])[0], images[2], rtol=1e-4, atol=1e-6)
        alone, together = discriminator(images[2:3]).logits[0], discriminator(images).logits[2]
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-6)


def test_dcgan_is_built_as_described() -> None:
    generator, discriminator = MODELS["dcgan"](width=64, depth=None, latent_dim=100, channels=1, resolution=28)
    kinds = [type(layer).__name__ for layer in generator.body]
    assert kinds == [
        *("Linear", "BatchNorm1d", "ReLU", "Unflatten"),
        *("ConvTranspose2d", "BatchNorm2d", "ReLU", "ConvTranspose2d", "Tanh"),
    ]
    kinds = [type(layer).__name__ for layer in discriminator.body]
    assert kinds == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Flatten", "Linear"]
    convolutions = [layer for layer in discriminator.body if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128]
    for layer in (*generator.body, *discriminator.body):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(("resolution", "depth"), [(28, 2), (32, 3), (64, 4), (36, 2), (48, 3), (4, 2)])
def test_depth_follows_from_the_resolution(resolution: int, depth: int) -> None:
    assert default_depth(resolution) == depth


def test_a_depth_that_the_resolution_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.resolution=28: with model.depth=3 it must be a multiple of 8"):
        MODELS["dcgan"](width=4, depth=3, latent_dim=10, channels=1, resolution=28)


@pytest.mark.parametrize("name", MODELS)
def test_every_key_of_the_group_reaches_the_model(name: str) -> None:
    given = {field.name for field in fields(ModelConfig)} - {"name"}
    assert given | {"channels", "resolution"} == set(inspect.signature(MODELS[name]).parameters)
