"""The files of a report."""

from collections.abc import Callable
from pathlib import Path

from dcgan.reports.plain import comma_separated, markdown
from dcgan.reports.sweep import Report
from dcgan.shell.writing import replacing


def write_report(report: Report, out: Path) -> list[Path]:
    """Write ``report.md``, ``report.csv`` and ``report.html`` into ``out``, each whole or not at all; the page last."""
    from dcgan.reports.sweep_page import page  # pandas and matplotlib load here

    out.mkdir(parents=True, exist_ok=True)
    texts: dict[str, Callable[[Report], str]] = {
        "md": markdown,
        "csv": comma_separated,
        "html": lambda report: page(report, out),
    }
    files = []
    for suffix, text in texts.items():
        files.append(out / f"report.{suffix}")
        content = text(report)
        with replacing(files[-1]) as temporary:
            temporary.write_text(content, encoding="utf-8", errors="replace")  # JSON can hold what no text can
    return files
