"""The alternation, with networks that record who was called and stepped."""

import copy
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import config
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from dcgan.data.latents import random_stream
from dcgan.models.base import Discriminator, Generator, Verdict, class_of_samples
from dcgan.models.layers import Dropout
from dcgan.runs.dashboard import Dashboard, observe
from dcgan.runs.trainer import quiet_lightning
from dcgan.training.build import build_gan
from dcgan.training.gan import GAN
from dcgan.training.losses import NonSaturating, Wasserstein
from dcgan.training.objective import Objective, Outcome
from dcgan.training.optim import Rates, gradient_scale, unscale
from dcgan.training.player import Player, frozen

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

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Verdict:
        self.seen.append(images.detach().clone())
        return Verdict(self.body(images).squeeze(1))


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
    networks: tuple[Generator, Discriminator] | None = None,
    optimizer: Any = None,
    generator_clip: float | None = None,
    discriminator_clip: float | None = None,
    **more: Any,
) -> GAN:
    torch.manual_seed(0)
    generator, discriminator = networks or (TinyGenerator(), TinyDiscriminator())
    of = {name: optimizer or partial(recorder.optimizer, name) for name in ("generator", "discriminator")}
    gan = GAN(
        Player(generator, of["generator"], generator_clip),
        Player(discriminator, of["discriminator"], discriminator_clip, weight_clip),
        objective=Objective(loss or NonSaturating()),
        seed=5,
        d_steps=d_steps,
        ema_half_life=half_life,
        fast=False,
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


def test_a_relativistic_loss_is_given_the_logits_of_real_images(tmp_path: Path) -> None:
    loss = Relativistic()
    fit(make_gan(Recorder(), loss=loss), tmp_path, steps=1)
    assert loss.real_logits.shape == (6,)


class Observer(Dashboard):
    """Keeps what the dashboard shows of each step; None: nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Any] = []

    def on_train_batch_end(self, *given: Any) -> None:
        self.latest = {}
        super().on_train_batch_end(*given)
        self.outputs.append(self.latest)


def test_what_is_observed_of_a_step_is_what_happened(tmp_path: Path) -> None:
    observer, gan = Observer(), make_gan(Recorder())
    fit(gan, tmp_path, steps=5, log_every_n_steps=2, callbacks=[observer])
    assert [bool(outputs) for outputs in observer.outputs] == [False, True, False, True, True]
    names = {f"{group}/{side}" for group in ("logits", "probability", "accuracy") for side in ("real", "fake")}
    names |= {f"{group}/{net}" for group in ("loss", "grad_norm", "lr") for net in ("discriminator", "generator")}
    assert set(observer.outputs[-1]) == names | {"accuracy/fooled", "speed/images_per_second"}


def test_accuracies_count_right_verdicts() -> None:
    real, fake = torch.tensor([0.5, 0.5, 0.5, -0.5]), torch.tensor([0.5, -0.5, -0.5, -0.5])
    judged = Outcome(torch.tensor(1.5), real, fake, {"penalty": torch.tensor(0.25)})
    fooled = Outcome(torch.tensor(0.5), real[:0], fake, {}, class_accuracy=torch.tensor(0.75))
    observed = observe({"discriminator": judged, "generator": fooled})
    assert observed["accuracy/real"] == 0.75
    assert observed["accuracy/fake"] == 0.75
    assert observed["accuracy/fooled"] == 0.25
    assert observed["accuracy/classes"] == 0.75
    assert observed["logits/real"] == 0.25
    assert observed["probability/fake"].item() == pytest.approx(fake.sigmoid().mean().item())
    assert [observed[f"loss/{name}"] for name in ("discriminator", "discriminator_penalty", "generator")] == [
        1.5,
        0.25,
        0.5,
    ]


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
    quiet_lightning()
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
    assert all(math.isfinite(value) for outputs in observer.outputs for value in outputs.values())


def reference_loop(gan: GAN, images: Tensor, *, steps: int, precision: str) -> None:
    """The algorithm, written plainly: no Lightning, an autocast context for each network's turn.

    Autocast keeps no cast weights: kept over an optimiser's step, they would be those from before it.
    """
    d_optimizer, g_optimizer = gan.configure_optimizers()

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed", cache_enabled=False)

    for step in range(steps):
        reals = images.contiguous(memory_format=gan.memory_format).chunk(gan.d_steps)
        noise = torch.randn(
            len(images), gan.generator.latent_dim, generator=random_stream(gan.seed, "latents", step)
        ).chunk(gan.d_steps)
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
    many = gan.ema.generator.sample(n=130, seed=3)
    assert many.shape == (130, 1, 28, 28)
    assert many.dtype == torch.uint8
    assert torch.equal(many[:7], gan.ema.generator.sample(n=7, seed=3))
    assert not torch.equal(many, gan.ema.generator.sample(n=130, seed=4))


def test_the_fast_forms_compute_the_same_function() -> None:
    latents, images = torch.randn(8, 64), torch.rand(8, 1, 28, 28)
    plain, fast = (build_gan(config("model.width=16", f"fast={on}")) for on in (False, True))
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
    gan = make_gan(Recorder(), d_steps=2, networks=(LabelledGenerator(), LabelledDiscriminator()), optimizer=sgd)
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
    gan = make_gan(Recorder(), networks=(TinyGenerator(), LabelledDiscriminator()), optimizer=sgd)
    fit(gan, tmp_path, steps=1, data=labelled_data(steps=1, batch=6))
    assert gan.discriminator.labels == [None] * 3


def test_samples_are_of_every_class_in_turn_or_of_those_asked_for() -> None:
    gan = build_gan(config("seed=1", "model.conditional=true"))
    with torch.no_grad():  # labels decide everything
        gan.ema.generator.labelled.embedding.weight.mul_(100)
    images = gan.ema.generator.sample(n=25, seed=0)
    assert torch.equal(images, gan.ema.generator.sample(n=25, seed=0, labels=torch.arange(25) % 10))
    assert torch.equal(images[:7], gan.ema.generator.sample(n=7, seed=0))
    sevens = gan.ema.generator.sample(n=18, seed=0, labels=torch.full((18,), 7))
    assert torch.equal(sevens[[7, 17]], images[[7, 17]])
    assert not torch.equal(sevens[0], images[0])
    assert class_of_samples(3, num_classes=0) is None


# --- learning rates, clipping, dropout


def rates(gan: GAN) -> list[float]:
    return [optimizer.param_groups[0]["lr"] for optimizer in gan.trainer.optimizers]


class SeenRates(Callback):
    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.seen.append(rates(pl_module))


@pytest.mark.parametrize("d_steps", [1, 3])
def test_a_schedule_takes_effect_and_counts_generator_steps(d_steps: int, tmp_path: Path) -> None:
    seen, recorder = SeenRates(), Recorder()
    gan = make_gan(recorder, d_steps=d_steps, rates=Rates("linear", warmup=2))
    fit(gan, tmp_path, steps=6, callbacks=[seen])
    expected = [0.5, 1, 1, 0.75, 0.5, 0.25]
    assert seen.seen == [[pytest.approx(1e-2 * factor)] * 2 for factor in expected]
    moved = [  # Adam's first steps are of the size of the rate
        max(float((a - b).abs().max()) for a, b in zip(after[name], before[name], strict=True))
        for name, before, after in recorder.events
    ]
    assert moved[0] == pytest.approx(0.5e-2, rel=0.05)


def test_without_a_schedule_nobody_touches_the_rate(tmp_path: Path) -> None:
    seen = SeenRates()
    fit(make_gan(Recorder()), tmp_path, steps=3, callbacks=[seen])
    assert seen.seen == [[1e-2, 1e-2]] * 3


def sgd(parameters: Any) -> Optimizer:
    return torch.optim.SGD(parameters, lr=1.0)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_gradients_are_clipped_in_the_network_asked_for(network: str, tmp_path: Path) -> None:
    def step(**clip: float) -> dict[str, float]:
        gan = make_gan(Recorder(), loss=Wasserstein(), optimizer=sgd, **clip)
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
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.zeros(()))  # from now on it has one
    trainer: Any = type("Trainer", (), {"precision_plugin": type("Plugin", (), {"scaler": scaler})()})()
    for builder, scale in ((partial(torch.optim.Adam, fused=True), 1024.0), (torch.optim.RMSprop, 1.0)):
        network = TinyGenerator()
        optimizer = builder(network.parameters())
        assert gradient_scale(trainer, optimizer) == scale  # Lightning has divided already, but for fused ones
        for weight in network.parameters():
            weight.grad = torch.full_like(weight, scale)
        unscale(trainer, optimizer)
        assert all(bool((weight.grad == 1).all()) for weight in network.parameters())
        Player(network, sgd, 0.5).clip_gradients()
        norm = torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])
        assert norm.item() == pytest.approx(0.5, rel=1e-4)


class Dropping(TinyDiscriminator):
    def __init__(self) -> None:
        super().__init__()
        self.body.insert(1, Dropout(0.5))


def test_dropout_follows_from_seed_and_step_too(tmp_path: Path) -> None:
    def trained(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)  # must not matter
        torch.manual_seed(0)
        gan = make_gan(Recorder(), networks=(TinyGenerator(), Dropping()), optimizer=sgd)
        nn.init.normal_(gan.discriminator.body[2].weight)
        torch.manual_seed(seed)
        fit(gan, tmp_path, steps=4)
        return {name: value for name, value in gan.state_dict().items() if not name.endswith("bias")}

    one, other = trained(1), trained(2)
    assert all(torch.equal(one[name], other[name]) for name in one)


class Clock(Callback):
    """Ten seconds a step, and the rate of each."""

    def __init__(self, *, steps: int) -> None:
        self.steps, self.rates = steps, list[float]()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.steps += 1
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("done", [0, 4])
def test_a_rate_falls_over_the_time_that_there_is(done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run's clock begins where it stood."""
    clock = Clock(steps=done)
    monkeypatch.setattr(Timer, "time_elapsed", lambda *_: 10.0 * clock.steps)
    gan = make_gan(Recorder(), rates=Rates("linear"), optimizer=partial(SGD, lr=0.5))
    trainer = fit(gan, tmp_path, steps=90, callbacks=[clock], max_time={"seconds": 100})
    assert trainer.global_step == 10 - done
    assert clock.rates == pytest.approx([0.5 * (1 - step / 10) for step in range(done, 10)])


@pytest.mark.parametrize(("world", "asked"), [(1, [*range(25)]), (2, [0, 20])])
def test_several_processes_ask_for_the_time_every_20_steps(
    world: int, asked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    monkeypatch.setattr("dcgan.training.gan.share_of_time", lambda trainer: steps.append(trainer.global_step) or 0.99)
    monkeypatch.setattr(GAN, "world", world)
    gan = make_gan(Recorder(), rates=Rates("linear"), optimizer=partial(SGD, lr=0.5))
    trainer = fit(gan, tmp_path, steps=25)
    assert steps == asked
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.005)
