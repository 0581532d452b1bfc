"""From a configuration to a GAN and its data."""

import inspect
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch

from dcgan.augment import AUGMENTS, Augment
from dcgan.config.combinations import NUM_CLASSES, OPTIMIZER_OPTIONS
from dcgan.config.schema import AugmentConfig, LossConfig, ModelConfig, NetworkOptimizerConfig, TrainConfig
from dcgan.data.module import ImageData
from dcgan.gan import GAN
from dcgan.latents import random_stream
from dcgan.losses import LOSSES, Loss, NonSaturating
from dcgan.models import MODELS
from dcgan.models.base import Builder, Discriminator, Generator
from dcgan.models.conditioning import Head
from dcgan.models.encoder import Encoder
from dcgan.models.layers import Down, FromImages, ToImages, ToMaps, Up
from dcgan.objective import Objective
from dcgan.optim import OPTIMIZERS, OptimizerBuilder
from dcgan.penalties import PENALTIES
from dcgan.registry import lookup


def build_gan(config: TrainConfig) -> GAN:
    """Networks with weights that follow from the seed, objective and optimisers.

    Raises:
        ValueError: no such network; the message names the key, the value and what it may be.
    """
    generator, discriminator = build_networks(config)
    return GAN(
        generator,
        discriminator,
        objective=build_objective(config),
        generator_optimizer=_optimizer(config.optimizer.generator, key="optimizer.generator"),
        discriminator_optimizer=_optimizer(config.optimizer.discriminator, key="optimizer.discriminator"),
        seed=config.seed,
        d_steps=config.d_steps,
        ema_half_life=config.ema.half_life,
        channels_last=config.channels_last,
        generator_clip=config.optimizer.generator.clip,
        discriminator_clip=config.optimizer.discriminator.clip,
        weight_clip=config.loss.weight_clip,
        schedule=config.optimizer.schedule,
        warmup=config.optimizer.warmup,
        encoder=_encoder(config, generator, discriminator),
    )


def build_networks(config: TrainConfig) -> tuple[Generator, Discriminator]:
    """The generator and the discriminator."""
    build = lookup(MODELS, config.model.name, key="model.name")
    arguments = _model_arguments(config.model, build)
    if config.model.conditional:
        arguments |= _conditional_arguments(config, build)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_stream(config.seed, "weights").initial_seed())
        networks = build(**arguments, channels=config.data.channels, resolution=config.data.resolution)
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, FromImages | ToImages):
            layer.fast = config.fast_ends
        if isinstance(layer, Down | Up):
            layer.fast = config.fast_gradients
        if isinstance(layer, ToMaps):
            layer.channels_last = config.channels_last
    return networks


def _encoder(config: TrainConfig, generator: Generator, discriminator: Discriminator) -> Encoder | None:
    if config.encoder.share is None:
        return None
    head = discriminator.head
    assert isinstance(head, Head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_stream(config.seed, "weights", 1).initial_seed())
        return Encoder(head.logit.in_features, latent_dim=generator.latent_dim, share=config.encoder.share)


def _model_arguments(model: ModelConfig, build: Builder) -> dict[str, Any]:
    """What ``build`` has arguments for. A key that it ignores must be empty, one that it needs must not."""
    given = {key: value for key, value in asdict(model).items() if key not in ("name", "norm", "conditional")}
    for network in ("generator", "discriminator"):
        given |= {f"{network}_{key}": value for key, value in given.pop(network).items()}
    parameters = inspect.signature(build).parameters
    for key, value in given.items():
        shown = "model." + key.replace("generator_", "generator.").replace("discriminator_", "discriminator.")
        if key not in parameters and value and (key, value) != ("discriminator_pack", 1):
            raise ValueError(f"{shown}={value}: model={model.name} has no use for it; leave it null")
        if key in parameters and value is None and type(None) not in get_args(parameters[key].annotation):
            raise ValueError(f"{shown}=null: model={model.name} needs a value")
    arguments = {key: value for key, value in given.items() if key in parameters}
    return arguments | ({"num_classes": 0} if "num_classes" in parameters else {})


def _conditional_arguments(config: TrainConfig, build: Builder) -> dict[str, Any]:
    if "num_classes" not in inspect.signature(build).parameters:
        raise ValueError(f"model.conditional=true: model={config.model.name} takes no labels; leave it false")
    return {
        "num_classes": NUM_CLASSES[config.data.name],
        "generator_conditioning": config.model.generator.conditioning or "concat",
        "discriminator_conditioning": config.model.discriminator.conditioning or "projection",
    }


def build_objective(config: TrainConfig) -> Objective:
    """The loss, and what is optional about it."""
    penalty = None if config.penalty.name == "none" else lookup(PENALTIES, config.penalty.name, key="penalty.name")
    return Objective(
        _loss(config.loss),
        label_flipping=config.loss.label_flipping or 0.0,
        penalty=penalty,
        gamma=config.penalty.gamma or 0.0,
        penalty_every=config.penalty.every or 1,
        augment=_augment(config.augment),
        consistency=config.augment.consistency or 0.0,
        reconstruction=config.encoder.weight or 0.0,
        kl=config.encoder.kl or 0.0,
    )


def _loss(config: LossConfig) -> Loss:
    kind = lookup(LOSSES, config.name, key="loss.name")
    return NonSaturating(label_smoothing=config.label_smoothing) if config.label_smoothing else kind()


def _augment(config: AugmentConfig) -> Augment | None:
    if config.name == "none":
        return None
    kind = lookup(AUGMENTS, config.name, key="augment.name")
    return kind(**{key: getattr(config, key) for key in inspect.signature(kind).parameters})


def _optimizer(config: NetworkOptimizerConfig, *, key: str) -> OptimizerBuilder:
    kind = lookup(OPTIMIZERS, config.name, key=f"{key}.name")
    options = {"betas": config.betas, "momentum": config.momentum, "weight_decay": config.weight_decay}
    known = {name: options[name] for name, users in OPTIMIZER_OPTIONS.items() if config.name in users}
    return partial(kind, lr=config.lr, **{name: value for name, value in known.items() if value is not None})


def build_data(config: TrainConfig) -> ImageData:
    """The DataModule; nothing is read yet."""
    return ImageData(
        name=config.data.name,
        root=Path(config.data.root),
        batch_size=config.data.batch_size,
        resolution=config.data.resolution,
        channels=config.data.channels,
        d_steps=config.d_steps,
        seed=config.seed,
    )
