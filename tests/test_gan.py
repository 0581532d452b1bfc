"""The alternation, with networks that record who was called and stepped."""

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import config
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from dcgan.build import build_gan
from dcgan.ema import EMA
from dcgan.gan import GAN, class_of_samples, frozen
from dcgan.latents import Draws, random_stream
from dcgan.losses import NonSaturating, Wasserstein
from dcgan.models.base import Discriminator, Generator, Verdict
from dcgan.models.encoder import Encoder
from dcgan.objective import Objective
from dcgan.runs import quiet_lightning

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Recorder:
    """Every optimiser step, with both networks before and after it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.gan: GAN | None = None

    def state(self) -> dict[str, Any]:
        assert self.gan is not None
        networks = {"generator": self.gan.generator, "discriminator": self.gan.discriminator}
        return {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}

    def optimizer(self, name: str, parameters: Iterator[nn.Parameter]) -> Optimizer:
        optimizer = torch.optim.Adam(parameters, lr=1e-2, betas=(0.5, 0.999))
        before: list[dict[str, Any]] = []
        optimizer.register_step_pre_hook(lambda *_: before.append(self.state()))
        optimizer.register_step_post_hook(lambda *_: self.events.append((name, before.pop(), self.state())))
        return optimizer


class TinyGenerator(Generator):
    def __init__(self) -> None:
        super().__init__(latent_dim=3)
        self.body = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)))
        self.given: list[Tensor] = []

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        self.given.append(latents.detach().clone())
        return self.body(latents)


class TinyDiscriminator(Discriminator):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
        self.seen: list[Tensor] = []

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.flatten(1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        self.seen.append(images.detach().clone())
        return Verdict(self.body(images).squeeze(1), features=self.features(images))


class Relativistic(NonSaturating):
    relativistic = True

    def generator(self, *, real: Tensor, fake: Tensor) -> Tensor:
        self.real_logits = real
        return super().generator(real=real, fake=fake)


def make_gan(
    recorder: Recorder,
    *,
    d_steps: int = 1,
    loss: Any = None,
    half_life: float = 0.1,
    weight_clip: float | None = None,
    objective: Objective | None = None,
    **more: Any,
) -> GAN:
    torch.manual_seed(0)
    gan = GAN(
        TinyGenerator(),
        TinyDiscriminator(),
        objective=objective or Objective(loss or NonSaturating()),
        generator_optimizer=partial(recorder.optimizer, "generator"),
        discriminator_optimizer=partial(recorder.optimizer, "discriminator"),
        seed=5,
        d_steps=d_steps,
        ema_half_life=half_life,
        channels_last=False,
        weight_clip=weight_clip,
        **more,
    )
    recorder.gan = gan
    return gan


def fit(gan: GAN, folder: Path, *, steps: int, batch: int = 6, data: Any = None, **arguments: Any) -> Trainer:
    quiet_lightning()
    own = torch.Generator().manual_seed(0)
    images = torch.randn(100, batch * gan.d_steps, 1, 4, 4, generator=own).clamp(-1, 1)
    data = data or DataLoader([(batch, torch.zeros(len(batch))) for batch in images], batch_size=None)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **arguments,
    )
    trainer.fit(gan, data)
    return trainer


@pytest.mark.parametrize("d_steps", [1, 2, 5])
def test_each_step_is_d_steps_of_the_discriminator_then_one_of_the_generator(d_steps: int, tmp_path: Path) -> None:
    recorder = Recorder()
    trainer = fit(make_gan(recorder, d_steps=d_steps), tmp_path, steps=7)
    assert trainer.global_step == 7
    assert [name for name, _, _ in recorder.events] == (["discriminator"] * d_steps + ["generator"]) * 7


@pytest.mark.parametrize("d_steps", [1, 3])
def test_an_update_leaves_the_other_network_bit_identical(d_steps: int, tmp_path: Path) -> None:
    recorder = Recorder()
    fit(make_gan(recorder, d_steps=d_steps), tmp_path, steps=4)
    previous = None
    for name, before, after in recorder.events:
        other = "generator" if name == "discriminator" else "discriminator"
        assert all(map(torch.equal, before[other], after[other]))
        assert not all(map(torch.equal, before[name], after[name]))
        if previous:  # and nothing moves between two steps either
            assert all(map(torch.equal, previous[name], before[name]))
            assert all(map(torch.equal, previous[other], before[other]))
        previous = after


def test_the_discriminator_sees_fresh_reals_and_the_generators_own_fakes(tmp_path: Path) -> None:
    gan = make_gan(Recorder(), d_steps=2)
    fit(gan, tmp_path, steps=1)
    real1, fake1, real2, fake2, generators = gan.discriminator.seen
    assert all(len(images) == 6 for images in gan.discriminator.seen)
    assert not torch.equal(real1, real2)
    assert not torch.equal(fake1, fake2)
    assert torch.equal(fake2, generators)


def test_the_average_follows_its_formula(tmp_path: Path) -> None:
    recorder = Recorder()
    gan = make_gan(recorder, half_life=0.1)
    expected = [p.detach().clone() for p in gan.generator.parameters()]
    fit(gan, tmp_path, steps=5)
    decay = 0.5 ** (6 / 100)
    for name, _, after in recorder.events:
        if name == "generator":
            expected = [e * decay + p * (1 - decay) for e, p in zip(expected, after["generator"], strict=True)]
    for average, value in zip(gan.ema.generator.parameters(), expected, strict=True):
        torch.testing.assert_close(average, value)


def test_the_noise_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    first, second = make_gan(Recorder()), make_gan(Recorder())
    torch.manual_seed(1)  # the global generator must not matter
    fit(first, tmp_path, steps=3)
    torch.manual_seed(2)
    fit(second, tmp_path, steps=2)
    assert len(second.discriminator.seen) == 6
    for one, other in zip(first.discriminator.seen, second.discriminator.seen, strict=False):
        assert torch.equal(one, other)


def with_encoder(recorder: Recorder, **more: Any) -> GAN:
    torch.manual_seed(1)
    objective = Objective(NonSaturating(), reconstruction=1.0, kl=0.01)
    return make_gan(recorder, encoder=Encoder(16, latent_dim=3, share=1 / 3), objective=objective, **more)


@pytest.mark.parametrize("d_steps", [1, 2])
def test_some_latents_are_codes_of_the_real_images_beside_them(d_steps: int, tmp_path: Path) -> None:
    gan, plain = with_encoder(Recorder(), d_steps=d_steps), make_gan(Recorder(), d_steps=d_steps)
    encoder = copy.deepcopy(gan.encoder)
    assert encoder is not None
    fit(gan, tmp_path, steps=1)
    fit(plain, tmp_path, steps=1)
    *_, real, _, _ = gan.discriminator.seen  # of the last update of D; its fakes; the same for G
    latents, noise = gan.generator.given[-1], plain.generator.given[-1]
    coded = torch.tensor([False, False, True, False, False, True])
    assert torch.equal(latents[~coded], noise[~coded])
    assert not torch.isclose(latents[coded], noise[coded]).any()
    codes = encoder(real[coded].flatten(1), coded.nonzero().squeeze(1))
    normals = (latents[coded] - codes.means) / (0.5 * codes.log_variances).exp()
    draws = Draws(random_stream(5, "step", 0), rank=0, world=1, device=torch.device("cpu"))
    torch.testing.assert_close(normals, draws.normal(2, 3))
    for ours, theirs in zip(gan.generator.given[:-1], plain.generator.given[:-1], strict=True):
        assert torch.equal(ours, theirs)  # updates of D alone: all noise


def test_an_encoder_is_given_images_with_their_own_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = build_gan(config("model.conditional=true", "encoder=vae_gan", "encoder.share=0.5"))
    real, labels, asked = torch.rand(8, 1, 28, 28), torch.arange(8), []
    features = gan.discriminator.features
    monkeypatch.setattr(gan.discriminator, "features", lambda *given: asked.append(given) or features(*given))
    codes = gan._encode(real, labels)
    ((images, classes),) = asked
    assert codes is not None
    assert codes.chosen.tolist() == classes.tolist() == [1, 3, 5, 7]
    assert torch.equal(images, real[1::2])
    assert not codes.means.isclose(codes.means[0]).all()
    assert not codes.features.requires_grad


def test_an_encoder_moves_with_the_generator_and_teaches_the_discriminator_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    gan = with_encoder(recorder)
    before = copy.deepcopy(gan.encoder)
    assert before is not None
    fit(gan, tmp_path, steps=2)
    for name, first, then in recorder.events:
        other = "generator" if name == "discriminator" else "discriminator"
        assert all(map(torch.equal, first[other], then[other]))
    assert gan.encoder is not None
    for name, weight in gan.encoder.named_parameters():
        assert not torch.equal(weight, before.get_parameter(name)), name


def test_what_an_encoder_adds_to_the_loss_is_shown(tmp_path: Path) -> None:
    observer = Observer()
    fit(with_encoder(Recorder()), tmp_path, steps=1, log_every_n_steps=1, callbacks=[observer])
    assert {"loss/generator_reconstruction", "loss/generator_kl"} <= set(observer.outputs[-1])


def test_a_relativistic_loss_is_given_the_logits_of_real_images(tmp_path: Path) -> None:
    loss = Relativistic()
    fit(make_gan(Recorder(), loss=loss), tmp_path, steps=1)
    assert loss.real_logits.shape == (6,)


class Observer(Callback):
    def __init__(self) -> None:
        self.outputs: list[Any] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.outputs.append(outputs)


def test_what_a_step_observes_is_what_happened(tmp_path: Path) -> None:
    observer, gan = Observer(), make_gan(Recorder())
    fit(gan, tmp_path, steps=5, log_every_n_steps=2, callbacks=[observer])
    assert [bool(outputs) for outputs in observer.outputs] == [False, True, False, True, True]
    names = {f"{group}/{side}" for group in ("logits", "probability", "accuracy") for side in ("real", "fake")}
    names |= {f"{group}/{net}" for group in ("loss", "grad_norm") for net in ("discriminator", "generator")}
    assert set(observer.outputs[-1]) == names | {"accuracy/fooled"}


class Fixed(Discriminator):
    """Logit = mean of the image: what it says of given images is known."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(images.mean((1, 2, 3)) * self.gain)


def test_accuracies_count_right_verdicts(tmp_path: Path) -> None:
    gan = make_gan(Recorder())
    gan.discriminator = Fixed()
    observed: dict[str, Tensor] = {}
    real = torch.tensor([0.5, 0.5, 0.5, -0.5]).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    fake = torch.tensor([0.5, -0.5, -0.5, -0.5]).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    gan._optimizer = lambda index: NoStep()  # type: ignore[method-assign, return-value, assignment]
    gan.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]
    gan._grad_norm = lambda network: torch.zeros(())  # type: ignore[method-assign]
    given: dict[str, Any] = {"real": real, "labels": None, "draws": None, "observed": observed}
    gan._trainer = type("Trainer", (), {"global_step": 0, "precision_plugin": None})()  # type: ignore[assignment]
    gan.update_discriminator(fake=fake, **given)
    gan.update_generator(fake=fake.clone().requires_grad_(), **given)
    assert observed["accuracy/real"] == 0.75
    assert observed["accuracy/fake"] == 0.75
    assert observed["accuracy/fooled"] == 0.25
    assert observed["logits/real"] == 0.25
    assert observed["probability/fake"].item() == pytest.approx(
        torch.tensor([0.5, -0.5, -0.5, -0.5]).sigmoid().mean().item()
    )


class NoStep:
    def zero_grad(self) -> None: ...
    def step(self) -> None: ...


def test_frozen_restores_also_after_an_error() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad = False
    with pytest.raises(RuntimeError), frozen(network):
        assert not network.weight.requires_grad
        raise RuntimeError
    assert network.weight.requires_grad
    assert not network.bias.requires_grad


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precisions_train_both_networks(precision: str, tmp_path: Path) -> None:
    gan = build_gan(config("seed=1"))
    before = copy.deepcopy(gan.state_dict())
    images = torch.rand(16, 1, 28, 28) * 2 - 1
    observer = Observer()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=3,
        precision=precision,
        logger=False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[observer],
    )
    quiet_lightning()
    trainer.fit(gan, DataLoader([(images, torch.zeros(16))] * 3, batch_size=None))
    for name, value in gan.state_dict().items():
        assert value.dtype == before[name].dtype
        assert value.isfinite().all()
        if name.endswith("weight"):
            assert not torch.equal(value, before[name]), name
    assert all(value.isfinite() for outputs in observer.outputs for value in outputs.values())


def reference_loop(gan: GAN, images: Tensor, *, steps: int, precision: str) -> None:
    """The algorithm, written plainly: no Lightning, an autocast context for each network's turn.

    Autocast keeps no cast weights: kept over an optimiser's step, they would be those from before it.
    """
    d_optimizer, g_optimizer = gan.configure_optimizers()

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed", cache_enabled=False)

    for step in range(steps):
        reals = images.contiguous(memory_format=gan.memory_format).chunk(gan.d_steps)
        noise = torch.randn(len(images), 100, generator=random_stream(gan.seed, "latents", step)).chunk(gan.d_steps)
        for real, latents in zip(reals, noise, strict=True):
            with autocast():
                fake = gan.generator(latents)
                real_logits = gan.discriminator(real).logits.float()
                fake_logits = gan.discriminator(fake.detach()).logits.float()
                loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
            d_optimizer.zero_grad()
            loss.backward()
            d_optimizer.step()
        with autocast():
            loss = F.softplus(-gan.discriminator(fake).logits.float()).mean()
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()


@pytest.mark.parametrize("d_steps", [1, 3])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training_is_the_plain_algorithm(precision: str, d_steps: int, tmp_path: Path) -> None:
    trained, expected = (build_gan(config("optimizer.lr=0.05", f"d_steps={d_steps}")) for _ in range(2))
    images = torch.rand(8 * d_steps, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    quiet_lightning()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu",
        max_steps=2,
        precision=precision,
        default_root_dir=tmp_path,
        enable_model_summary=False,
        **quiet,
    )
    trainer.fit(trained, DataLoader([(images, torch.zeros(len(images)))] * 2, batch_size=None))
    reference_loop(expected, images, steps=2, precision=precision)
    for network in ("discriminator", "generator"):
        ours, theirs = getattr(trained, network).named_parameters(), getattr(expected, network).parameters()
        for (name, value), other in zip(ours, theirs, strict=True):
            assert torch.equal(value, other), (name, (value - other).abs().max())


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = (build_gan(config(f"seed={seed}")).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["generator.body.0.weight"], other["generator.body.0.weight"])


def test_a_sample_is_the_same_at_any_number() -> None:
    gan = build_gan(config("seed=1"))
    many = gan.sample(n=130, seed=3)
    assert many.shape == (130, 1, 28, 28)
    assert many.dtype == torch.uint8
    assert torch.equal(many[:7], gan.sample(n=7, seed=3))
    assert not torch.equal(many, gan.sample(n=130, seed=4))


def test_channels_last_computes_the_same_function() -> None:
    latents, images = torch.randn(8, 100), torch.rand(8, 1, 28, 28)
    plain, fast = (build_gan(config("model.width=16", f"channels_last={on}")) for on in (False, True))
    assert fast.discriminator.body[2].weight.is_contiguous(memory_format=torch.channels_last)
    gradients = []
    for gan in (plain, fast):
        fake = gan.generator(latents)
        gan.discriminator(fake).logits.sum().backward()
        gradients.append([p.grad for p in gan.generator.parameters()])
    torch.testing.assert_close(plain.generator(latents), fast.generator(latents), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        plain.discriminator(images).logits, fast.discriminator(images).logits, rtol=1e-4, atol=1e-5
    )
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("words", [["model=dcgan"], ["model=resnet"], ["model.conditional=true"]], ids=" ".join)
def test_a_generators_maps_are_all_in_one_layout(words: list[str], on: bool) -> None:
    gan = build_gan(config(*words, "model.width=8", "model.generator.norm=batch", f"channels_last={on}"))
    layouts = set()

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if given[0].dim() == 4 and given[0].shape[1] > 1:  # one channel is in both layouts
            layouts.add(given[0].is_contiguous(memory_format=torch.channels_last))

    for layer in gan.generator.modules():
        layer.register_forward_pre_hook(note)
    gan.generator(torch.randn(8, gan.generator.latent_dim), torch.arange(8))
    assert layouts == {on}


def test_clipped_weights_stay_within_their_bound(tmp_path: Path) -> None:
    def largest(weight_clip: float | None) -> float:
        gan = make_gan(Recorder(), loss=Wasserstein(), weight_clip=weight_clip)
        fit(gan, tmp_path, steps=3)
        return max(float(parameter.detach().abs().max()) for parameter in gan.discriminator.parameters())

    assert largest(0.01) == pytest.approx(0.01)
    assert largest(None) > 0.1


# --- labels


class LabelledGenerator(TinyGenerator):
    """Paints every pixel of an image with its label, so that one sees whose label it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 4

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return super().forward(latents) * 1e-6 + labels.view(-1, 1, 1, 1) / 10


class LabelledDiscriminator(TinyDiscriminator):
    def __init__(self) -> None:
        super().__init__()
        self.labels: list[Tensor | None] = []

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        self.labels.append(labels)
        return super().forward(images)


def labelled_data(*, steps: int, batch: int) -> DataLoader[Any]:
    stream = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (steps, batch), generator=stream)
    return DataLoader([(torch.rand(batch, 1, 4, 4), label) for label in labels], batch_size=None)


def test_fakes_carry_the_labels_of_the_real_images_beside_them(tmp_path: Path) -> None:
    gan = make_gan(Recorder(), d_steps=2)
    gan.generator, gan.discriminator = LabelledGenerator(), LabelledDiscriminator()
    gan.ema = EMA(gan.generator, half_life=1)
    data = labelled_data(steps=1, batch=12)
    fit(gan, tmp_path, steps=1, data=data)
    ((_, labels),) = data.dataset
    first, second = labels.chunk(2)
    for seen, expected in zip(gan.discriminator.labels, (first, first, second, second, second), strict=True):
        assert torch.equal(seen, expected)
    for i, expected in ((1, first), (3, second), (4, second)):  # the fakes
        painted = (gan.discriminator.seen[i].mean((1, 2, 3)) * 10).round()
        assert torch.equal(painted, expected.float())


def test_an_unconditional_model_is_given_no_labels(tmp_path: Path) -> None:
    gan = make_gan(Recorder())
    gan.discriminator = LabelledDiscriminator()
    fit(gan, tmp_path, steps=1, data=labelled_data(steps=1, batch=6))
    assert gan.discriminator.labels == [None] * 3


def test_samples_are_of_every_class_in_turn_or_of_those_asked_for() -> None:
    gan = build_gan(config("seed=1", "model.conditional=true"))
    with torch.no_grad():  # labels decide everything
        gan.ema.generator.labelled.embedding.weight.mul_(100)
    images = gan.sample(n=25, seed=0)
    assert torch.equal(images, gan.sample(n=25, seed=0, labels=torch.arange(25) % 10))
    assert torch.equal(images[:7], gan.sample(n=7, seed=0))
    sevens = gan.sample(n=18, seed=0, labels=torch.full((18,), 7))
    assert torch.equal(sevens[[7, 17]], images[[7, 17]])
    assert not torch.equal(sevens[0], images[0])
    assert class_of_samples(3, num_classes=0) is None


# --- learning rates, clipping, dropout


def rates(gan: GAN) -> list[float]:
    return [optimizer.param_groups[0]["lr"] for optimizer in gan.trainer.optimizers]


class Rates(Callback):
    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.seen.append(rates(pl_module))


@pytest.mark.parametrize("d_steps", [1, 3])
def test_a_schedule_takes_effect_and_counts_generator_steps(d_steps: int, tmp_path: Path) -> None:
    seen, recorder = Rates(), Recorder()
    gan = make_gan(recorder, d_steps=d_steps, schedule="linear", warmup=2)
    fit(gan, tmp_path, steps=6, callbacks=[seen])
    expected = [0.5, 1, 1, 0.75, 0.5, 0.25]
    assert seen.seen == [[pytest.approx(1e-2 * factor)] * 2 for factor in expected]
    moved = [  # Adam's first steps are of the size of the rate
        max(float((a - b).abs().max()) for a, b in zip(after[name], before[name], strict=True))
        for name, before, after in recorder.events
    ]
    assert moved[0] == pytest.approx(0.5e-2, rel=0.05)


def test_without_a_schedule_nobody_touches_the_rate(tmp_path: Path) -> None:
    seen = Rates()
    fit(make_gan(Recorder()), tmp_path, steps=3, callbacks=[seen])
    assert seen.seen == [[1e-2, 1e-2]] * 3


def sgd(parameters: Any) -> Optimizer:
    return torch.optim.SGD(parameters, lr=1.0)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_gradients_are_clipped_in_the_network_asked_for(network: str, tmp_path: Path) -> None:
    def step(**clip: float) -> dict[str, float]:
        gan = make_gan(Recorder(), loss=Wasserstein(), **clip)
        gan.generator_optimizer = gan.discriminator_optimizer = sgd
        before = copy.deepcopy(gan.state_dict())
        observer = Observer()
        fit(gan, tmp_path, steps=1, log_every_n_steps=1, callbacks=[observer])
        after = gan.state_dict()
        moved = {
            name: sum(
                float((after[f"{name}.{key}"] - before[f"{name}.{key}"]).square().sum())
                for key, _ in getattr(gan, name).named_parameters()
            )
            ** 0.5
            for name in ("generator", "discriminator")
        }
        return moved | {f"{name}_norm": float(observer.outputs[0][f"grad_norm/{name}"]) for name in moved}

    free, clipped = step(), step(**{f"{network}_clip": 0.01})
    assert free[network] > 0.02
    assert clipped[network] == pytest.approx(0.01, rel=1e-3)
    assert clipped[f"{network}_norm"] == pytest.approx(free[f"{network}_norm"])  # shown is what was found
    if network == "generator":
        assert clipped["discriminator"] == pytest.approx(free["discriminator"])


def test_gradients_that_are_scaled_up_are_clipped_at_the_same_norm() -> None:
    """As 16-mixed holds them: the scaler divides by its scale in the optimiser's step."""
    gan = make_gan(Recorder())
    scaler = type("Scaler", (), {"get_scale": lambda self: 1024.0})()
    gan._trainer = type("Trainer", (), {"precision_plugin": type("Plugin", (), {"scaler": scaler})()})()  # type: ignore
    for parameter in gan.generator.parameters():
        parameter.grad = torch.full_like(parameter, 1024.0)
    gan._clip(gan.generator, 0.5)
    norm = torch.nn.utils.get_total_norm([p.grad for p in gan.generator.parameters()]) / 1024
    assert norm.item() == pytest.approx(0.5, rel=1e-4)


class Dropping(TinyDiscriminator):
    def __init__(self) -> None:
        super().__init__()
        self.body.insert(1, nn.Dropout(0.5))


def test_dropout_follows_from_seed_and_step_too(tmp_path: Path) -> None:
    def trained(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)  # must not matter
        gan = make_gan(Recorder())
        gan.discriminator = Dropping()
        torch.manual_seed(0)
        nn.init.normal_(gan.discriminator.body[2].weight)
        torch.manual_seed(seed)
        fit(gan, tmp_path, steps=4)
        return {name: value for name, value in gan.state_dict().items() if not name.endswith("bias")}

    one, other = trained(1), trained(2)
    assert all(torch.equal(one[name], other[name]) for name in one)
