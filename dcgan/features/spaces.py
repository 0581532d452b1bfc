"""Feature spaces: networks that turn uint8 images into the vectors that distances are measured on."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torchmetrics.image.fid import NoTrainInceptionV3

from dcgan.config.catalogue import JUDGES
from dcgan.config.registry import lookup
from dcgan.data.images import fit, to_float, with_channels
from dcgan.data.latents import sent
from dcgan.data.plain import load_plain
from dcgan.data.sources import connect_timeout
from dcgan.features.classifier import Classifier
from dcgan.features.residual import ResidualClassifier
from dcgan.models.precision import full_float32

ASSETS = Path(__file__).parent / "assets"
# The classifiers that ship: file, SHA-256. A file never changes, so that numbers measured with it stay comparable.
CLASSIFIERS = {
    "digits": ("digits_0", "864895efbc11155f25bafdc571790a04228f0542b0f6e8d1c1ce1e1e8997af07"),
    "digits1": ("digits_1", "4f72faaee22055cde0f65fffea7ea410ed0ae921a6f157b1a6f0d89706b5bdb3"),
    "digits_residual": ("digits_residual_0", "66d1055cf02683d183599ec3dedbb07bc44f99f092b952c9d90505242f5a0458"),
    "fashion": ("fashion_0", "f791d4f7061d21c8f5b5de21a179c9ba86d9a256f2835a0e83b72c75e54e92e3"),
    "fashion_residual": ("fashion_residual_0", "149c5c829b66cd22a37449f5997ab57d76e2c24125b725de0a77d12307f24a06"),
}
INCEPTION_SHA256_PREFIX = "6726825d"  # torch-fidelity's weights-inception-2015-12-05
AnyClassifier = Classifier | ResidualClassifier
BATCH = 100  # 500: 1.5 to 4 times slower on a CPU, whose caches it overflows
BATCH_OF_GPUS = 250  # of Inception, at 299x299, about 4 GB


@dataclass(frozen=True)
class FeatureSpace:
    """A named network. ``name`` stands in every metric's name, ``sha256`` (of its weights' file) in every record."""

    name: str
    sha256: str
    network: nn.Module  # uint8 (N, C, H, W) -> (N, F)
    head: nn.Module | None = None  # (N, F) -> logits (N, K); None: no classifier, so no metrics of classes
    uniform_classes: bool = False  # class frequencies are compared with equal ones, not with the data's
    shipped: Path | None = None  # what is known of real images in this space
    judges: tuple["str | FeatureSpace", ...] = ()  # spaces, or their names, that reports show beside this one

    @torch.inference_mode()
    def extract(self, images: Tensor, *, device: torch.device | str = "cpu") -> Tensor:
        """uint8 images (N, C, H, W) -> float64 features (N, F) on the CPU, computed in float32 on ``device``."""
        device = torch.device(device)
        network = self.network.to(device).to(memory_format=torch.channels_last).eval()
        with full_float32(device.type):
            batches = images.split(BATCH if device.type == "cpu" else BATCH_OF_GPUS)
            features = [network(sent(batch, device)).cpu() for batch in batches]
        return torch.cat(features).double()

    @torch.inference_mode()
    def logits(self, features: Tensor) -> Tensor | None:
        """float64 features (N, F) -> float32 logits (N, K), on the CPU."""
        return None if self.head is None else self.head.cpu()(features.float())


def load_feature_space(name: str, *, weights: str | None = None) -> FeatureSpace:
    """The space ``name``; ``weights`` is a local file for ``inception`` (else it is torch-fidelity's download).

    Raises:
        ValueError: an unknown name, or weights that cannot be had or used; the message says what to do.
    """
    return lookup(SPACES, name, key="metrics.name")(weights)


class ClassifierFeatures(nn.Module):
    """The penultimate activations of a shipped classifier, at 28x28, in grey."""

    def __init__(self, classifier: AnyClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> (N, F)."""
        return self.classifier.features(to_float(with_channels(fit(images, resolution=28), channels=1)))


class StackedFeatures(nn.Module):
    """The features of the three digits of an image, one in each channel, side by side."""

    def __init__(self, classifier: AnyClassifier) -> None:
        super().__init__()
        self.digit = ClassifierFeatures(classifier)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> (N, 3 F)."""
        return self.digit(images.flatten(0, 1).unsqueeze(1)).view(len(images), -1)  # type: ignore[no-any-return]


class StackedHead(nn.Module):
    """Logits of the 1000 numbers that three digits make, from what each says alone."""

    def __init__(self, classifier: AnyClassifier) -> None:
        super().__init__()
        self.head = classifier.head

    def forward(self, features: Tensor) -> Tensor:
        """(N, 3 F) -> (N, 1000)."""
        first, second, third = self.head(features.view(len(features), 3, -1)).log_softmax(2).unbind(1)
        return (first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]).flatten(1)  # type: ignore[no-any-return]


class InceptionFeatures(nn.Module):
    """The pooled activations of Inception-v3, which resizes to 299x299 itself; grey is repeated to three channels."""

    def __init__(self, inception: NoTrainInceptionV3) -> None:
        super().__init__()
        self.inception = inception

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> (N, 2048)."""
        return self.inception(with_channels(images, channels=3))  # type: ignore[no-any-return]


def _classifier(name: str, weights: str | None) -> FeatureSpace:
    classifier = _load_classifier(name, weights)
    file, sha256 = CLASSIFIERS[name]
    return FeatureSpace(
        name,
        sha256,
        ClassifierFeatures(classifier),
        head=classifier.head,
        shipped=ASSETS / f"{file}.reference.npz",
        judges=JUDGES.get(name, ()),
    )


def _stacked(digits: str, weights: str | None) -> FeatureSpace:
    classifier = _load_classifier(digits, weights)
    name = digits.replace("digits", "stacked")
    return FeatureSpace(
        name,
        CLASSIFIERS[digits][1],
        StackedFeatures(classifier),
        head=StackedHead(classifier),
        uniform_classes=True,
        judges=JUDGES.get(name, ()),
    )


def _load_classifier(name: str, weights: str | None) -> AnyClassifier:
    if weights is not None:
        raise ValueError(f"metrics.weights={weights}: this space ships with the package; set it to null")
    file, sha256 = CLASSIFIERS[name]
    content = (ASSETS / f"{file}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256, f"{file} is not the extractor that was shipped"
    classifier = ResidualClassifier() if name.endswith("_residual") else Classifier()
    classifier.load_state_dict(load(content))
    return classifier.requires_grad_(False).eval()


def _inception(weights: str | None) -> FeatureSpace:
    path = Path(weights) if weights is not None else _downloaded_inception()
    _check_plain(path)
    try:
        # antialias=False is torch-fidelity's own resize (TensorFlow 1's), on which published numbers stand.
        inception = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path), antialias=False)
    except (RuntimeError, TypeError) as error:
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
                f"give a local file with metrics.weights=, or use metrics=own, trained on the images themselves"
            ) from error
    return path


def _check_plain(path: Path) -> None:
    """torch-fidelity unpickles anything: make sure beforehand that the file holds tensors and nothing else."""
    try:
        load_plain(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"metrics.weights={path}: not a file of plain tensors ({error})") from error


SPACES: Mapping[str, Callable[[str | None], FeatureSpace]] = {
    **{name: partial(_classifier, name) for name in CLASSIFIERS},
    "stacked": partial(_stacked, "digits"),
    "stacked1": partial(_stacked, "digits1"),
    "stacked_residual": partial(_stacked, "digits_residual"),
    "inception": _inception,
}
