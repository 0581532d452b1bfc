"""The files of a report."""

from pathlib import Path

from dcgan.reports.plain import comma_separated, markdown
from dcgan.reports.sweep import Report
from dcgan.shell.writing import replacing


def write_report(report: Report, out: Path) -> list[Path]:
    """Write ``report.md`` and ``report.csv`` into ``out``, each whole or not at all; the page comes last."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {"md": markdown, "csv": comma_separated}
    files = []
    for suffix, text in texts.items():
        files.append(out / f"report.{suffix}")
        with replacing(files[-1]) as temporary:
            temporary.write_text(text(report), encoding="utf-8")
    return files
