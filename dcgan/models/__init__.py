"""Generators and discriminators, as pairs. Networks only.

To add a model: a file like mlp.py, its line in ``MODELS``, ``conf/model/<name>.yaml``, and the dataclass of its keys in
``dcgan/config/options.py``.
"""

from dcgan.models import dcgan, mlp, resnet
from dcgan.models.base import Networks

MODELS: dict[str, Networks] = {"dcgan": dcgan.NETWORKS, "mlp": mlp.NETWORKS, "resnet": resnet.NETWORKS}
