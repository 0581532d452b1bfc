"""What a check-up can find, and what it says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

KINDS = {  # what is looked for, in the order in which it is told
    "unreadable": "files that cannot be read as a picture",
    "truncated": "pictures that end too early",
    "wrong ending": "pictures whose ending names another format",
    "not seen": "pictures whose ending hides them",
    "several in one": "files that hold several pictures, of which the first is taken",
    "left out": "pictures that lie beside the folders that say what they are",
    "empty class": "folders of classes without an image, to train on or to test with",
    "tiny class": "classes with too few images to learn",
    "imbalance": "classes that others outnumber",
    "too few": "fewer images than training or its scores need",
    "small": "images smaller than what is trained on",
    "mixed sizes": "images of another scale than the others",
    "cropping": "what is lost to the square in the middle",
    "grey and colour": "images in grey among colour, or the reverse",
    "constant": "images of one value",
    "inverted": "negatives",
    "washed out": "images with next to no contrast",
    "duplicate": "images that are there more than once",
    "near duplicate": "images that are nearly there more than once",
    "leakage": "images to train on that are in the test split, too",
    "contradiction": "one image with several labels",
    "wrong label": "labels that all of the most similar images speak against",
}


@dataclass(frozen=True)
class Finding:
    """One kind of trouble."""

    kind: str
    files: Sequence[tuple[str, str]]  # names, and what is to be said of each
    consequence: str
    remedy: str
    images: Sequence[int] = ()  # those of ``files`` that can be shown, in their order
    mended: str = ""  # what ``fix=`` does with them, in words
    alarm: bool = True  # False: it is told, but carefully made sets have as much of it


@dataclass
class Diagnosis:
    """All that was found, and what could not be looked for."""

    findings: list[Finding] = field(default_factory=list)
    not_asked: dict[str, str] = field(default_factory=dict)  # kinds, and why

    @property
    def alarms(self) -> list[Finding]:
        """What is to be mended."""
        return [one for one in self.findings if one.alarm]

    @property
    def clean(self) -> list[str]:
        """The kinds that were looked for and not found."""
        found = {one.kind for one in self.findings}
        return [kind for kind in KINDS if kind not in found and kind not in self.not_asked]

    def add(self, finding: Finding) -> None:
        """Take it in, if there is anything in it; kinds stay in their order."""
        if finding.files:
            self.findings.append(finding)
            self.findings.sort(key=lambda one: [*KINDS].index(one.kind))


def count(number: int, one: str = "image", many: str = "") -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(number: int, of: int) -> str:
    """One number of another, as a percentage."""
    return percent(number / max(1, of))


def percent(part: float) -> str:
    """A percentage, of which small ones keep a digit that says something."""
    return f"{100 * part:.2g} %" if 0 < part < 0.001 else f"{100 * part:.{0 if part >= 0.1 else 1}f} %"
