"""Who starts a run's processes: Lightning, or a launcher such as torchrun or srun."""

import os

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment


class Srun(SLURMEnvironment):
    """Several tasks that srun started. Whoever submitted the job resumes it: Lightning's own requeue is off."""

    def __init__(self) -> None:
        super().__init__(auto_requeue=False)

    @staticmethod
    def detect() -> bool:
        """An allocation alone starts nothing, and sets all variables but those of a step."""
        return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


LAUNCHERS: tuple[type[ClusterEnvironment], ...] = (TorchElasticEnvironment, Srun, LSFEnvironment, MPIEnvironment)


def cluster_environment(*, several: bool) -> ClusterEnvironment:
    """Who starts a run's processes: a launcher only where several were asked for, else Lightning itself.

    Lightning's own choice takes whatever it finds for a launch: a run of one process inside an allocation, or with
    another program's variables, would warn, be refused, or take itself for the second of several and write nothing.

    Raises:
        ValueError: torchrun started several, each of which would be the same run.
    """
    if several:
        return next((launcher() for launcher in LAUNCHERS if launcher.detect()), LightningEnvironment())
    started = int(os.environ.get("WORLD_SIZE", "1")) if TorchElasticEnvironment.detect() else 1
    if started > 1:
        take = f"take trainer.gpus={started}, or trainer.accelerator=cpu trainer.devices={started}"
        raise ValueError(f"torchrun started {started} processes of a run that is for one; {take}")
    alone = LightningEnvironment()
    alone.set_global_rank(0)
    return alone
