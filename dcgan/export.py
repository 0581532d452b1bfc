"""``python -m dcgan.export run=<run folder> format=onnx``: a generator as one folder to hand on."""

from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import ExportConfig
from dcgan.sharing.needed import require
from dcgan.shell.cli import Launch, cli


def export(config: ExportConfig) -> Path:
    """Write the generator of a checkpoint, its card and some samples into a folder; return the folder.

    Raises:
        ValueError, FileNotFoundError: one line on what is wrong; nothing is written.
        FileExistsError: ``out`` exists and ``overwrite`` is false, or holds what this command does not write.
    """
    require(config.format, by=f"format={config.format}")
    from dcgan.sharing.folder import place, write_folder  # torch loads here

    return write_folder(config, place(config))


def main(config: DictConfig, launch: Launch) -> Path:
    """Export what the command line names, and say where it is."""
    out = export(check(config, ExportConfig, typed=launch.overrides))
    print(f"  card  {out / 'README.md'}")
    return out


if __name__ == "__main__":
    cli("export", main)
