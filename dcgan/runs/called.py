"""What is called from somebody else's program."""

import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Random states, filters of warnings and the environment are afterwards what they were."""
    states, environment = (random.getstate(), np.random.get_state()), dict(os.environ)
    with torch.random.fork_rng(), warnings.catch_warnings():
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)
