"""From a configuration to a GAN and its data."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dcgan.config import options
from dcgan.config.combinations import ImpossibleError, check_combinations
from dcgan.config.options import Data, Optimizer, Option, OwnData
from dcgan.config.registry import lookup
from dcgan.config.schema import TrainConfig
from dcgan.data import prepared
from dcgan.data.latents import random_stream
from dcgan.data.module import ImageData
from dcgan.models import MODELS
from dcgan.models.base import Discriminator, Generator, Shape
from dcgan.training.augment import AUGMENTS
from dcgan.training.gan import GAN
from dcgan.training.losses import LOSSES
from dcgan.training.objective import Objective
from dcgan.training.optim import OPTIMIZERS, OptimizerBuilder, Rates
from dcgan.training.penalties import PENALTIES
from dcgan.training.player import Player

FEW = 500  # images; with 100 DiffAugment helps, with 1,000 it no longer does (experiments/2026-11-29_few_images)


def build_gan(config: TrainConfig) -> GAN:
    """Networks with weights that follow from the seed, objective and optimisers.

    Raises:
        ValueError: no such network; the message names the key, the value and what it may be.
    """
    generator, discriminator = build_networks(config)
    optimizer = config.optimizer
    return GAN(
        Player(generator, _optimizer(optimizer.generator, key="optimizer.generator"), optimizer.generator.clip),
        Player(
            discriminator,
            _optimizer(optimizer.discriminator, key="optimizer.discriminator"),
            optimizer.discriminator.clip,
            weight_clip=getattr(config.loss, "weight_clip", None),
        ),
        objective=build_objective(config),
        seed=config.seed,
        d_steps=config.d_steps,
        ema_half_life=config.ema.half_life,
        fast=config.fast,
        rates=Rates(optimizer.schedule, optimizer.warmup),
    )


def build_networks(config: TrainConfig) -> tuple[Generator, Discriminator]:
    """The generator and the discriminator."""
    networks, shape = lookup(MODELS, config.model.name, key="model.name"), Shape.of(config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(random_stream(config.seed, "weights").get_state())
        return networks.generator(config.model, shape), networks.discriminator(config.model, shape)


def build_objective(config: TrainConfig) -> Objective:
    """The loss, and what is optional about it."""
    loss = _own(config.loss, Option)
    label_flipping = loss.pop("label_flipping", 0.0)
    loss.pop("weight_clip", None)  # the discriminator's, after its step
    objective = Objective(
        lookup(LOSSES, config.loss.name, key="loss.name")(**loss),
        label_flipping=label_flipping,
        consistency=getattr(config.augment, "consistency", 0.0),
    )
    if config.penalty.name != "none":
        assert isinstance(config.penalty, options.Penalty)
        penalty = lookup(PENALTIES, config.penalty.name, key="penalty.name")
        objective.penalty = partial(penalty, **_own(config.penalty, options.Penalty))
        objective.gamma, objective.penalty_every = config.penalty.gamma, config.penalty.every
    if config.augment.name != "none":
        assert isinstance(config.augment, options.Augment)
        augment = lookup(AUGMENTS, config.augment.name, key="augment.name")
        objective.augment = augment(**_own(config.augment, options.Augment))
    return objective


def _own(option: Option, base: type) -> dict[str, Any]:
    """The keys that an option has beyond those of ``base``: the arguments of what it names."""
    shared = {field.name for field in fields(base)}
    return {field.name: getattr(option, field.name) for field in fields(option) if field.name not in shared}


def _optimizer(option: Optimizer, *, key: str) -> OptimizerBuilder:
    return partial(lookup(OPTIMIZERS, option.name, key=f"{key}.name"), lr=option.lr, **_own(option, Optimizer))


def with_facts(config: TrainConfig) -> tuple[TrainConfig, list[str]]:
    """What only the images themselves say, filled in and held to the rules; and in words, for a person to know.

    Raises:
        ValueError, OSError: one line on what is wrong with them, or does not go together now.
    """
    if not isinstance(config.data, OwnData):
        return config, []
    data, facts = prepared.with_facts(config.data)
    config = replace(config, data=data)
    try:
        check_combinations(config)
    except ImpossibleError as error:
        why = [note for note in facts.notes if "labels" in note] if str(error).startswith("model.conditional=") else []
        raise ImpossibleError("; ".join([str(error), *why])) from error
    classes = data.classes or []
    if getattr(config.model, "conditional", False) and 0 in facts.to_train:
        name = classes[facts.to_train.index(0)]
        raise ValueError(f"data.folder={data.folder}: class {name} has no image to train on; add some, or remove it")
    return config, prepared.in_words(facts, data) + _few(facts.num_train, config)


def _few(images: int, config: TrainConfig) -> list[str]:
    """What helps where a discriminator can learn the images by heart."""
    if images >= FEW or config.augment.name != "none":
        return []
    return [f"{images} images are few, and a discriminator soon knows them by heart: try augment=diffaugment"]


def moved(data: Data, *, root: str, folder: str | None) -> Data:
    """The data of a run, where the command line says: a stranger's checkpoint chooses no path on this machine.

    Raises:
        ValueError: it says nothing of images of one's own.
    """
    if not isinstance(data, OwnData):
        return replace(data, root=root)
    if folder is None:
        raise ValueError(
            f"data.folder: the run had {data.folder}; a run folder chooses no path here: type data.folder=<path> again"
        )
    return replace(data, root=root, folder=folder)


def build_data(config: TrainConfig) -> ImageData:
    """The DataModule; nothing is read yet. Of one's own images what ``with_facts`` says is there."""
    assert config.data.resolution is not None
    assert config.data.channels is not None
    return ImageData(
        name=config.data.name,
        root=Path(config.data.root),
        batch_size=config.data.batch_size,
        resolution=config.data.resolution,
        channels=config.data.channels,
        d_steps=config.d_steps,
        seed=config.seed,
        own=config.data if isinstance(config.data, OwnData) else None,
    )
