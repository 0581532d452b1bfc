"""``python -m dcgan.generate run=<run folder> n=64 seed=3``: images from a run's generator, and of its training."""

from importlib import import_module
from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import GenerateConfig
from dcgan.sharing import asked
from dcgan.shell.cli import Launch, cli


def generate(config: GenerateConfig) -> Path:
    """Draw what ``mode`` says, write it as ``format`` says, and return where it is.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong; nothing is written.
        FileExistsError: ``out`` exists and ``overwrite`` is false.
    """
    asked.refuse(config)
    out = asked.place(config)
    import_module(f"dcgan.sharing.{config.mode}").write(config, out)  # torch loads here
    return out


def main(config: DictConfig, launch: Launch) -> Path:
    """Generate what the command line names, and say where it is."""
    out = generate(check(config, GenerateConfig, typed=launch.overrides))
    print(out)
    return out


if __name__ == "__main__":
    cli("generate", main)
