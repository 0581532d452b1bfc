"""Feature spaces: networks that turn uint8 images into the vectors that distances are measured on."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torchmetrics.image.fid import NoTrainInceptionV3

from dcgan.classifier import Classifier
from dcgan.data.sources import connect_timeout
from dcgan.images import fit, to_float, with_channels
from dcgan.registry import lookup

ASSETS = Path(__file__).parent / "assets"
DIGITS = ASSETS / "digits_0.safetensors"
DIGITS_SHA256 = "864895efbc11155f25bafdc571790a04228f0542b0f6e8d1c1ce1e1e8997af07"
INCEPTION_SHA256_PREFIX = "6726825d"  # torch-fidelity's weights-inception-2015-12-05
BATCH = 500


@dataclass(frozen=True)
class FeatureSpace:
    """A named network. ``name`` stands in every metric's name, ``sha256`` (of its weights' file) in every record."""

    name: str
    sha256: str
    network: nn.Module  # uint8 (N, C, H, W) -> (N, F)

    @torch.inference_mode()
    def extract(self, images: Tensor, *, device: torch.device | str = "cpu") -> Tensor:
        """uint8 images (N, C, H, W) -> float64 features (N, F) on the CPU, computed in float32 on ``device``."""
        device = torch.device(device)
        network = self.network.to(device).eval()
        with torch.autocast(device.type, enabled=False):
            features = [network(batch.to(device)).cpu() for batch in images.split(BATCH)]
        return torch.cat(features).double()


def load_feature_space(name: str, *, weights: str | None = None) -> FeatureSpace:
    """The space ``digits`` (shipped) or ``inception`` (``weights``: a local file; else torch-fidelity's download).

    Raises:
        ValueError: an unknown name, or weights that cannot be had or used; the message says what to do.
    """
    return lookup(SPACES, name, key="metrics.name")(weights)


class DigitFeatures(nn.Module):
    """The penultimate activations of the shipped digit classifier, at 28x28, in grey."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> (N, 128)."""
        return self.classifier.features(to_float(with_channels(fit(images, resolution=28), channels=1)))


class InceptionFeatures(nn.Module):
    """The pooled activations of Inception-v3, which resizes to 299x299 itself; grey is repeated to three channels."""

    def __init__(self, inception: NoTrainInceptionV3) -> None:
        super().__init__()
        self.inception = inception

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> (N, 2048)."""
        return self.inception(with_channels(images, channels=3))  # type: ignore[no-any-return]


def _digits(weights: str | None) -> FeatureSpace:
    if weights is not None:
        raise ValueError(f"metrics.weights={weights}: the space digits ships with the package; set it to null")
    content = DIGITS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_SHA256, f"{DIGITS} is not the extractor that was shipped"
    classifier = Classifier()
    classifier.load_state_dict(load(content))
    return FeatureSpace("digits", DIGITS_SHA256, DigitFeatures(classifier.requires_grad_(False)))


def _inception(weights: str | None) -> FeatureSpace:
    path = Path(weights) if weights is not None else _downloaded_inception()
    _check_plain(path)
    try:
        # antialias=False is torch-fidelity's own resize (TensorFlow 1's), on which published numbers stand.
        inception = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path), antialias=False)
    except RuntimeError as error:
        raise ValueError(f"metrics.weights={path}: not the weights of torch-fidelity's Inception-v3") from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    published = sha256.startswith(INCEPTION_SHA256_PREFIX)
    name = "inception" if published else f"inception-{sha256[:8]}"  # other weights, other numbers: another name
    return FeatureSpace(name, sha256, InceptionFeatures(inception.requires_grad_(False)))


def _downloaded_inception() -> Path:
    path: Path = Path(torch.hub.get_dir()) / "checkpoints" / URL_INCEPTION_V3.rsplit("/", 1)[1]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with connect_timeout():
                torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=INCEPTION_SHA256_PREFIX)
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"metrics=inception: its weights are not at {path} and could not be downloaded ({error}); "
                f"give a local file with metrics.weights=, or use metrics=digits"
            ) from error
    return path


def _check_plain(path: Path) -> None:
    """torch-fidelity unpickles anything: make sure beforehand that the file holds tensors and nothing else."""
    try:
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"metrics.weights={path}: not a file of plain tensors ({reason})") from error


SPACES: Mapping[str, Callable[[str | None], FeatureSpace]] = {"digits": _digits, "inception": _inception}
