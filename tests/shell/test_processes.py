"""Whether a process still lives."""

import time

import pytest

from dcgan.shell.processes import lives, this_process


def test_a_requeued_job_does_not_wait_for_itself_on_the_node_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    process = {**this_process(), "host": "another"}
    assert not lives(process, last_sign=time.time())
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    assert lives(process, last_sign=time.time())
    monkeypatch.delenv("SLURM_JOB_ID")
    assert lives(process, last_sign=time.time())
    assert lives({**this_process(), "host": "another"}, last_sign=time.time())
