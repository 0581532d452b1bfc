"""Generators and discriminators, as pairs.

To add a model: a file with a ``build`` like dcgan.py's, its line in ``MODELS``, and ``conf/model/<name>.yaml``.
"""

from collections.abc import Mapping

from dcgan.models import dcgan, mlp, resnet
from dcgan.models.base import Builder

MODELS: Mapping[str, Builder] = {"dcgan": dcgan.build, "mlp": mlp.build, "resnet": resnet.build}
