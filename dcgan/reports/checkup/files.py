"""What is wrong with files, before a pixel is looked at."""

from dcgan.data.decode import decode
from dcgan.reports.checkup.finding import Diagnosis, Finding, count, share
from dcgan.reports.checkup.seen import ENDINGS, WEBP, Seen, content_of, endings_of

# What decoders say of a file that ends too early.
CUT_OFF = ("truncated", "premature", "ended", "incomplete", "not enough", "unexpected end", "end of file")
MOST_LOOKED_INTO = 10_000  # files of other kinds, and
MOST_BYTES = 2**24  # of each


def check_files(seen: Seen, found: Diagnosis) -> None:
    """Unreadable and truncated files, wrong endings, pictures that nobody sees, several in one, those beside."""
    if seen.listing is None:
        for kind in ("wrong ending", "not seen", "several in one", "left out"):
            found.not_asked[kind] = "the images are no files"
    reasons = {i: one.reason for i, one in enumerate(seen.glances) if one.reason}
    cut = {i for i, reason in reasons.items() if any(word in reason.lower() for word in CUT_OFF)}
    for kind, chosen in (("unreadable", [*reasons.keys() - cut]), ("truncated", [*cut])):
        found.add(
            Finding(
                kind,
                [(seen.name(i), reasons[i]) for i in sorted(chosen)],
                f"training stops before step 1, or with data.unreadable=skip goes without {count(len(chosen))} "
                f"({share(len(chosen), len(reasons) + int(seen.readable.sum()))} of all)",
                "fetch or save them anew, or remove them",
                mended="leaves them out of a copy",
            )
        )
    _endings(seen, found)
    _unseen(seen, found)
    _several(seen, found)
    _left_out(seen, found)


def _ending(name: str) -> str:
    base = name.rpartition("/")[2]
    return f".{base.rpartition('.')[2]}".lower() if "." in base else ""


def _endings(seen: Seen, found: Diagnosis) -> None:
    there = {_ending(seen.collection.names(i)) for i in range(len(seen.glances))} if seen.listing else set()
    known = {ending for endings in (*ENDINGS.values(), WEBP) for ending in endings} & there
    wrong = [
        i
        for i, one in enumerate(seen.glances)
        if not one.reason and one.endings and _ending(seen.collection.names(i)) in known - {*one.endings}
    ]
    found.add(
        Finding(
            "wrong ending",
            [(seen.name(i), f"its content is {seen.glances[i].endings[0]}") for i in wrong],
            f"training reads {count(len(wrong), 'file')} by content, so nothing is lost here; tools that trust the "
            "ending refuse them, or take what was compressed with loss for exact",
            "rename them",
            wrong,
            mended="renames them in a copy",
        )
    )


def hidden_pictures(seen: Seen) -> list[tuple[str, str]]:
    """Files whose content is a picture, but not their ending; and the ending that they should have."""
    if seen.listing is None:
        return []
    chosen = [one for one in seen.listing.strangers if not one.fault and one.size <= MOST_BYTES]
    pictures = []
    for entry in chosen[:MOST_LOOKED_INTO]:
        try:
            content = content_of(seen.listing, entry)
            endings = endings_of(content)
            if endings and decode(content, background="black").size:
                pictures.append((entry.name, endings[0]))
        except ValueError:  # it is none, as its ending says
            continue
    return pictures


def _unseen(seen: Seen, found: Diagnosis) -> None:
    files = hidden_pictures(seen)
    found.add(
        Finding(
            "not seen",
            [(name, f"its content is {ending}") for name, ending in files],
            f"{count(len(files), 'picture')} ({share(len(files), len(files) + len(seen.glances))}) "
            f"{'does' if len(files) == 1 else 'do'} not take part: what is read is chosen by its ending",
            "rename them",
            mended="renames them in a copy",
        )
    )


def _several(seen: Seen, found: Diagnosis) -> None:
    chosen = [i for i, one in enumerate(seen.glances) if one.pictures > 1 and not one.reason]
    further = sum(seen.glances[i].pictures - 1 for i in chosen)
    found.add(
        Finding(
            "several in one",
            [(seen.name(i), f"{seen.glances[i].pictures} pictures") for i in chosen],
            f"{count(further, 'further picture')} in {count(len(chosen), 'file')} "
            f"{'is' if further == 1 else 'are'} not read",
            "save each as a file, or leave it so if the first is the one that is meant",
            chosen,
        )
    )


def _left_out(seen: Seen, found: Diagnosis) -> None:
    notes = [note for note in seen.collection.notes if "beside" in note]
    if seen.listing is None or not notes:
        return
    inside = {seen.collection.names(i) for i in range(len(seen.glances))}
    out = [entry.name for entry in seen.listing.entries if entry.name not in inside]
    depth = min(name.count("/") for name in inside)
    files = out if out else [name for name in sorted(inside) if name.count("/") == depth]
    found.add(
        Finding(
            "left out",
            [(name, "lies beside the folders") for name in files],
            "; ".join(notes),
            "put them into the folder that they belong to, or take them away",
        )
    )
