import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import config
from lightning.pytorch.profilers import SimpleProfiler

from dcgan.runs import hardware
from dcgan.runs import run as runs
from dcgan.runs.hardware import accelerator_for, precision_for, resolve_hardware
from dcgan.runs.trainer import NoProfiler


@pytest.mark.parametrize(
    ("gpus", "cuda", "mps", "expected"),
    [
        ("auto", 0, 0, ("cpu", 1)),
        ("auto", 4, 0, ("cuda", 1)),
        ("auto", 0, 1, ("mps", 1)),
        (0, 4, 0, ("cpu", 1)),
        (1, 4, 0, ("cuda", 1)),
        (1, 0, 1, ("mps", 1)),
        (3, 4, 0, ("cuda", 3)),
        (-1, 4, 0, ("cuda", 4)),
        ([0, 2], 4, 0, ("cuda", [0, 2])),
    ],
)
def test_gpus_become_accelerator_and_devices(
    gpus: Any, cuda: int, mps: int, expected: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accelerator_for(gpus, cuda=cuda, mps=mps) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("gpus", [1, 2, -1, [0, 1]])
def test_without_any_it_warns_once_and_takes_the_cpu(gpus: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert accelerator_for(gpus, cuda=0, mps=0) == ("cpu", 1)
    assert capsys.readouterr().err.splitlines() == [
        f"warning: trainer.gpus={gpus}: no accelerator on this machine; training on the CPU"
    ]


@pytest.mark.parametrize(("gpus", "cuda", "mps"), [(3, 2, 0), (2, 0, 1), ([0, 2], 2, 0)])
def test_fewer_than_asked_is_an_error_that_says_how_many_there_are(gpus: Any, cuda: int, mps: int) -> None:
    with pytest.raises(ValueError, match=f"this machine has {cuda or mps}"):
        accelerator_for(gpus, cuda=cuda, mps=mps)


@pytest.mark.parametrize("gpus", ["one", "true", "1.5", "null", "-2", "[]", "['0']", "[0,x]", "[-1]", "[0,0]"])
def test_what_is_no_number_of_devices(gpus: str) -> None:
    with pytest.raises(ValueError, match=r"trainer.gpus=.*must be auto, 0"):
        config(f"trainer.gpus={gpus}")


def resolve(**arguments: Any) -> dict[str, Any]:
    return resolve_hardware(replace(config().trainer, **{"gpus": "auto", **arguments}))


def test_accelerator_and_devices_pass_through_untouched() -> None:
    resolved = resolve(accelerator="cpu", devices=1, precision="32-true")
    assert resolved == {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


def test_gpus_beside_an_accelerator_is_refused() -> None:
    with pytest.raises(ValueError, match="trainer.gpus=1: leave it out"):
        resolve(gpus=1, accelerator="cpu")


@pytest.mark.parametrize("devices", [2, "2", [0, 1], "0,1"])
def test_several_devices_get_the_strategy_that_two_optimisers_need(devices: Any) -> None:
    assert resolve(accelerator="cpu", devices=devices)["strategy"] == "ddp_find_unused_parameters_true"
    assert resolve(accelerator="cpu", devices=devices, strategy="ddp_spawn")["strategy"] == "ddp_spawn"


@pytest.mark.parametrize("arguments", [{"num_nodes": 2}, {"accelerator": "gpu"}, {"accelerator": "gpu", "devices": -1}])
def test_and_where_their_number_is_left_open(arguments: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve(**arguments)["strategy"] == "ddp_find_unused_parameters_true"


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed"), ({"avx2": True}, "32-true")],
)
def test_auto_precision_is_bfloat16_where_the_cpu_computes_in_it(
    capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware.torch.cpu, "get_capabilities", lambda: capabilities)
    assert precision_for("auto", "cpu") == precision


def test_auto_precision_on_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert precision_for("auto", "cuda") == "bf16-mixed"
    assert precision_for("auto", "mps") == "32-true"
    assert precision_for("64-true", "cuda") == "64-true"


@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_if_the_configuration_says_so(
    keep: bool, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(runs, "keep_freed_memory", lambda: calls.append(True))
    words = [f"fast={keep}", "metrics=none", "logger=none"]
    runs.build_run(config(*words, root=os.environ["DCGAN_DATA"]), workdir / "run")
    assert len(calls) == keep


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has it")
def test_glibc_takes_the_thresholds() -> None:
    """In a process of its own, since it is for good; what it saves is measured in experiments/speed."""
    words = [sys.executable, "-c", "from dcgan.runs.hardware import keep_freed_memory; print(keep_freed_memory())"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "True\n"


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="this PyTorch asks no driver")
@pytest.mark.skipif(torch.cuda.is_available(), reason="here the driver is asked, rightly")
def test_no_driver_is_looked_for_at_every_step(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning does
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asked = []
    monkeypatch.setattr(torch.cuda, "_raw_device_count_nvml", lambda: asked.append(True) or 0)
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    torch.optim.Adam([weight]).step()
    assert asked  # what this is about: if PyTorch no longer asks, away with it
    runs.build_run(config("metrics=none", "logger=none", root=os.environ["DCGAN_DATA"]), workdir / "run")
    asked.clear()
    torch.optim.Adam([weight]).step()
    assert not asked


def test_nothing_is_profiled_unless_somebody_asks(workdir: Path) -> None:
    for words, kind in (([], NoProfiler), (["trainer.profiler=simple"], SimpleProfiler)):
        given = config("metrics=none", "logger=none", *words, root=os.environ["DCGAN_DATA"])
        assert type(runs.build_run(given, workdir / "run").trainer.profiler) is kind
