"""experiments/quickstart.ipynb runs from its first cell to its last, and shows what it says."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "experiments" / "quickstart.ipynb"


@pytest.mark.filterwarnings("ignore")  # of Jupyter
@pytest.mark.slow
def test_the_notebook_runs(mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_DATA", str(mnist_root))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[1]), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # they are made, not kept
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    text = next(output["data"]["text/plain"] for output in shown[::-1] if "text/plain" in output.get("data", {}))
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:]}
    ours, fresh, real = map(float, rows["fid_digits_test_10k"])
    assert real < ours < 1 < fresh
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
