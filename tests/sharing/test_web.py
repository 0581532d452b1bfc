"""The page of a generator as files: what is in them, where its runtime comes from, and how it is served."""

import base64
import hashlib
import io
import json
import os
import signal
import socket
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from synthetic import write_generators

from dcgan.runs.load import load_generator
from dcgan.sharing import runtime
from dcgan.sharing.directions import directions
from dcgan.sharing.serve import PageServer, listening
from dcgan.sharing.steps import write_pages
from dcgan.sharing.web import PARTS

CONTENTS = {runtime.MODULE: b"module", runtime.BINARY: b"binary"}


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put an ``npm`` whose ``pack`` delivers a package as the real one is laid out in the place of all tools."""
    for name, content in CONTENTS.items():
        monkeypatch.setitem(runtime.FILES, name, hashlib.sha256(content).hexdigest())
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def install(damage: bytes = b"") -> None:
        with tarfile.open(tmp_path / "package.tgz", "w:gz") as package:
            for name, content in CONTENTS.items():
                member = tarfile.TarInfo(f"package/dist/{name}")
                member.size = len(content + damage)
                package.addfile(member, io.BytesIO(content + damage))
        script = tmp_path / "bin" / "npm"
        script.write_text(
            f'#!/bin/sh\n[ "$1 $2" = "pack {runtime.PACKAGE}" ] && /bin/cp {tmp_path}/package.tgz p.tgz\n'
        )
        script.chmod(0o755)

    return install


@pytest.mark.parametrize("conditional", [True, False])
def test_the_folder_has_the_page_what_it_is_checked_with_and_a_card_for_a_space(
    conditional: bool, npm: Callable[..., None], workdir: Path, command: Any
) -> None:
    npm()
    run = write_generators(
        Path("run"), "model.width=4", f"model.conditional={conditional}", "data.channels=3", contrast=6
    )
    words = ["run=run", "checkpoint=last", "format=web", "out=mine", "data.root=kept"]
    result = command("export", *words)
    assert result.code == 0, result.err
    assert "mine/index.html" in result.out
    assert {path.name for path in Path("mine").iterdir()} == {*PARTS, "README.md", "samples.png"}
    for name, content in CONTENTS.items():
        assert (Path("mine") / name).read_bytes() == content
    found = json.loads(Path("mine/check.json").read_text())
    generator = load_generator(run, checkpoint="last")
    pixels = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8).reshape(16, 3, 28, 28)
    assert np.array_equal(pixels, generator.sample(n=16, seed=0).numpy())
    labels = None if found["labels"] is None else torch.tensor(found["labels"])
    assert np.array_equal(pixels, generator.draw(torch.tensor(found["latents"]), labels).numpy())
    model = json.loads(Path("mine/model.json").read_text())
    assert model["classes"] == ([str(i) for i in range(10)] if conditional else [])
    assert (model["channels"], model["resolution"], model["latent_dim"]) == (3, 28, generator.latent_dim)
    assert model["steps"] == [{"step": 0, "file": "generator.onnx"}]
    _, head, text = Path("mine/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["sdk"] == "static"
    assert yaml.safe_load(head)["app_file"] == "index.html"
    assert "python -m http.server" in text
    (workdir / "bin" / "npm").unlink()  # what was fetched is kept
    assert "out=mine: exists; choose another, or overwrite=true" in command("export", *words).err
    assert command("export", *words, "overwrite=true").code == 0


def test_a_page_loads_nothing_from_elsewhere() -> None:
    folder = Path(runtime.__file__).parent / "templates" / "web"
    assert {path.name for path in folder.iterdir()} <= PARTS
    for path in folder.iterdir():
        assert "//" not in path.read_text().replace("// ", ""), path  # no address but in words


@pytest.mark.parametrize("there", ["none", "damaged"])
def test_without_the_runtime_one_line_says_what_to_do(
    there: str, npm: Callable[..., None], workdir: Path, command: Any
) -> None:
    write_generators(Path("run"), "model.width=4")
    if there == "damaged":
        npm(damage=b"!")
    result = command("export", "run=run", "checkpoint=last", "format=web", "out=mine", "data.root=kept")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert f"{runtime.PACKAGE}, which runs the generator in a browser, could not be had: " in result.err
    reason = {"none": "npm is not installed", "damaged": f"{runtime.MODULE} is damaged (wrong SHA-256)"}[there]
    assert reason in result.err
    folder = f"kept/onnxruntime-web/{runtime.VERSION}"
    assert f"Install npm, or by hand: put {' and '.join(CONTENTS)} of its dist/ into {folder}" in result.err
    assert not Path("mine").exists()
    assert not list(Path(folder).iterdir())
    for name, content in CONTENTS.items():  # by hand
        (Path(folder) / name).write_bytes(content)
    assert command("export", "run=run", "checkpoint=last", "format=web", "out=mine", "data.root=kept").code == 0


def test_directions_are_orthonormal_and_the_first_changes_most(tmp_path: Path) -> None:
    generator = load_generator(write_generators(tmp_path / "run", "model.width=4"), checkpoint="last")
    found = directions(generator, generator.latent_dim)
    assert torch.allclose(found @ found.T, torch.eye(generator.latent_dim), atol=1e-5)
    assert torch.equal(found[:6], directions(generator, 6))
    latents = torch.randn(200, generator.latent_dim, generator=torch.Generator().manual_seed(1))

    def change(direction: torch.Tensor) -> float:
        return float((generator(latents + 0.1 * direction) - generator(latents)).square().sum())

    changes = [change(found[i]) for i in (0, 1, 5, 30, -1)]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 3 * changes[-1]


def get(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=60)


def test_a_demo_has_the_steps_that_were_kept_and_makes_each_once_when_it_is_asked_for(
    npm: Callable[..., None], tmp_path: Path
) -> None:
    npm()
    run = write_generators(tmp_path / "run", "model.width=4", steps=range(0, 2500, 100))
    (tmp_path / "page").mkdir()
    _, makers = write_pages(run, tmp_path / "page", checkpoint="last", root=tmp_path)
    steps = [one["step"] for one in json.loads((tmp_path / "page" / "model.json").read_text())["steps"]]
    assert (len(steps), steps[0], steps[-1]) == (20, 0, 2400)
    assert set(makers) == {f"step_{step:06d}.onnx" for step in steps[:-1]}
    with listening(tmp_path / "page", port=None) as server:
        server.makers = makers
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, kind in (
            *((".mjs", "text/javascript"), (".wasm", "application/wasm")),
            *((".js", "text/javascript"), (".html", "text/html"), (".css", "text/css"), (".json", "application/json")),
        ):
            file = next(file for file in sorted(PARTS) if file.endswith(name))
            assert get(server.url + file).headers["Content-Type"] == kind
        first = get(server.url + "step_000000.onnx").read()
        assert (tmp_path / "page" / "step_000000.onnx").read_bytes() == first
        made = (tmp_path / "page" / "step_000000.onnx").stat().st_mtime_ns
        assert get(server.url + "step_000000.onnx").read() == first
        assert (tmp_path / "page" / "step_000000.onnx").stat().st_mtime_ns == made
        (run / "checkpoints" / f"step_{steps[1]:06d}.generator.safetensors").write_bytes(b"damaged")
        with pytest.raises(urllib.error.HTTPError, match="is not a readable generator"):
            get(f"{server.url}step_{steps[1]:06d}.onnx")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server.url + "../run/config.yaml")
        server.shutdown()


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A demo is ended by Ctrl-C as soon as it serves; the addresses that a browser was sent to."""
    opened: list[str] = []

    def serve(self: PageServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    return opened


def test_a_demo_takes_a_free_port_of_loopback_opens_the_browser_and_ends_with_130(
    npm: Callable[..., None], interrupted: list[str], workdir: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm()
    write_generators(Path("run"), "model.width=4")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("dcgan.sharing.serve.FIRST", port)
        result = command("demo", "run=run", "checkpoint=last", "data.root=kept")
        (url,) = interrupted
        assert result.code == 130
        assert result.out.startswith(f"{url}  Ctrl-C ends it\n")
        number = int(url.removeprefix("http://127.0.0.1:").removesuffix("/"))
        assert port < number < port + 100
        result = command("demo", "run=run", "checkpoint=last", "data.root=kept", f"port={port}")
        assert result.err == f"error: port={port}: is in use; choose another, or leave it out for the next free one\n"
    result = command("demo", "run=run", "checkpoint=last", "data.root=kept", f"port={port}", "open=false")
    assert (result.code, len(interrupted)) == (130, 1)


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(
    npm: Callable[..., None], workdir: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm()
    write_generators(Path("run"), "model.width=4")
    monkeypatch.setattr("tempfile.tempdir", str(workdir))
    served: list[Path] = []

    def serve(self: PageServer) -> None:
        served.append(self.folder)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(PageServer, "serve_forever", serve)
    before = signal.getsignal(signal.SIGTERM)
    result = command("demo", "run=run", "checkpoint=last", "data.root=kept", "open=false")
    assert result.code == 128 + signal.SIGTERM
    assert served[0].parent == workdir
    assert not served[0].exists()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run=nothing"], "run=nothing: no run folder with checkpoints"),
        (["zoo=mnist"], "run=, zoo=: name one of them"),
        (["zoo=none", "run=null"], "zoo=none: there is no such generator"),
        (["checkpoint=7"], "checkpoint=7: run has last, step_000000"),
        (["port=0"], "port=0: must be at least 1, 65535 at most"),
        (["format=web"], "format: no such key"),
    ],
)
def test_a_mistake_in_a_demo_is_one_line(
    words: list[str], line: str, npm: Callable[..., None], interrupted: list[str], workdir: Path, command: Any
) -> None:
    npm()
    write_generators(Path("run"), "model.width=4")
    result = command("demo", "run=run", "checkpoint=last", "data.root=kept", *words)
    assert (result.code, result.err.count("\n"), interrupted) == (1, 1, [])
    assert line in result.err
