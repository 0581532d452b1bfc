"""Generators and discriminators, as pairs. Networks only.

To add a model: a file like mlp.py, its line in ``MODELS``, ``conf/model/<name>.yaml``, and the dataclass of its keys in
``dcgan/config/options.py``.
"""

from dcgan.models import dcgan, mlp, resnet
from dcgan.models.base import Pair

MODELS: dict[str, Pair] = {"dcgan": dcgan.MODEL, "mlp": mlp.MODEL, "resnet": resnet.MODEL}
