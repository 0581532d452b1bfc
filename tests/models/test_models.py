"""Every model of conf/model at every data shape, conditional or not, and every part they are put together from."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import composed, config, options
from torch import Tensor, nn

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.check import check
from dcgan.config.schema import TrainConfig
from dcgan.models import MODELS, fast
from dcgan.models.base import Discriminator, Generator
from dcgan.models.fast import KERNEL, Down, FromImages, Strided, ToImages, Up, down, from_images, to_images, up
from dcgan.models.layers import MinibatchStddev, default_depth, initialise, upsample
from dcgan.models.norms import ConditionalNorm, norm
from dcgan.models.packing import Packed
from dcgan.training.build import build_networks
from dcgan.training.losses import NonSaturating

SHAPES = [(1, 28), (3, 28), (1, 32), (3, 32), (1, 64), (3, 64), (1, 36)]
LABELS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
VARIANTS = [
    *([f"model.norm={kind}"] for kind in ("batch", "layer", "group", "none")),
    ["model.discriminator.norm=spectral"],
    *([f"model.init={kind}"] for kind in ("default", "normal", "orthogonal", "kaiming")),
    *(["model.conditional=true", f"model.generator.conditioning={kind}"] for kind in ("concat", "norm")),
    *(
        ["model.conditional=true", f"model.discriminator.conditioning={kind}", f"model.discriminator.norm={norm}"]
        for kind in ("projection", "concat", "auxiliary")
        for norm in ("none", "spectral")
    ),
    ["model.discriminator.pack=2"],
    ["model.discriminator.minibatch_stddev=true"],
    ["model.discriminator.dropout=0.3"],
    ["model.discriminator.width=6"],
]
SAMPLING = [["model.upsample=transposed"], ["model.upsample=nearest"], ["model.upsample=pixel_shuffle"]]
OF_ONE = [
    *(("dcgan", words) for words in [*SAMPLING, ["model.dense_units=12"], ["model.base_convs=2"]]),
    *(("resnet", words) for words in SAMPLING),
    *((name, ["model.conditional=true", "model.generator.conditioning=norm", f"model.norm={kind}"])
      for name in options("model") for kind in ("layer", "group")),
]  # fmt: skip


def build(name: str, *words: str, channels: int = 1, resolution: int = 28) -> tuple[Generator, Discriminator]:
    shape = [f"data.channels={channels}", f"data.resolution={resolution}"]
    width = "model.width=8" if "model.norm=group" in words else "model.width=4"
    return build_networks(config(f"model={name}", width, "model.latent_dim=10", *shape, *words))


@pytest.mark.parametrize("name", options("model"))
def test_a_discriminator_may_have_a_width_of_its_own(name: str) -> None:
    """And has the generator's where it is not given one, also in what an earlier version wrote."""

    def sizes(*words: str) -> tuple[int, ...]:
        return tuple(sum(one.numel() for one in network.parameters()) for network in build(name, *words))

    (small, judge), (wide, wide_judge) = sizes(), sizes("model.width=8")
    assert sizes("model.discriminator.width=8") == (small, wide_judge)
    assert sizes("model.width=8", "model.discriminator.width=4") == (wide, judge)
    assert sizes("model.discriminator.width=null") == (small, judge) != (wide, wide_judge)


def latents(generator: Generator, n: int = 8) -> tuple[Tensor, Tensor | None]:
    noise = torch.randn(n, generator.latent_dim, generator=torch.Generator().manual_seed(1))
    return noise, LABELS[:n] if generator.num_classes else None


def assert_draws_and_judges(generator: Generator, discriminator: Discriminator, channels: int, resolution: int) -> None:
    noise, labels = latents(generator)
    images = generator(noise, labels)
    assert images.shape == (8, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert images.std() > 0
    verdict = discriminator(images, labels)
    assert verdict.logits.shape == (8 // getattr(discriminator, "pack", 1),)
    if verdict.class_logits is not None:
        assert verdict.class_logits.shape == (8, generator.num_classes)


def assert_gradients_reach_everything(generator: Generator, discriminator: Discriminator) -> None:
    with torch.no_grad():  # some layers begin at 0, on purpose
        for network in (generator, discriminator):
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    noise, labels = latents(generator)
    verdict = discriminator(generator(noise, labels), labels)
    loss = NonSaturating().generator(real=torch.empty(0), fake=verdict.logits)
    if verdict.class_logits is not None:
        loss = loss + nn.functional.cross_entropy(verdict.class_logits, LABELS)
    loss.backward()
    for network in (generator, discriminator):
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.abs().sum() > 0, key


def assert_an_image_does_not_depend_on_its_batch(generator: Generator, discriminator: Discriminator | None) -> None:
    generator.eval()
    noise, labels = latents(generator)
    images = generator(noise, labels)
    third = None if labels is None else labels[2:3]
    torch.testing.assert_close(generator(noise[2:3], third)[0], images[2], rtol=1e-4, atol=1e-6)
    if discriminator is not None:
        discriminator.eval()
        alone, together = discriminator(images[2:3], third).logits[0], discriminator(images, labels).logits[2]
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-6)


def assert_labels_matter(generator: Generator, discriminator: Discriminator) -> None:
    for network in (generator, discriminator):
        network.eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    noise, labels = latents(generator)
    assert labels is not None
    images = generator(noise, labels)
    assert not torch.equal(images, generator(noise, (labels + 1) % 10))
    one, other = discriminator(images, labels), discriminator(images, (labels + 1) % 10)
    assert (one.class_logits is not None) == torch.equal(
        one.logits, other.logits
    )  # an auxiliary classifier asks for none


def test_every_model_has_its_option() -> None:
    assert options("model") == sorted(MODELS)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("channels", "resolution"), SHAPES)
@pytest.mark.parametrize("name", options("model"))
class TestEveryModelAtEveryShape:
    def test_shapes_and_range(self, name: str, channels: int, resolution: int, conditional: bool) -> None:
        pair = build(name, f"model.conditional={conditional}", channels=channels, resolution=resolution)
        assert pair[0].num_classes == (10 if conditional else 0)
        assert_draws_and_judges(*pair, channels, resolution)

    def test_gradients_reach_every_parameter(
        self, name: str, channels: int, resolution: int, conditional: bool
    ) -> None:
        words = f"model.conditional={conditional}"
        assert_gradients_reach_everything(*build(name, words, channels=channels, resolution=resolution))

    def test_in_eval_mode_an_image_does_not_depend_on_its_batch(
        self, name: str, channels: int, resolution: int, conditional: bool
    ) -> None:
        words = f"model.conditional={conditional}"
        assert_an_image_does_not_depend_on_its_batch(*build(name, words, channels=channels, resolution=resolution))


@pytest.mark.parametrize(
    ("name", "words"), [*((name, words) for name in options("model") for words in VARIANTS), *OF_ONE], ids=str
)
def test_every_variant(name: str, words: list[str]) -> None:
    assert_draws_and_judges(*build(name, *words), 1, 28)
    assert_gradients_reach_everything(*build(name, *words))
    generator, discriminator = build(name, *words)
    mixes = any("pack" in word or "minibatch" in word for word in words)  # what these are for
    assert_an_image_does_not_depend_on_its_batch(generator, None if mixes else discriminator)
    if "model.conditional=true" in words:
        assert_labels_matter(*build(name, *words))


def test_dcgan_is_built_as_described() -> None:
    generator, discriminator = build_networks(check(composed("experiment=dcgan"), TrainConfig))
    kinds = [type(layer).__name__ for layer in generator.body]
    assert kinds == [
        *("Linear", "BatchNorm1d", "ReLU", "Unflatten"),
        *("Up", "BatchNorm2d", "ReLU", "ToImages", "Tanh"),
    ]
    kinds = [type(layer).__name__ for layer in discriminator.body]
    assert kinds == ["FromImages", "LeakyReLU", "Down", "BatchNorm2d", "LeakyReLU", "Flatten"]
    convolutions = [layer for layer in discriminator.body if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128]
    for layer in (*generator.body, *discriminator.body):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_infogan_lucic_is_the_network_of_the_paper() -> None:
    """Chen et al. 2016, table 1: 1024, 7 x 7 x 128, 64 against 64, 128, 1024, all with batch norm but the first."""
    generator, discriminator = build_networks(check(composed("experiment=infogan_lucic"), TrainConfig))

    def shapes(network: nn.Module) -> list[tuple[int, ...]]:
        kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
        return [tuple(layer.weight.shape) for layer in network.modules() if isinstance(layer, kinds)]

    assert shapes(generator) == [(1024, 64), (7 * 7 * 128, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]
    assert shapes(discriminator) == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 7 * 7 * 128), (1, 1024)]


@pytest.mark.parametrize(("resolution", "depth"), [(28, 2), (32, 3), (64, 4), (36, 2), (48, 3), (4, 2)])
def test_depth_follows_from_the_resolution(resolution: int, depth: int) -> None:
    assert default_depth(resolution) == depth


@pytest.mark.parametrize("name", ["dcgan", "resnet"])
def test_a_depth_that_the_resolution_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"model.depth=3: data.resolution=28 cannot be halved so often"):
        build(name, "model.depth=3")


# --- parts


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("dense", [False, True])
def test_conditional_normalisation_starts_as_the_plain_one(kind: str, dense: bool) -> None:
    features = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    features = features if dense else features[:, :, None, None] * torch.rand(8, 16, 5, 5)
    (plain,), (conditional,) = norm(kind, 16, dense=dense), norm(kind, 16, dense=dense, num_classes=10)
    assert isinstance(conditional, ConditionalNorm)
    torch.testing.assert_close(conditional(features, LABELS), plain(features))
    with torch.no_grad():
        conditional.gain.weight[1] = 2
        conditional.bias.weight[1] = 3
    changed, before = conditional(features, LABELS), plain(features)
    torch.testing.assert_close(changed[LABELS == 1], 2 * before[LABELS == 1] + 3)
    torch.testing.assert_close(changed[LABELS != 1], before[LABELS != 1])


def test_a_group_never_normalises_its_few_values_away() -> None:
    for channels in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 100):
        (layer,) = norm("group", channels, dense=True)
        assert isinstance(layer, nn.GroupNorm)
        assert layer.num_groups == 1 or channels // layer.num_groups >= 4
    assert norm("group", 64)[0].num_groups == 8


@pytest.mark.parametrize("kind", ["transposed", "nearest", "pixel_shuffle"])
def test_upsampling_doubles_the_resolution(kind: str) -> None:
    layers = nn.Sequential(*upsample(kind, 6, 4, bias=False, fast=True))
    assert layers(torch.randn(2, 6, 7, 7)).shape == (2, 4, 14, 14)
    assert all(not name.endswith("bias") for name, _ in layers.named_parameters())


def test_initialisations_are_what_they_are_called() -> None:
    def drawn(kind: str) -> Tensor:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(16, 64, 3), nn.Linear(4, 4))
        initialise(network, kind)
        assert kind == "default" or not network[0].bias.any()
        return network[0].weight.detach().flatten(1)

    torch.testing.assert_close(drawn("orthogonal") @ drawn("orthogonal").T, torch.eye(64), atol=1e-5, rtol=0)
    assert drawn("normal").std().item() == pytest.approx(0.02, rel=0.05)
    assert drawn("kaiming").std().item() == pytest.approx((2 / (1 + 0.2**2) / (16 * 9)) ** 0.5, rel=0.05)
    default = drawn("default")
    torch.manual_seed(0)
    assert torch.equal(default, nn.Conv2d(16, 64, 3).weight.detach().flatten(1))


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(64, 48, 4, 2, 1), nn.ConvTranspose2d(64, 48, 4, 2, 1), nn.ConvTranspose2d(64, 1, 4, 2, 1)],
    ids=str,
)
def test_kaiming_keeps_the_variance_through_leaky_relu(layer: nn.Module) -> None:
    torch.manual_seed(0)
    initialise(layer, "kaiming")
    inside = nn.functional.leaky_relu(layer(torch.randn(32, 64, 8, 8)), 0.2).square()[:, :, 1:-1, 1:-1]
    assert inside.mean().item() == pytest.approx(1, rel=0.15)


def test_the_r3gan_recipe_starts_calmly() -> None:
    generator, discriminator = build_networks(check(composed("experiment=r3gan"), TrainConfig))
    images = generator(torch.randn(64, generator.latent_dim, generator=torch.Generator().manual_seed(0)))
    assert (images.abs() > 0.99).float().mean() < 0.05
    assert discriminator(images).logits.abs().max() < 5


@pytest.mark.parametrize("name", options("model"))
def test_spectral_normalisation_bounds_every_weight_matrix(name: str) -> None:
    words = ["model.discriminator.norm=spectral", "model.conditional=true"]
    _, discriminator = build(name, *words)
    for _ in range(30):
        discriminator(torch.rand(8, 1, 28, 28), LABELS)
    parts = [*discriminator.body.modules(), *discriminator.head.modules()]
    layers = [layer for layer in parts if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) > 3
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert largest.item() == pytest.approx(1, rel=0.05)


def test_residual_blocks_without_norm_start_as_their_shortcut() -> None:
    generator, discriminator = build("resnet", "model.norm=none", "model.discriminator.norm=none")
    features = torch.randn(2, 4, 7, 7)
    block = generator.blocks[0]
    torch.testing.assert_close(block(features, None), block.shortcut(features))
    torch.testing.assert_close(discriminator.body[1](features), discriminator.body[1].shortcut(features))
    assert not any("norm" in type(layer).__name__.lower() for layer in discriminator.modules())


def test_a_pack_is_images_side_by_side_as_channels() -> None:
    class Recording(Discriminator):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return images

    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    packs = Packed(Recording(), 2)(images)
    assert packs.shape == (2, 6, 2, 2)
    assert packs[:, :, 0, 0].tolist() == [[0, 0, 0, 1, 1, 1], [2, 2, 2, 3, 3, 3]]


def test_minibatch_stddev_tells_a_batch_without_variety() -> None:
    varied = torch.randn(16, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    features = MinibatchStddev()(varied)
    assert features.shape == (16, 4, 5, 5)
    assert torch.equal(features[:, :3], varied)
    assert features[:, 3].unique().item() == pytest.approx(varied.std(0, unbiased=False).mean().item(), rel=1e-5)
    assert MinibatchStddev()(varied[:1].expand(16, -1, -1, -1))[:, 3].max() < 1e-3


# --- what reaches a model


def test_labels_are_needed_for_a_conditional_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "mnist", replace(CATALOGUE["mnist"], num_classes=0))
    with pytest.raises(ValueError, match="model.conditional=true: data=mnist has no labels; leave it false"):
        config("model.conditional=true")


def test_an_unconditional_model_has_no_more_weights_than_before() -> None:
    names = {name for network in build("dcgan") for name, _ in network.named_parameters()}
    assert not any("embedding" in name or "classes" in name for name in names)


@pytest.mark.parametrize("channels", [1, 2, 3])  # 2: an image and its label's plane
@pytest.mark.parametrize("make", [from_images, to_images])
def test_fast_ends_compute_the_same_function_and_derivatives_as_the_stock_convolutions(
    make: Any, channels: int
) -> None:
    sizes = (channels, 6) if make is from_images else (6, channels)
    layers = [make(*sizes, fast=on).double() for on in (True, False)]
    assert [type(layer) for layer in layers] == (
        [FromImages, nn.Conv2d] if make is from_images else [ToImages, nn.ConvTranspose2d]
    )
    layers[1].load_state_dict(layers[0].state_dict())
    found = []
    inputs = torch.randn(5, sizes[0], 12, 8).double()
    for layer in layers:
        x = inputs.clone().requires_grad_()
        outputs = layer(x)
        first = torch.autograd.grad(outputs.pow(3).sum(), [x, *layer.parameters()], create_graph=True)
        second = torch.autograd.grad(first[0].pow(2).sum(), [x, *layer.parameters()])  # as of a gradient penalty
        alone = torch.autograd.grad(layer(inputs).pow(3).sum(), list(layer.parameters()))  # as in D's own turn
        found.append([outputs, *first, *second, *alone])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


FAST = (FromImages, ToImages, Down, Up, fast.Flatten)


def ends_and_their_gradients(layout: torch.memory_format, *, on: bool, bfloat16: bool) -> list[Tensor]:
    generator, discriminator = build_networks(config("model.width=16", f"fast={on}"))
    layers = [layer for network in (generator, discriminator) for layer in network.modules()]
    assert len([layer for layer in layers if isinstance(layer, FAST)]) == (5 if on else 0)
    for network in (generator, discriminator):
        network.to(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        images = generator(latents(generator)[0])
        logits = discriminator(images).logits.float()
    logits.sum().backward()
    return [images.detach().float(), logits.detach(), generator.body[-2].weight.grad, discriminator.body[0].weight.grad]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fast_ends_are_as_exact_as_the_stock_ones_in_both_layouts(layout: torch.memory_format) -> None:
    plain = ends_and_their_gradients(layout, on=False, bfloat16=False)
    for one, other in zip(ends_and_their_gradients(layout, on=True, bfloat16=False), plain, strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-4
    errors = [
        [float((one - other).norm() / other.norm()) for one, other in zip(found, plain, strict=True)]
        for found in (ends_and_their_gradients(layout, on=on, bfloat16=True) for on in (True, False))
    ]
    for quick, stock in zip(*errors, strict=True):
        assert quick < 1.5 * stock


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On a processor without AMX, where ``weight_gradient`` pays."""
    monkeypatch.setattr(fast, "AMX", False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", [Down, Up])
@pytest.mark.parametrize("shape", [(5, 6, 4), (3, 2, 10)])
def test_fast_gradients_are_those_of_the_stock_convolution(kind: Any, shape: tuple[int, ...]) -> None:
    """Those of the gradients, too: a gradient penalty needs them."""
    layer = kind(3, 4, **KERNEL).double()
    n, height, width = shape
    inputs = torch.randn(n, 3, height, width).double()
    found = []
    for forward in (layer, lambda x: Strided.apply(x, layer.weight, layer.bias, kind is Up)):
        x = inputs.clone().requires_grad_()
        outputs = forward(x)
        first = torch.autograd.grad(outputs.pow(3).sum(), [x, *layer.parameters()], create_graph=True)
        second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), [x, *layer.parameters()])
        alone = torch.autograd.grad(forward(inputs).pow(3).sum(), list(layer.parameters()))  # as in D's own turn
        found.append([outputs, *first, *second, *alone])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("make", [down, up])
def test_fast_gradients_are_as_exact_as_the_stock_ones_in_bfloat16(make: Any, bias: bool, two_threads: None) -> None:
    layers = {on: make(8, 16, bias=bias, fast=on) for on in (True, False)}
    layers[False].load_state_dict(layers[True].state_dict())
    inputs = torch.randn(32, 8, 14, 14).to(memory_format=torch.channels_last)

    def gradients(*, on: bool, bfloat16: bool) -> list[Tensor]:
        layer = layers[on]
        x = inputs.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = layer(x)
        assert (type(outputs.grad_fn).__name__ == "StridedBackward") == (on and bfloat16)
        return [outputs.detach(), *torch.autograd.grad(outputs.float().pow(2).sum(), [x, *layer.parameters()])]

    plain = gradients(on=False, bfloat16=False)
    assert all(torch.equal(*pair) for pair in zip(gradients(on=True, bfloat16=False), plain, strict=True))
    errors = [
        [float((one - other).norm() / other.norm()) for one, other in zip(found, plain, strict=True)]
        for found in (gradients(on=on, bfloat16=True) for on in (True, False))
    ]
    for quick, stock in zip(*errors, strict=True):
        assert 0 < quick < 1.5 * stock < 0.02


@pytest.mark.parametrize(("amx", "threads", "swapped"), [(False, 2, True), (True, 2, False), (False, 1, False)])
def test_gradients_are_fast_where_that_pays(
    amx: bool, threads: int, swapped: bool, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "AMX", amx)
    torch.set_num_threads(threads)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = Down(3, 4, **KERNEL)(torch.randn(2, 3, 4, 4))
    assert (type(outputs.grad_fn).__name__ == "StridedBackward") == swapped
