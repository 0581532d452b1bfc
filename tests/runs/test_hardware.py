import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Result, config, printed_run
from lightning.fabric.accelerators.cuda import _check_cuda_matmul_precision
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.profilers import SimpleProfiler

from dcgan.models.precision import without_tf32
from dcgan.runs import hardware
from dcgan.runs import run as runs
from dcgan.runs.hardware import STRATEGIES, accelerator_for, precision_for, resolve_hardware, several_processes
from dcgan.runs.launch import cluster_environment
from dcgan.runs.provenance import provenance
from dcgan.runs.trainer import NoProfiler, quiet_lightning


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
    for strategy in STRATEGIES:
        asked = {"accelerator": "cpu", "strategy": strategy}
        assert resolve(**asked, devices=devices)["strategy"] == "ddp_find_unused_parameters_true"
        assert "strategy" not in resolve(**asked, devices=1)


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


ELSEWHERE = {"MASTER_ADDR": "somewhere.else", "MASTER_PORT": "1", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
JSM = {"JSM_NAMESPACE_LOCAL_RANK": "1", "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2"}
SLURM = {"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "gan", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize("srun", [False, True], ids=["", "srun"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SLURM_NTASKS": "2"},
        {**SLURM, "SLURM_JOB_NAME": "interactive", "SLURM_STEP_NUM_TASKS": "1"},
        {**SLURM, "SLURM_NTASKS_PER_NODE": "8", "SLURM_NNODES": "2"},
        {**SLURM, "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"},  # a seed for each task
        {"TORCHELASTIC_RUN_ID": "17"},
        {"TORCHELASTIC_RUN_ID": "17", "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
        {"LSB_JOBID": "17", "LSB_DJOB_RANKFILE": "gone", **JSM},
        {"KUBERNETES_PORT": "tcp://10.0.0.1:443", "NODE_RANK": "2", "GROUP_RANK": "1", **ELSEWHERE},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMI_RANK": "1", "XRT_TPU_CONFIG": "tpu"},
    ],
)
def test_a_run_of_one_process_starts_anywhere_and_in_silence(
    variables: dict[str, str], srun: bool, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    if srun:
        Path("srun").write_text("#!/bin/sh\n")
        Path("srun").chmod(0o755)
        monkeypatch.setenv("PATH", str(Path.cwd()), prepend=os.pathsep)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", int(variables.get("RANK", variables.get("SLURM_PROCID", 0))))
    result = command("train", *TINY, "metrics=none", "trainer.max_steps=2")
    assert (result.code, result.err) == (0, "")
    run = Path(printed_run(result.out))
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "provenance.jsonl", "samples", "checkpoints"}


def test_a_run_that_was_killed_at_its_end_is_said_to_be_finished_anywhere(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "metrics=none", "trainer.max_steps=2", "name=mine", "resume=auto"]
    assert command("train", *words).code == 0
    status = Path("outputs/mine/status.json")
    status.write_text(json.dumps(json.loads(status.read_text()) | {"state": "interrupted"}))
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as it is in a process that began with such variables
    assert command("train", *words).out == "outputs/mine: finished already (steps 2)\n"
    assert json.loads(status.read_text())["state"] == "finished"


def test_torchrun_with_more_processes_than_the_run_is_for_is_told(
    command: Callable[..., Result], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "17", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    result = command("train", *TINY, "metrics=none", "trainer.max_steps=2")
    assert result.code == 1
    assert "torchrun started 2 processes of a run that is for one; take trainer.gpus=2, or" in result.err
    assert result.err.count("\n") == 1
    assert not (workdir / "outputs").exists()


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, LightningEnvironment),
        (SLURM, LightningEnvironment),  # an allocation, in which nothing was started by srun
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}, SLURMEnvironment),
        ({**SLURM, "TORCHELASTIC_RUN_ID": "17"}, TorchElasticEnvironment),
    ],
)
def test_several_processes_are_the_launchers_where_there_is_one(
    variables: dict[str, str], kind: type[ClusterEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment = cluster_environment(several=True)
    assert isinstance(environment, kind)
    assert not getattr(environment, "auto_requeue", False)


@pytest.mark.parametrize("devices", [1, 2])
def test_statistics_are_shared_by_gpus_alone(devices: int) -> None:
    trainer = config("trainer.sync_batchnorm=true").trainer
    trainer.gpus, trainer.accelerator, trainer.devices = "auto", "cpu", devices
    if devices == 1:  # where it does nothing, as of a run that goes on here
        assert resolve_hardware(trainer)["accelerator"] == "cpu"
    else:
        with pytest.raises(ValueError, match=r"^trainer.sync_batchnorm=true: is of GPUs, and this run is on the CPU"):
            resolve_hardware(trainer)


def test_several_processes_by_any_word() -> None:
    assert several_processes(2, {"accelerator": "cpu", "devices": 1})
    assert several_processes(1, {"accelerator": "cpu", "devices": "2"})
    assert several_processes(1, {"accelerator": "cuda", "devices": [0, 2]})
    assert not several_processes(1, {"accelerator": "cpu", "devices": 1})
    assert not several_processes(1, {"accelerator": "cuda", "devices": [2]})


def test_cudnn_tries_its_algorithms_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve()["benchmark"] is resolve(accelerator="gpu", devices=1)["benchmark"] is True
    for arguments in ({"gpus": 0}, {"benchmark": False}, {"deterministic": True}, {"deterministic": "warn"}):
        assert "benchmark" not in resolve(**arguments)


def test_lightning_does_not_ask_the_other_processes_in_every_step(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.distributed, "broadcast", lambda *given, **_: asked.append(given))
    run = runs.build_run(config("metrics=none", "logger=none", root=os.environ["DCGAN_DATA"]), workdir / "run")
    run.trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor()
    assert not asked


def test_what_training_computes_in_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 1)
    machine = provenance([], device=cpu)["machine"]
    assert machine["accelerator"] is None
    assert machine["tf32"] is (torch.cuda.is_available() and torch.cuda.is_tf32_supported())
    assert machine["cudnn_benchmark"] is torch.backends.cudnn.benchmark
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    for supported in (True, False):
        monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda supported=supported: supported)
        assert provenance([], device=cpu)["machine"]["tf32"] is supported
        assert provenance([], device=gpu)["machine"]["accelerator"] == "GPU 1"
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)
    with without_tf32():
        assert provenance([], device=cpu)["machine"]["tf32"] is False


def test_nobody_is_told_of_tensor_cores(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is computed in what is decided here, and recorded."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    quiet_lightning()
    before = torch.get_float32_matmul_precision()
    _check_cuda_matmul_precision(torch.device("cuda", 0))
    assert capsys.readouterr() == ("", "")
    assert torch.get_float32_matmul_precision() == before
