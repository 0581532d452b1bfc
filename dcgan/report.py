"""``python -m dcgan.report run=<folder>``: what the runs below a folder say together, in words first."""

from pathlib import Path

from omegaconf import DictConfig

from dcgan.config.check import check
from dcgan.config.schema import ReportConfig
from dcgan.shell.cli import Launch, cli
from dcgan.shell.words import pasted
from dcgan.shell.writing import refuse_no_folder


def report(config: ReportConfig) -> list[Path]:
    """Compare the runs below a folder, print the answer, and write it as Markdown, as CSV and as a page.

    Returns:
        The files.

    Raises:
        ValueError, OSError: one line on what is wrong, before anything is written.
    """
    from dcgan.reports.files import write_report  # numpy and scipy load here
    from dcgan.reports.plain import console
    from dcgan.reports.sweep import build_report

    run = Path(config.run)
    out = Path(config.out or run)
    if run.is_file():
        raise ValueError(f"{pasted('run', run)}: is a file; name a folder of runs")
    refuse_no_folder(out)
    found = build_report(run, metric=config.metric)
    print(console(found), flush=True)
    files = write_report(found, out)
    print(f"\n  read  {files[-1]}\n  also  {', '.join(map(str, files[:-1]))}")
    return files


def main(config: DictConfig, launch: Launch) -> list[Path]:
    """Report what the command line names."""
    return report(check(config, ReportConfig, typed=launch.overrides))


if __name__ == "__main__":
    cli("report", main)
