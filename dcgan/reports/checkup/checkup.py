"""A check-up from its first look to its page."""

from pathlib import Path

from dcgan.config.catalogue import CATALOGUE
from dcgan.config.options import Data
from dcgan.reports.checkup.examine import examine
from dcgan.reports.checkup.fix import mend, refuse_copy, refuse_place
from dcgan.reports.checkup.page import write_checkup
from dcgan.reports.checkup.seen import look
from dcgan.reports.checkup.words import console
from dcgan.shell.writing import refuse_no_folder

SCORED = 2000  # images that an evaluation while training is of, where a feature space knows the data set


def check_up(data: Data, *, scored: int | None, out: Path, fix: Path | None) -> bool:
    """Look at every image, print what is found, and leave a page; whether there is nothing to mend.

    Args:
        scored: images that each evaluation while training is of; None: as the data set is scored by default.
        fix: where a mended copy is written; None: nowhere.

    Raises:
        ValueError, OSError: one line, before anything is written or in the place of what could not be.
    """
    source = Path(data.folder) if hasattr(data, "folder") else None
    refuse_place(out, source, key="out")
    refuse_no_folder(out)
    if fix is not None:
        refuse_place(fix, source, key="fix")
        refuse_copy(fix)
    seen = look(data)
    if fix is not None and seen.listing is None:
        raise ValueError(f"fix={fix}: copies a folder or .zip of pictures; {seen.said} is none")
    known = SCORED if CATALOGUE[data.name].space else None
    found = examine(seen, scored=scored or known)
    print(console(seen, found), flush=True)  # before anything is written, which a full disk may refuse
    mended = mend(seen, found, fix) if fix is not None else ""
    files = write_checkup(seen, found, out, mended=mended)
    print(f"  {mended}\n" * bool(mended) + f"\n  see  {files[-1]}\n  all  {files[0]}")
    return not found.alarms
