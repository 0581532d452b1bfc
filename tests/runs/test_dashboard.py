"""What TensorBoard shows, read back from the event file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result, printed_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")

FID = "fid_digits_train_60"
EVALUATED = {f"{metric}_digits_train_60" for metric in ("fid", "class_kl", "modes", "confident")}
SCALARS = {
    *(f"{group}/{side}" for group in ("logits", "probability", "accuracy") for side in ("real", "fake")),
    *(f"{group}/{net}" for group in ("loss", "grad_norm", "lr") for net in ("discriminator", "generator")),
    *("accuracy/fooled", "speed/images_per_second", *EVALUATED, f"best/{FID}"),
}


def events(run: Path) -> EventAccumulator:
    (_,) = run.glob("events.out.tfevents.*")  # one file, not a second one after the end
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


@pytest.mark.parametrize("d_steps", [1, 3])
def test_everything_is_there_and_on_one_axis(command: Callable[..., Result], workdir: Path, d_steps: int) -> None:
    words = ["trainer.max_steps=10", "trainer.log_every_n_steps=2", f"d_steps={d_steps}", "metrics.num_samples=60"]
    result = command("train", *TINY, *words, "metrics.every=4", "samples.every=4")
    assert result.code == 0, result.err
    read = events(Path(printed_run(result.out)))
    assert set(read.Tags()["scalars"]) == SCALARS

    def steps(tag: str) -> list[int]:
        return [event.step for event in read.Scalars(tag)]

    for tag in SCALARS - {*EVALUATED, f"best/{FID}"}:
        assert steps(tag) == [2, 4, 6, 8, 10], tag
    for tag in EVALUATED:
        assert steps(tag) == [4, 8, 10], tag
    assert steps(f"best/{FID}") == [10]
    assert read.Scalars(f"best/{FID}")[0].value == min(event.value for event in read.Scalars(FID))
    for tag in SCALARS:
        if tag.startswith(("accuracy", "probability")):
            assert all(0 <= event.value <= 1 for event in read.Scalars(tag)), tag
    assert [event.value for event in read.Scalars("lr/generator")] == [pytest.approx(2e-3)] * 5

    assert set(read.Tags()["images"]) == {"samples/generated", "samples/real"}
    assert [event.step for event in read.Images("samples/generated")] == [0, 4, 8, 10]
    assert [event.step for event in read.Images("samples/real")] == [0]


def test_each_job_of_a_sweep_is_a_row_with_its_metrics(command: Callable[..., Result], workdir: Path) -> None:
    words = ["trainer.max_steps=2", "metrics.num_samples=60", "optimizer.lr=1e-4,2e-4"]
    assert command("train", "-m", *TINY, *words).code == 0
    rates = set()
    for run in workdir.glob("outputs/sweeps/*/*/"):
        data = events(run).summary_metadata["_hparams_/session_start_info"].plugin_data.content
        row = plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info.hparams
        rates.add(row["optimizer.lr"].number_value)
        assert row["model.name"].string_value == "dcgan"
        assert not {"data.root", "samples.every", "trainer.gpus"} & set(row)
        data = events(run).summary_metadata["_hparams_/experiment"].plugin_data.content
        metrics = plugin_data_pb2.HParamsPluginData.FromString(data).experiment.metric_infos
        tags = {metric.name.tag for metric in metrics}
        assert tags == {"loss/discriminator", "loss/generator", FID, f"best/{FID}"}
        assert tags <= set(events(run).Tags()["scalars"])
    assert rates == {1e-4, 2e-4}


def test_evaluation_never_changes_training(command: Callable[..., Result], workdir: Path) -> None:
    from test_cli import assert_same, state

    runs = []
    for words in (["metrics.every=1", "samples.every=1", "metrics.num_samples=60"], ["metrics=none"]):
        result = command("train", *TINY, "trainer.max_steps=6", *words)
        assert result.code == 0, result.err
        runs.append(Path(printed_run(result.out)))
    assert_same(*(state(run) for run in runs))
