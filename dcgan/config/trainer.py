"""The keys of ``trainer=``: Lightning's, and which of them have a use here."""

from dataclasses import dataclass
from typing import Annotated, Any

from dcgan.config.rules import DEVICES, GPUS, LIMIT, PATH, TIME, Rule, at_least, left_alone, one_of

NO_VALIDATION = "there is no validation loop; metrics.every sets how often the generator is evaluated"
NO_LEAST = "until then Lightning would hear neither Ctrl-C nor a scheduler; use max_steps, max_epochs or max_time"
NO_CLIPPING = "in manual optimisation Lightning clips nothing; use optimizer.clip"


@dataclass
class TrainerConfig:
    """Every argument of ``lightning.Trainer``, and ``gpus``. ``None`` leaves its default, and it checks ``Any``.

    What Lightning would ignore or refuse in manual optimisation is refused here, with what to do instead.
    """

    gpus: Annotated[Any, GPUS]
    max_steps: Annotated[int, LIMIT]
    precision: Annotated[Any, one_of("auto", "32-true", 32, "bf16-mixed", "16-mixed")]
    log_every_n_steps: Annotated[int, at_least(0)]
    max_epochs: Annotated[int | None, LIMIT] = None
    max_time: Annotated[Any, TIME] = None
    accelerator: str | None = None
    devices: Annotated[Any, DEVICES] = None
    strategy: str | None = None
    num_nodes: int = 1
    deterministic: Annotated[Any, one_of(True, False, "warn")] = None
    benchmark: bool | None = None
    fast_dev_run: Any = False
    min_epochs: Annotated[int | None, left_alone(fix=NO_LEAST)] = None
    min_steps: Annotated[int | None, left_alone(fix=NO_LEAST)] = None
    limit_train_batches: Annotated[Any, Rule("must be above 0", lambda value: isinstance(value, str) or value > 0)] = (
        None
    )
    enable_checkpointing: bool = True
    enable_progress_bar: bool = True
    enable_model_summary: bool = False
    profiler: str | None = None
    detect_anomaly: bool = False
    plugins: Any = None
    sync_batchnorm: bool = False
    inference_mode: bool = True
    reload_dataloaders_every_n_epochs: int = 0
    default_root_dir: Annotated[str | None, PATH] = None
    enable_autolog_hparams: bool = True
    model_registry: str | None = None
    logger: Annotated[Any, left_alone(fix="use the group logger=, with tensorboard, csv, wandb, mlflow or none")] = None
    callbacks: Annotated[
        Any, left_alone(fix="objects cannot be named in a configuration; dcgan/runs/run.py puts them together")
    ] = None
    gradient_clip_val: Annotated[Any, left_alone(0, fix=NO_CLIPPING)] = None
    gradient_clip_algorithm: Annotated[Any, left_alone(fix=NO_CLIPPING)] = None
    accumulate_grad_batches: Annotated[
        int, left_alone(1, fix="accumulation is not available; raise data.batch_size")
    ] = 1
    overfit_batches: Annotated[
        Any, left_alone(0, fix="batches follow from the seed and the step; use limit_train_batches")
    ] = 0.0
    use_distributed_sampler: Annotated[
        bool, left_alone(False, fix="the data set is divided among the devices already; leave it false")
    ] = False
    limit_val_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    limit_test_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    limit_predict_batches: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    val_check_interval: Annotated[Any, left_alone(fix=NO_VALIDATION)] = None
    check_val_every_n_epoch: Annotated[int | None, left_alone(1, fix=NO_VALIDATION)] = 1
    num_sanity_val_steps: Annotated[int, left_alone(0, fix=NO_VALIDATION)] = 0
    barebones: Annotated[
        bool, left_alone(False, fix="use logger=none metrics=none trainer.enable_checkpointing=false")
    ] = False
