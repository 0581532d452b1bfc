"""All checks of a data set, in their order."""

from dcgan.reports.checkup.doubts import check_labels
from dcgan.reports.checkup.duplicates import check_duplicates
from dcgan.reports.checkup.files import check_files
from dcgan.reports.checkup.finding import Diagnosis
from dcgan.reports.checkup.numbers import check_numbers
from dcgan.reports.checkup.pixels import check_pixels
from dcgan.reports.checkup.seen import Seen
from dcgan.reports.checkup.shapes import check_shapes, odd_colours


def examine(seen: Seen, *, scored: int | None) -> Diagnosis:
    """Everything that is found in what was seen.

    Args:
        scored: images that each evaluation while training is of; None: training scores nothing.
    """
    found = Diagnosis()
    check_files(seen, found)
    check_numbers(seen, found, scored=scored)
    check_shapes(seen, found)
    aside = check_pixels(seen, found)
    neighbours, disputed = check_duplicates(seen, found, aside)
    check_labels(seen, found, neighbours, disputed | odd_colours(seen))
    return found
