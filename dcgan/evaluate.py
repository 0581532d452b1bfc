"""``python -m dcgan.evaluate run=<run folder>``: the FID of a run's generator, against the test split."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dcgan.cli import Launch, cli
from dcgan.config.check import check
from dcgan.config.schema import EvaluateConfig

TEST_SAMPLES = 10_000


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Score a checkpoint of a run, append the record to the run's ``metrics.jsonl`` and return it.

    With ``split=train`` everything defaults to what training used, so its logged value comes out again.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong; nothing is written.
    """
    from dcgan import runs
    from dcgan.features import load_feature_space
    from dcgan.metrics import append_record, evaluate_samples, reference

    run = Path(config.run)
    gan, trained, step = runs.load_gan(run, checkpoint=config.checkpoint, device=config.device)
    if config.data.root is not None:
        trained.data.root = config.data.root
    metrics = config.metrics or trained.metrics
    space = load_feature_space("digits" if metrics.name == "none" else metrics.name, weights=metrics.weights)
    data = runs.build_data(trained)
    real = reference(space, data.split(config.split).images, cache=runs.statistics_folder(data.root), device=gan.device)
    default = TEST_SAMPLES if config.split == "test" else trained.metrics.num_samples or TEST_SAMPLES
    record = evaluate_samples(
        gan,
        space=space,
        real=real,
        split=config.split,
        num_samples=config.num_samples or default,
        seed=trained.seed if config.seed is None else config.seed,
    )
    record = {"step": step, "checkpoint": config.checkpoint, **record}
    append_record(run / "metrics.jsonl", record)
    return record


def main(config: DictConfig, launch: Launch) -> dict[str, Any]:
    """Evaluate what the command line names, and print it."""
    typed = check(config, EvaluateConfig)
    if typed.metrics is not None and typed.metrics.name == "none":
        raise ValueError("metrics=none: nothing to evaluate with; take digits or inception")
    for word in launch.overrides:
        if re.match(r"\W*metrics\.(every|num_samples)=", word):
            raise ValueError(f"{word}: is how often training evaluates, and on how much; here it is num_samples=")
    record = evaluate(typed)
    print(f"{record['metric']}  {record['value']:.4f}")
    print(f"  {record['num_fake']} samples of step {record['step']} against {record['num_real']} real images")
    print(f"  extractor {record['extractor']} ({record['extractor_sha256'][:12]}), {record['seconds']} s")
    print(f"  recorded in {config.run}/metrics.jsonl")
    return record


if __name__ == "__main__":
    cli("evaluate", main)
