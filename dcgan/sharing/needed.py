"""What a format needs beside this package's own dependencies. No torch."""

from importlib.util import find_spec

FOR_ONNX = ("onnx", "onnxscript", "onnxruntime")  # of the extra dcgan[export]
NEEDED = {"onnx": FOR_ONNX, "web": FOR_ONNX}


def require(form: str, *, by: str) -> None:
    """Raise ValueError, with what to install, where something is missing; ``by``: what was typed."""
    for package in NEEDED.get(form, ()):
        if find_spec(package) is None:
            raise ValueError(f"{by}: {package} is not installed; pip install 'dcgan[export]'")
