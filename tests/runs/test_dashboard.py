"""What TensorBoard shows, read back from the event file."""

import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Result, printed_run
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from dcgan.config.schema import TrainConfig, known_keys
from dcgan.runs.compared import hyperparameters

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")

FID = "fid_digits_train_60"
GROUP = "Evaluation/"
EVALUATED = {f"{metric}_digits_train_60" for metric in ("fid", "class_kl", "modes", "confident")}
SCALARS = {
    *(f"{group}/{side}" for group in ("logits", "probability", "accuracy") for side in ("real", "fake")),
    *(f"{group}/{net}" for group in ("loss", "grad_norm", "lr") for net in ("discriminator", "generator")),
    *("accuracy/fooled", "speed/images_per_second"),
    *(f"{GROUP}{name}" for name in (*EVALUATED, f"best/{FID}")),
}


def events(run: Path) -> EventAccumulator:
    (_,) = run.glob("events.out.tfevents.*")  # one file, not a second one after the end
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
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

    for tag in SCALARS:
        if tag.startswith(GROUP):
            continue
        assert steps(tag) == [2, 4, 6, 8, 10], tag
    for tag in EVALUATED:
        assert steps(GROUP + tag) == [4, 8, 10], tag
    assert steps(f"{GROUP}best/{FID}") == [4, 8, 10]
    *_, best = read.Scalars(f"{GROUP}best/{FID}")
    assert best.value == min(event.value for event in read.Scalars(GROUP + FID))
    for tag in SCALARS:
        if tag.startswith(("accuracy", "probability")):
            assert all(0 <= event.value <= 1 for event in read.Scalars(tag)), tag
    assert [event.value for event in read.Scalars("lr/generator")] == [pytest.approx(2e-3)] * 5

    assert [event.step for event in read.Histograms("logits/of_real")] == [2, 4, 6, 8, 10]
    for side in ("real", "fake"):
        (shown, *_), (mean, *_) = read.Histograms(f"logits/of_{side}"), read.Scalars(f"logits/{side}")
        values = shown.histogram_value
        assert values.num == 16
        assert values.sum / values.num == pytest.approx(mean.value, abs=1e-5)

    assert set(read.Tags()["images"]) == {"samples/generated", "samples/real"}
    assert [event.step for event in read.Images("samples/generated")] == [0, 4, 8, 10]
    assert [event.step for event in read.Images("samples/real")] == [0]


def test_what_is_read_together_is_in_one_chart(command: Callable[..., Result], workdir: Path) -> None:
    """Every expression of the layout meets a curve, and each curve that matters is met."""
    result = command("train", *TINY, "trainer.max_steps=2", "trainer.log_every_n_steps=1", "metrics.num_samples=60")
    read = events(Path(printed_run(result.out)))
    (event,) = read.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    asked = [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]
    scalars = read.Tags()["scalars"]
    met = {tag: [one for one in scalars if re.match(tag, one)] for tag in asked}  # as TensorBoard's own plugin does
    assert all(met.values()), met
    assert {one for found in met.values() for one in found} == {
        tag for tag in scalars if not tag.startswith(("lr/", "logits/", "speed/", f"{GROUP}modes_"))
    }


@pytest.mark.filterwarnings("ignore:The ``noload``")
@pytest.mark.slow
def test_other_loggers_work_offline(
    command: Callable[..., Result], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in one process, as a sweep does; and a resumed run is the same one there."""
    import mlflow

    words = [*TINY, "trainer.log_every_n_steps=1", "metrics=none", "samples.every=2"]
    swept = command("train", "-m", *words, "trainer.max_steps=2", "logger=wandb", "seed=0,1", "name=mine")
    assert swept.code == 0, swept.err
    assert len({path.name[-16:] for path in workdir.glob("outputs/sweeps/mine/*/wandb/offline-run-*")}) == 2
    (workdir / "it's").mkdir()
    monkeypatch.chdir(workdir / "it's")
    for steps in (2, 4):
        line = ["name=other", "resume=auto", f"trainer.max_steps={steps}", "logger=mlflow"]
        assert command("train", *words, *line).code == 0
    client = mlflow.MlflowClient("sqlite:///outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("dcgan").experiment_id])
    assert run.info.run_name == "other"
    assert [one.step for one in client.get_metric_history(run.info.run_id, "loss/generator")] == [1, 2, 3, 4]
    assert run.data.params["optimizer.lr"] == "0.002"
    assert any(path.suffix == ".png" for path in Path().glob("outputs/mlflow/**/samples_generated*"))


@pytest.mark.parametrize(("name", "module"), [("wandb", "wandb"), ("mlflow", "mlflow")])
def test_a_logger_that_is_not_installed_is_named(
    name: str, module: str, command: Callable[..., Result], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("lightning.pytorch.loggers.mlflow._MLFLOW_AVAILABLE", False)
    refused = command("train", *TINY, "metrics=none", f"logger={name}")
    assert refused.err == f"error: logger={name}: is not installed; pip install 'dcgan[{name}]'\n"
    assert not list(workdir.iterdir())


def hparams_tab(logdir: Path) -> tuple[list[api_pb2.HParamInfo], list[str], list[dict[str, Any]]]:
    """What TensorBoard itself makes of a folder: the columns, the tags of the metrics, and the rows."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    backend, asked = Context(TBContext(data_provider=provider)), RequestContext()
    experiment = get_experiment.Handler(asked, backend, "", api_pb2.GetExperimentRequest(hparams_limit=1000)).run()
    everything = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=api_pb2.Status.values())
    groups = list_session_groups.Handler(asked, backend, "", everything).run().session_groups
    rows = [{key: value.string_value or value.number_value for key, value in row.hparams.items()} for row in groups]
    return list(experiment.hparam_infos), [metric.name.tag for metric in experiment.metric_infos], rows


def test_each_job_of_a_sweep_is_a_row_and_what_was_swept_comes_first(
    command: Callable[..., Result], workdir: Path
) -> None:
    """Also beside a run that has no such key; TensorBoard shows five columns of each kind."""
    words = ["trainer.max_steps=2", "metrics.num_samples=60", "model.discriminator.norm=layer", "penalty.every=1,2"]
    assert command("train", "-m", *TINY, *words, "penalty=r1", "optimizer.clip=null,1").code == 0
    assert command("train", "hydra.run.dir=outputs/sweeps/one", *TINY, *words[:3]).code == 0  # without a penalty
    columns, metrics, rows = hparams_tab(workdir / "outputs")
    differ = [column.name for column in columns if column.differs]
    clips = [f"optimizer.{network}clip" for network in ("", "discriminator.", "generator.")]
    assert set(differ) == {*clips, "penalty.name", "penalty.every"}
    assert [column.name for column in columns][: len(differ)] == differ
    assert set(metrics[:5]) == {f"{GROUP}{name}" for name in (*EVALUATED, f"best/{FID}")}
    found = {(row["penalty.name"], row.get("penalty.every"), row["optimizer.clip"]) for row in rows}
    assert found == {*itertools.product(("r1",), (1, 2), ("null", 1)), ("none", None, "null")}
    for row in rows:
        assert row["optimizer.betas"] == row["optimizer.generator.betas"] == "[0.5, 0.999]"
        assert row["model.conditional"] == "false"
        assert row["metrics.num_samples"] == 60


def test_a_run_that_began_with_another_logger_has_a_row_too(command: Callable[..., Result], workdir: Path) -> None:
    words = [*TINY, "metrics=none", "optimizer.schedule=constant"]
    for logger in ("csv", "tensorboard"):
        run = printed_run(command("train", *words, "trainer.max_steps=2", f"logger={logger}").out)
        for steps in (3, 4):
            resumed = command("train", f"resume={run}", f"trainer.max_steps={steps}", "logger=tensorboard")
            assert resumed.code == 0, resumed.err
    rows = hparams_tab(workdir / "outputs")[2]
    assert sorted(row["trainer.max_steps"] for row in rows) == [2, 3]  # a run's first


ELSEWHERE = {"data.root", "data.folder", "data.memory", "metrics.weights", "trainer.default_root_dir"}
ELSEWHERE |= {"name", "resume", "trainer.gpus"}


def test_every_key_that_changes_what_is_computed_is_in_a_row() -> None:
    """Of every option, a new one's too: only what is listed here is left out."""
    kinds = ("samples.", "checkpoints.", "logger.", "health.")
    keys = {key for key in known_keys(TrainConfig) if not key.startswith(kinds)} - ELSEWHERE
    rows = hyperparameters(dict.fromkeys(keys, 1))
    assert {key for key in keys - set(rows) if not key.startswith("trainer.")} == set()
    trainer = "max_steps max_epochs max_time precision limit_train_batches fast_dev_run devices"
    trainer += " num_nodes strategy deterministic benchmark sync_batchnorm detect_anomaly"
    assert {key for key in rows if key.startswith("trainer.")} >= {f"trainer.{key}" for key in trainer.split()}
    new = {"penalty": {"new": 1}, "loss": {"of": [1, 2]}, "fast": True}
    assert hyperparameters(new) == {"penalty.new": 1, "loss.of": "[1, 2]", "fast": "true"}
    assert not hyperparameters(dict.fromkeys(ELSEWHERE, 1))
    looks, acts = ({"health": {"name": name, "every": 50}} for name in ("on", "act"))
    assert not hyperparameters(looks)  # training is the same with it
    assert hyperparameters(acts) == {"health.name": "act", "health.every": 50}


def test_configuration_and_command_are_texts_again_after_a_resume(
    command: Callable[..., Result], workdir: Path
) -> None:
    words = [*TINY, "metrics=none", "optimizer.betas=[0.1, 0.9]"]
    run = Path(printed_run(command("train", *words, "trainer.max_steps=2").out))
    assert command("train", f"resume={run}", "trainer.max_steps=4").code == 0

    def texts(tag: str) -> dict[int, str]:
        found = {}
        for path in run.glob("events.out.tfevents.*"):
            accumulator = EventAccumulator(str(path))
            accumulator.Reload()
            for event in accumulator.Tensors(f"run/{tag}/text_summary"):
                found[event.step] = event.tensor_proto.string_val[0].decode()
        return found

    config = texts("config")
    assert sorted(config) == [0, 2]
    assert "max_steps: 2\n" in config[0]
    assert config[2] == f"```\n{(run / 'config.yaml').read_text()}\n```"
    commands = texts("command")
    assert "'optimizer.betas=[0.1, 0.9]'" in commands[0]
    assert commands[2].splitlines()[1] == f"python -m dcgan.train resume={run} trainer.max_steps=4"


def test_a_lazy_penalty_has_the_curve_of_the_penalty_itself(command: Callable[..., Result], workdir: Path) -> None:
    """The networks stand still, so that the penalty of a step is the same however often one is added."""
    curves = {}
    for every in (1, 4):
        words = ["penalty=r1", f"penalty.every={every}", "model.discriminator.norm=layer", "optimizer.lr=1e-12"]
        words += ["trainer.max_steps=11", "trainer.log_every_n_steps=3", "trainer.precision=32-true", "metrics=none"]
        result = command("train", *TINY, *words)
        assert result.code == 0, result.err
        scalars = events(Path(printed_run(result.out))).Scalars("loss/discriminator_penalty")
        curves[every] = {event.step: event.value for event in scalars}
    assert list(curves[1]) == [3, 6, 9, 11]
    assert list(curves[4]) == [6, 9, 11]  # at the first look none was computed yet
    assert curves[4][9] == curves[4][11] != curves[4][6]  # the latest there is
    for step, value in curves[4].items():
        assert value == pytest.approx(curves[1][step], rel=0.3)  # of another batch, and not four times as much


def test_evaluation_never_changes_training(command: Callable[..., Result], workdir: Path) -> None:
    from test_cli import assert_same, state

    runs = []
    for words in (["metrics.every=1", "samples.every=1", "metrics.num_samples=60"], ["metrics=none"]):
        result = command("train", *TINY, "trainer.max_steps=6", *words)
        assert result.code == 0, result.err
        runs.append(Path(printed_run(result.out)))
    assert_same(*(state(run) for run in runs))
