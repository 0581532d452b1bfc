"""Every option and every recipe composes; every mistake is refused in one line that names it."""

import contextlib
import copy
import inspect
from dataclasses import fields
from typing import Any

import pytest
from conftest import TINY, Result, companions, composed, config, options, recipes
from lightning import Trainer
from omegaconf import OmegaConf

from dcgan.config.catalogue import CATALOGUE, data_sets_of
from dcgan.config.check import check
from dcgan.config.combinations import ImpossibleError
from dcgan.config.options import GROUPS as OPTION_GROUPS
from dcgan.config.schema import (
    CONF,
    SCHEMAS,
    EvaluateConfig,
    GenerateConfig,
    TrainConfig,
    is_group,
    known_keys,
    list_keys,
)
from dcgan.config.trainer import TrainerConfig
from dcgan.models import MODELS
from dcgan.training.augment import AUGMENTS
from dcgan.training.build import build_gan
from dcgan.training.losses import LOSSES
from dcgan.training.optim import OPTIMIZERS
from dcgan.training.penalties import PENALTIES

GROUPS = sorted({path.name for path in CONF.iterdir() if path.is_dir()} - {"search"})  # spaces: tests/shell


def test_every_trainer_argument_has_its_key() -> None:
    arguments = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert {field.name for field in fields(TrainerConfig)} == arguments | {"gpus"}


@pytest.mark.parametrize(
    ("group", "registry"),
    [
        ("model", MODELS),
        ("loss", LOSSES),
        ("penalty", {*PENALTIES, "none"}),
        ("augment", {*AUGMENTS, "none"}),
        ("optimizer", {*OPTIMIZERS, "adam_ttur"}),
        ("data", CATALOGUE),
        ("metrics", {*(record.space for record in CATALOGUE.values()), "inception", "none", "own"} - {""}),
    ],
)
def test_options_and_registry_are_the_same(group: str, registry: Any) -> None:
    assert options(group) == sorted(registry)


@pytest.mark.parametrize("word", [f"{group}={option}" for group in GROUPS for option in options(group)])
def test_every_option_and_recipe_composes_and_is_valid(word: str) -> None:
    known = data_sets_of(word.removeprefix("metrics=")) or ["mnist"]
    words = [f"data={known[0]}"] if word.startswith("metrics=") else []
    typed = check(composed(*words, *companions(word), word), TrainConfig, typed=[word])
    build_gan(typed)


@pytest.mark.parametrize("name", options("experiment"))
def test_every_recipe_says_what_it_is(name: str) -> None:
    header = (CONF / "experiment" / f"{name}.yaml").read_text()
    for part in ("Question:", f"Command:  python -m dcgan.train experiment={name}", "Budget:"):
        assert part in header


@pytest.mark.parametrize("group", OPTION_GROUPS)
def test_a_file_says_every_key_of_its_option_and_no_other(group: str) -> None:
    for name in options(group):
        fitting = ["metrics=digits"] if group == "data" else []
        node = composed(*fitting, f"{group}={name}")[group]
        own = {field.name for field in fields(OPTION_GROUPS[group].kind(node.name, key=group))}
        given = own - {"generator", "discriminator"} if group == "optimizer" else own
        assert given <= set(node) <= own, (group, name)


@pytest.mark.parametrize("entry", SCHEMAS)
def test_every_key_beside_the_options_is_in_its_file(entry: str) -> None:
    words = {"train": [], "tune": ["search=adam"]}.get(entry, ["run=x"])
    plain = composed(*words, entry=entry)
    shown = set(known_keys(SCHEMAS[entry]))
    for key in shown:
        group = key.split(".")[0]
        if group != "trainer" and not is_group(SCHEMAS[entry], group):
            assert OmegaConf.select(plain, key, default="nothing") != "nothing", key


RECIPES = [[], *(pytest.param([f"experiment={name}"], marks=pytest.mark.slow) for name in recipes())]


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra reads every file anew for every composition, which takes nine tenths of it."""
    read, kept = OmegaConf.load, {}

    def load(file: Any) -> Any:
        if file.name not in kept:
            kept[file.name] = read(file)
        return copy.deepcopy(kept[file.name])

    monkeypatch.setattr(OmegaConf, "load", load)


@pytest.mark.parametrize("recipe", RECIPES, ids=" ".join)
def test_every_recipe_with_every_option_composes_or_is_refused_for_a_reason_in_the_list(
    recipe: list[str], read_once: None
) -> None:
    for word in (f"{group}={name}" for group in (*OPTION_GROUPS, "trainer") for name in options(group)):
        words = [*recipe, word, *(companions(word) if word.startswith("data=") else [])]
        with contextlib.suppress(ImpossibleError):
            check(composed(*words), TrainConfig, typed=words)


def test_what_an_experiment_set_for_an_option_that_was_replaced_is_dropped_and_nothing_else() -> None:
    assert config("experiment=quick", "data=kmnist").metrics.name == "none"  # which the data set chose
    with pytest.raises(ValueError, match=r"metrics.every=5: metrics=none has no use for it"):
        config("experiment=quick", "data=kmnist", "metrics.every=5")
    assert not hasattr(config("experiment=quick", "model=mlp").model, "dense_units")
    with pytest.raises(
        ValueError, match="model.dense_units=512: model=mlp has no use for it, only dcgan; leave it out"
    ):
        config("experiment=quick", "model=mlp", "model.dense_units=512")
    values = composed("experiment=quick", "+loss.weight_clip=0.1")  # as an experiment file might
    with pytest.raises(ValueError, match="loss.weight_clip=0.1: loss=non_saturating has no use for it"):
        check(values, TrainConfig, typed=["experiment=mine"])


def test_an_experiment_is_overridden_by_the_command_line() -> None:
    assert config("experiment=quick").name == "quick"
    assert config("experiment=quick", "model.width=5").model.width == 5


def test_a_networks_own_value_wins_over_the_shared_one() -> None:
    optimizer = config("optimizer.lr=3e-4", "optimizer.generator.lr=1e-3").optimizer
    assert (optimizer.generator.lr, optimizer.discriminator.lr) == (1e-3, 3e-4)


MISTAKES = [
    # unknown keys and groups
    ("optimizer.lrr=1", "optimizer.lrr: no such key; did you mean optimizer.lr?"),
    ("model.widht=3", "model.widht: no such key; did you mean model.width?"),
    ("+trainer.max_step=5", "trainer.max_step: no such key; did you mean trainer.max_steps?"),
    ("modle=dcgan", "modle: no such key; did you mean model?"),
    ("model=dcgan,mlp", "model=dcgan,mlp: several values are a sweep; add -m (python -m dcgan.train -m ...)"),
    ("zzz=5", "zzz: no such key; --help lists them"),
    ("search=adam", "search: no such key here; it is of dcgan.tune"),
    ("n=64", "n: no such key here; it is of dcgan.generate"),
    ("model=dcgn", "model=dcgn: no such option; there are dcgan, mlp, resnet"),
    ("metrics=digits_residual", "metrics=digits_residual: is a judge, by which nothing is chosen; use metrics=digi"),
    ("metrics=vgg", "metrics=vgg: no such option; there are digits, fashion, inception, none, own, stacked"),
    ("experiment=quik", "experiment=quik: no such option; there are acgan, best, best_conditional, best_stacked"),
    ("max_steps", "max_steps: not key=value"),
    ("name=a=b", "name=a=b: not key=value; quote"),
    # types
    ("optimizer.lr=fast", "optimizer.lr=fast: must be a number"),
    ("seed=1.5", "seed=1.5: must be a whole number"),
    ("seed=null", "seed=null: must have a value"),
    ("fast=maybe", "fast=maybe: must be true or false"),
    ("optimizer.generator=adam", "optimizer.generator=adam: is a group of keys"),
    ("optimizer.betas=3", "optimizer.betas: "),
    ("data.root=${nowhere}", "data.root: Interpolation key 'nowhere' not found"),
    # ranges
    ("optimizer.lr=-1", "optimizer.lr=-1.0: must be a finite number above 0"),
    ("optimizer.generator.lr=nan", "optimizer.generator.lr=nan: must be a finite number above 0"),
    ("optimizer.discriminator.lr=0", "optimizer.discriminator.lr=0.0: must be a finite number above 0"),
    ("optimizer.betas=[0.5]", "optimizer.betas=[0.5]: must be two numbers in [0, 1)"),
    ("optimizer.betas=[0.5,1]", "optimizer.betas=[0.5, 1.0]: must be two numbers in [0, 1)"),
    ("seed=-1", "seed=-1: must be from 0 to 2**32 - 1"),
    ("name=a/b", "name=a/b: must be letters"),
    ("d_steps=0", "d_steps=0: must be at least 1"),
    ("ema.half_life=-1", "ema.half_life=-1.0: must be a finite number, 0 or more"),
    ("model.width=0", "model.width=0: must be at least 1"),
    ("model.depth=0", "model.depth=0: must be at least 1"),
    ("model.latent_dim=0", "model.latent_dim=0: must be at least 1"),
    ("samples.every=0", "samples.every=0: must be at least 1"),
    ("samples.n=0", "samples.n=0: must be at least 1"),
    ("checkpoints.every=0", "checkpoints.every=0: must be at least 1"),
    ("metrics.every=0", "metrics.every=0: must be at least 1"),
    ("metrics.num_samples=1", "metrics.num_samples=1: must be at least 2"),
    ("data.batch_size=1", "data.batch_size=1: must be at least 2"),
    ("data.batch_size=60001", "data.batch_size=60001 with d_steps=1 needs 60001 images a step; mnist has 60000"),
    ("data.resolution=30", "data.resolution=30: must be a multiple of 4"),
    ("data.channels=2", "data.channels=2: must be one of 1, 3"),
    ("trainer.max_steps=0", "trainer.max_steps=0: must be at least 1, or -1 for no limit"),
    ("trainer.max_steps=-1", "trainer.max_steps=-1: without max_epochs or max_time the run would never end"),
    # names that only the files choose
    ("model.name=vae", "model.name=vae: unknown; known: dcgan, mlp, resnet"),
    ("loss.name=gan", "loss.name=gan: unknown; known: non_saturating"),
    ("augment.name=flip", "augment.name=flip: unknown; known: diffaugment, noise"),
    ("optimizer.generator.name=lion", "optimizer.generator.name=lion: unknown; known: adam, adamw, rmsprop, sgd"),
    ("model.norm=instance", "model.norm=instance: must be one of batch, layer, group, none"),
    ("model.norm=spectral", "model.norm=spectral: must be one of batch, layer, group, none; spectral is model.disc"),
    ("model.generator.norm=spectral", "model.generator.norm=spectral: must be one of batch, layer, group, none"),
    ("model.discriminator.norm=x", "model.discriminator.norm=x: must be one of batch, layer, group, none, spectral"),
    ("model.upsample=bilinear", "model.upsample=bilinear: must be one of transposed, nearest, pixel_shuffle"),
    ("model.init=xavier", "model.init=xavier: must be one of default, normal, orthogonal, kaiming"),
    ("model.discriminator.conditioning=film", "model.discriminator.conditioning=film: must be one of projection"),
    ("optimizer.schedule=step", "optimizer.schedule=step: must be one of constant, linear, cosine"),
    ("data.name=cifar", "data=cifar: unknown; known: mnist, fashion_mnist, kmnist, stacked_mnist, folder, idx"),
    ("metrics.name=vgg", "metrics.name=vgg: unknown; known: digits, digits1, digits_residual, fashion, fashion_res"),
    ("logger.name=paper", "logger.name=paper: must be one of tensorboard, csv, wandb, mlflow, none"),
    ("health=no", "health=no: no such option; there are act, off, on"),
    ("health.every=0", "health.every=0: must be at least 1"),
    ("health.every=10001", "health.every=10001: must be at least 1, 10000 at most"),
    ("health.patience=0", "health.patience=0: must be at least 1"),
    ("health.action=stop", "health.action=stop: health=on has no use for it, only act; leave it out"),
    # combinations
    ("loss.label_smoothing=0.6", "loss.label_smoothing=0.6: must be from 0 to 0.5"),
    ("loss.label_flipping=0.9", "loss.label_flipping=0.9: must be from 0 to 0.5"),
    ("loss.weight_clip=0.01", "loss.weight_clip=0.01: loss=non_saturating has no use for it, only wasserstein; leave"),
    (
        "penalty.gamma=10",
        "penalty.gamma=10: penalty=none has no use for it, only dragan, r1, r1_r2, r2, wgan_gp; leave",
    ),
    ("penalty.every=16", "penalty.every=16: penalty=none has no use for it"),
    ("augment.cutout=0.5", "augment.cutout=0.5: augment=none has no use for it, only diffaugment; leave it out"),
    ("augment.consistency=1", "augment.consistency=1: augment=none has no use for it, only diffaugment, noise; leave"),
    (
        "optimizer.momentum=0.9",
        "optimizer.momentum=0.9: neither network's optimiser has a use for it, only rmsprop, sgd; leave",
    ),
    (
        "optimizer.weight_decay=0.1",
        "optimizer.weight_decay=0.1: neither network's optimiser has a use for it, only adamw; leave",
    ),
    ("optimizer.betas=null", "optimizer.betas=null: must have a value"),
    (
        "optimizer.generator.momentum=0.9",
        "optimizer.generator.momentum=0.9: optimizer.generator=adam has no use for it, only",
    ),
    ("optimizer.clip=0", "optimizer.clip=0.0: must be a finite number above 0"),
    ("optimizer.warmup=-1", "optimizer.warmup=-1: must be at least 0"),
    ("optimizer.warmup=10000", "optimizer.warmup=10000: must be below trainer.max_steps"),
    ("loss=wasserstein", "loss=wasserstein: needs something that bounds its critic's slope: penalty=wgan_gp with"),
    ("model.generator.conditioning=norm", "model.generator.conditioning=norm: is of conditional models; add"),
    ("model.discriminator.conditioning=concat", "model.discriminator.conditioning=concat: is of conditional models"),
    ("model.discriminator.pack=3", "data.batch_size=16: must be a multiple of model.discriminator.pack"),
    ("model.discriminator.pack=16", "data.batch_size=16: must hold two packs at least"),
    ("model.discriminator.pack=0", "model.discriminator.pack=0: must be at least 1"),
    ("model.discriminator.dropout=1", "model.discriminator.dropout=1.0: must be in [0, 1)"),
    ("model.dense_units=0", "model.dense_units=0: must be at least 1"),
    (
        "penalty=wgan_gp",
        "penalty=wgan_gp: needs each image's own gradient, which model.discriminator.norm=batch mixes",
    ),
    ("data.name=fashion_mnist", "metrics=digits: knows mnist, not fashion_mnist; use metrics=fashion"),
    ("metrics.name=digits1", "metrics=digits1: is a judge, by which nothing is chosen; use metrics=digits, beside"),
    (
        "metrics.name=digits_residual",
        "metrics=digits_residual: is a judge, by which nothing is chosen; use metrics=dig",
    ),
    ("metrics.name=fashion_residual", "metrics=fashion_residual: knows fashion_mnist, not mnist; use metrics=digits"),
    ("metrics.name=stacked1", "metrics=stacked1: knows stacked_mnist, not mnist; use metrics=digits"),
    ("metrics=stacked", "metrics=stacked: knows stacked_mnist, not mnist; use metrics=digits"),
    ("model.depth=3", "model.depth=3: data.resolution=28 cannot be halved so often"),
    ("metrics.weights=x.pth", "metrics.weights=x.pth: metrics=digits has no use for it, only inception; leave"),
    ("metrics.every=null", "metrics.every=null: must have a value"),
    ("trainer.precision=null", "trainer.precision=null: must be one of auto, 32-true"),
    ("checkpoints.keep=null", "checkpoints.keep=null: must be true (all)"),
    ("optimizer.betas=0.5", "optimizer.betas: must be a list, such as optimizer.betas=[0.5,0.9]"),
    ("penalty=null", "null: is no option of a group; name one, or leave it out"),
    ("+penalty=r1", "+penalty=...: one is chosen already; leave out the +"),
    ("penalty=[r1,r2]", "penalty=[r1,r2]: one option only; several are a sweep, -m penalty=r1,r2"),
    ("experiment=[best,quick]", "experiment=[best,quick]: one option only; several are a sweep, -m experiment=best"),
    ("samples.n=100000000", "samples.n=100000000: must be at least 1, 10000 at most"),
    # what manual optimisation would ignore
    ("trainer.gradient_clip_val=1", "trainer.gradient_clip_val=1: in manual optimisation Lightning clips nothing; use"),
    ("trainer.gradient_clip_algorithm=norm", "trainer.gradient_clip_algorithm=norm: in manual optimisation Lightning"),
    ("trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches=2: accumulation is not available; raise"),
    ("trainer.overfit_batches=1", "trainer.overfit_batches=1: batches follow from"),
    ("trainer.min_steps=5", "trainer.min_steps=5: until then Lightning would hear neither Ctrl-C nor a scheduler; use"),
    ("trainer.min_epochs=1", "trainer.min_epochs=1: until then Lightning would hear neither"),
    ("trainer.use_distributed_sampler=true", "trainer.use_distributed_sampler=True: the data set is divided"),
    ("trainer.callbacks=[a]", "trainer.callbacks=['a']: objects cannot be named"),
    ("trainer.limit_val_batches=3", "trainer.limit_val_batches=3: there is no validation loop"),
    ("trainer.barebones=true", "trainer.barebones=True: use logger=none"),
    ("trainer.max_epochs=0", "trainer.max_epochs=0: must be at least 1, or -1 for no limit"),
    ("trainer.limit_train_batches=0", "trainer.limit_train_batches=0: must be above 0"),
    ("trainer.logger=true", "trainer.logger=True: use the group logger="),
    # what Lightning refuses
    ("trainer.precision=bf16-true", "trainer.precision=bf16-true: must be one of auto, 32-true"),
    ("trainer.strategy=fast", "trainer.strategy=fast: must be one of auto, ddp, ddp_find_unused_parameters_true"),
    ("trainer.strategy=ddp_spawn", "trainer.strategy=ddp_spawn: must be one of auto, ddp, ddp_find"),
    ("trainer.deterministic=yes_please", "trainer.deterministic=yes_please: must be one of true, false, warn"),
    ("trainer.max_time=soon", "trainer.max_time=soon: must be days:hours:minutes:seconds, such as 00:00:03:00 for"),
    ("trainer.max_time=180", "trainer.max_time=180: must be days:hours:minutes:seconds"),
    ("trainer.max_time=00:03:00", "trainer.max_time=00:03:00: must be days:hours:minutes:seconds"),
    ("trainer.max_time={secnds: 3}", "trainer.max_time={'secnds': 3}: must be days:hours:minutes:seconds"),
    ("trainer.max_time=00:00:00:00", "trainer.max_time=00:00:00:00: must be days:hours:minutes:seconds"),
    ("trainer.devices=x", "trainer.devices=x: must be how many, -1 or auto (all), or a list"),
    ("trainer.gpus=some", "trainer.gpus=some: must be auto, 0 (CPU)"),
    ("trainer.accelerator=cpu", "trainer.gpus=0: leave it out"),
    ("resume=nowhere", "resume=nowhere: no run folder"),
]


@pytest.mark.parametrize(("word", "line"), MISTAKES)
def test_a_mistake_is_one_line_and_starts_nothing(word: str, line: str, command: Any, workdir: Any) -> None:
    result: Result = command("train", *TINY, word)
    assert result.code == 1
    assert result.out == ""
    (printed,) = result.err.splitlines()
    assert printed.startswith(f"error: {line}")
    assert not list(workdir.iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["penalty=r1", "penalty.gamma=null"], "penalty.gamma=null: must have a value"),
        (["penalty=r1", "penalty.gamma=-1"], "penalty.gamma=-1.0: must be a finite number above 0"),
        (["penalty=r1", "penalty.gamma=inf"], "penalty.gamma=inf: must be a finite number above 0"),
        (
            ["penalty.name=r3", "penalty.gamma=1", "model.discriminator.norm=layer"],
            "penalty.name=r3: unknown; known: r1, r2, r1_r2, wgan_gp, dragan",
        ),
        (["penalty=r1", "penalty.every=0"], "penalty.every=0: must be at least 1"),
        (["penalty=r1"], "penalty=r1: needs each image's own gradient"),
        (
            ["penalty=r1", "model.discriminator.norm=layer", "penalty.every=20000"],
            "penalty.every=20000: is longer than the run; must be at most trainer.max_steps",
        ),
        (
            ["loss=wasserstein", "loss.weight_clip=0.01", "model.discriminator.norm=spectral"],
            "loss.weight_clip=0.01: has no effect under model.discriminator.norm=spectral",
        ),
        (
            ["data=stacked_mnist", "model.conditional=true", "metrics.num_samples=500"],
            "metrics.num_samples=500: a conditional model of stacked_mnist has 1000 classes; draw as many at least",
        ),
        (
            ["augment=diffaugment", "augment.flip=true"],
            "augment.flip=true: data=mnist has images that mean nothing, or",
        ),
        (["augment=noise", "augment.decay_steps=null"], "augment.decay_steps=null: must have a value"),
        (["augment=noise", "augment.cutout=0.1"], "augment.cutout=0.1: augment=noise has no use for it"),
        (["augment=diffaugment", "augment.translation=2"], "augment.translation=2.0: must be from 0 to 1"),
        (["loss=hinge", "loss.label_flipping=0.1"], "loss.label_flipping=0.1: loss=hinge has no use for it"),
        (
            ["optimizer=sgd", "optimizer.betas=[0,0.9]"],
            "optimizer.betas=[0, 0.9]: neither network's optimiser has a use for it, only adam, adamw",
        ),
        (["optimizer=sgd", "optimizer.momentum=1"], "optimizer.momentum=1.0: must be in [0, 1)"),
        (
            ["model.conditional=true", "model.generator.conditioning=norm", "model.norm=none"],
            "model.generator.conditioning=norm: no norm in the generator has a gain to follow the label",
        ),
        (
            ["model.conditional=true", "model.discriminator.pack=2"],
            "model.discriminator.pack=2: a pack has as many labels as images",
        ),
        (
            ["optimizer.schedule=cosine", "trainer.max_steps=-1"],
            "trainer.max_steps=-1: without max_epochs or max_time the run would never end",
        ),
        (["model=mlp", "model.upsample=nearest"], "model.upsample=nearest: model=mlp has no use for it"),
    ],
)
def test_values_that_do_not_go_together(words: list[str], line: str, command: Any, workdir: Any) -> None:
    result: Result = command("train", *TINY, *words)
    assert result.code == 1
    (printed,) = result.err.splitlines()
    assert printed.startswith(f"error: {line}")
    assert not list(workdir.iterdir())


def test_a_value_that_only_one_network_can_use_is_shared_in_silence() -> None:
    optimizer = config("optimizer.discriminator.name=sgd", "optimizer.betas=[0.0,0.9]").optimizer
    assert optimizer.generator.betas == [0.0, 0.9]
    assert not hasattr(optimizer.discriminator, "betas")
    assert optimizer.discriminator.lr == optimizer.generator.lr == 2e-3


def test_each_network_may_have_another_optimiser_with_keys_of_its_own() -> None:
    words = ["optimizer.discriminator.name=sgd", "optimizer.discriminator.momentum=0.9", "optimizer.generator.lr=1e-3"]
    optimizer = config(*words).optimizer
    assert (optimizer.discriminator.momentum, optimizer.discriminator.lr) == (0.9, 2e-3)
    assert (optimizer.generator.name, optimizer.generator.lr) == ("adam", 1e-3)


def test_a_value_for_both_goes_to_the_network_that_has_it() -> None:
    optimizer = config("optimizer.generator.name=sgd", "optimizer.momentum=0.9").optimizer
    assert optimizer.generator.momentum == 0.9
    assert not hasattr(optimizer.discriminator, "momentum")
    words = ["optimizer.generator.name=sgd", "optimizer.discriminator.name=sgd", "optimizer.betas=[0.1,0.2]"]
    with pytest.raises(ValueError, match=r"optimizer.betas=\[0.1, 0.2\]: neither network's optimiser has a use for it"):
        config(*words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["optimizer.generator={momentum: 0.5}"],
            "optimizer.generator.momentum=0.5: optimizer.generator=adam has no use",
        ),
        (
            ["model=mlp", "+model={upsample: nearest}"],
            "model.upsample=nearest: model=mlp has no use for it, only dcgan",
        ),
        (["optimizer.name=[sgd]"], "optimizer.name: Cannot convert 'ListConfig' to string: '['sgd']'"),
        (["model.generator=5"], "model.generator=5: is a group of keys, such as model.generator.norm=5"),
        (["loss=wasserstein", "loss.weight_clip=null"], "loss=wasserstein: needs something that bounds its critic"),
        (["optimizer.lr=1e-4,2e-4"], "optimizer.lr=1e-4,2e-4: several values are a sweep; add -m"),
        (
            ["optimizer.betas=0.5,0.9"],
            "optimizer.betas=0.5,0.9: several values are a sweep; add -m (python -m dcgan.train -m ...); a list is "
            "optimizer.betas=[0.5,0.9]",
        ),
        (["trainer.gpus=0,1"], "trainer.gpus=0,1: several values are a sweep; add -m (python -m dcgan.train -m ...); "),
        (
            ["optimizer.betas=(0.5, 0.9)"],
            "optimizer.betas=(0.5, 0.9): not key=value; a list is 'optimizer.betas=[0.5,0.9]'",
        ),
        (["trainer.gpus=auto", "trainer.accelerator=tpu"], "trainer: Requirement 'torch_xla"),
        (["data.root=a=b"], "data.root=a=b: not key=value; quote a value"),
        (
            ["penalty.name=wgan_gp", "model.discriminator.norm=layer"],
            "penalty.gamma: no value; give it as penalty.gamma=",
        ),
    ],
)
def test_nothing_typed_is_dropped_and_nothing_is_a_traceback(words: list[str], line: str, command: Any) -> None:
    (printed,) = command("train", *TINY, *words).err.splitlines()
    assert printed.startswith(f"error: {line}"), printed


def test_metrics_none_takes_no_settings(command: Any) -> None:
    result = command("train", *TINY, "metrics=none", "metrics.every=5")
    assert result.err.startswith("error: metrics.every=5: metrics=none has no use for it, only inception, digits")


def test_a_key_misspelt_in_an_experiment_file_is_refused(
    command: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\noptimizer:\n  learning_rate: 1\n")
    result = command("train", f"hydra.searchpath=[file://{folder}]", "experiment=mine")
    assert result.err == "error: optimizer.learning_rate: no such key; --help lists them\n"


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("defaults: [{override /health: 'off'}]", ""),
        ("defaults: [{override /health: off}]", "a file's defaults: on and off need quotes, as in `override /health: "),
        (
            "defaults: [{override /health: act}]\nhealth: {action: pause}",
            "health.action=pause: must be one of stop, roll",
        ),
        ("defaults: [{override /health: act}]\nhealth: {rollbacks: 0}", "health.rollbacks=0: must be at least 1"),
    ],
)
def test_what_an_experiment_says_of_health(
    written: str, line: str, command: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("conf")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{written}\n")
    result = command("train", f"hydra.searchpath=[file://{folder}]", "experiment=mine", "model.depth=3")
    assert result.err.startswith(f"error: {line or 'model.depth=3: data.resolution'}")


def test_the_traceback_is_there_for_who_wants_it(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="seed=-1"):
        command("train", "seed=-1")


@pytest.mark.parametrize(
    ("schema", "entry", "word", "line"),
    [
        (EvaluateConfig, "evaluate", "split=val", "split=val: must be one of test, train"),
        (EvaluateConfig, "evaluate", "num_samples=1", "num_samples=1: must be at least 10"),
        (EvaluateConfig, "evaluate", "checkpoint=newest", "checkpoint=newest: must be best, last, or the number"),
        (GenerateConfig, "generate", "n=0", "n=0: must be at least 1"),
        (GenerateConfig, "generate", "seed=null", "seed=null: must be a whole number from 0"),
        (GenerateConfig, "generate", "seed=x", "seed=x: must be a whole number from 0 to 2**32 - 1, or a list"),
        (GenerateConfig, "generate", "seed=1.5", "seed=1.5: must be a whole number from 0 to 2**32 - 1, or a list"),
        (GenerateConfig, "generate", "seed=[3,-4]", "seed=[3, -4]: must be a whole number from 0 to 2**32 - 1, or a"),
        (GenerateConfig, "generate", "label=true", "label=True: must be a class, by its number or its name, a list"),
        (GenerateConfig, "generate", "label=[]", "label=[]: must be a class, by its number or its name, a list"),
        (GenerateConfig, "generate", "steps=-1", "steps=-1: must be a step, or a list of them"),
        (GenerateConfig, "generate", "truncation=0", "truncation=0.0: must be a finite number above 0"),
        (
            GenerateConfig,
            "generate",
            "mode=film",
            "mode=film: must be one of grid, interpolate, progress, compare, she",
        ),
        (
            GenerateConfig,
            "generate",
            "format=mp4",
            "format=mp4: must be one of grid, png, npz, gif, webp; nothing that ",
        ),
        (GenerateConfig, "generate", "format=jpg", "format=jpg: must be one of grid, png, npz, gif, webp"),
        (GenerateConfig, "generate", "device=tpu", "device=tpu: must be one of auto, cpu, cuda, mps"),
    ],
)
def test_mistakes_of_the_other_commands(schema: Any, entry: str, word: str, line: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        check(composed("run=x", word, entry=entry), schema, typed=[word])
    assert str(error.value).startswith(line)


def test_keys_that_take_a_list_are_known_by_their_rules() -> None:
    networks = ("optimizer", "optimizer.generator", "optimizer.discriminator")
    assert {*list_keys(TrainConfig)} == {f"{one}.betas" for one in networks} | {"trainer.gpus", "trainer.devices"}
    assert {*list_keys(SCHEMAS["generate"])} == {"seed", "label", "steps"}
    assert "objective" in list_keys(SCHEMAS["tune"])


def test_a_run_is_needed(command: Any) -> None:
    assert command("generate").err.startswith("error: run=, zoo=: name one of them, a run folder or a generator that")
    for words in ([], ["run=a", "samples=b"]):
        result = command("evaluate", *words)
        assert result.err.startswith("error: run=, samples=: name one of them, a run folder or a file")


def test_a_data_set_brings_the_metrics_that_fit_it() -> None:
    for name, record in CATALOGUE.items():
        assert composed(f"data={name}").metrics.name == (record.space or "none")
    assert composed("data=stacked_mnist", "metrics=inception").metrics.name == "inception"
