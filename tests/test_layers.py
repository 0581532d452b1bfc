"""Modules import only from those above them, torch stays out of the shell, and Hydra out of the parts."""

import ast
from pathlib import Path

import dcgan

PACKAGE = Path(dcgan.__file__).parent
LAYERS = [
    *("registry", "images", "losses", "ema", "latents", "augment"),
    *("models.base", "models.layers", "models.norms", "models.conditioning", "models.packing", "models.encoder"),
    *("models.dcgan", "models.mlp", "models.resnet", "models"),
    *("penalties", "objective", "optim"),
    *("data", "data.idx", "data.sources", "data.module", "data.files"),
    *("gan", "classifier", "features"),
    *("metrics", "metrics.protocol", "metrics.bootstrap", "metrics.frechet", "metrics.kernel"),
    *(
        "metrics.distances",
        "metrics.manifold",
        "metrics.classes",
        "metrics.copies",
        "metrics.accuracy",
        "metrics.reference",
        "metrics.measure",
    ),
    *("callbacks", "checkpoints"),
    *("config", "config.schema", "config.combinations", "config.check", "config.folders", "status", "cli"),
    *("build", "hardware", "loggers", "provenance", "runs"),
    *("scoring", "table", "page"),
    *("train", "evaluate", "generate", "train_classifier", "build_reference"),
]
CONFIG = {"config.schema", "config.combinations", "config.check", "config.folders"}
SHELL = CONFIG | {"status", "cli", "train", "evaluate", "generate"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top: bool) -> set[str]:
    """What a module imports: at its top level, or anywhere."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name_exists(name)} or {node.module}
    return found


def name_exists(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return name.startswith("dcgan.") and (path.is_dir() or path.with_suffix(".py").exists())


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__"}


def test_every_module_has_its_place() -> None:
    assert set(MODULES) == set(LAYERS)


def test_modules_import_only_from_above() -> None:
    for module, path in MODULES.items():
        for imported in imports(path, top=False):
            if imported.startswith("dcgan."):
                other = imported.removeprefix("dcgan.")
                assert LAYERS.index(other) < LAYERS.index(module), f"{module} imports {other}"


def test_the_shell_loads_no_torch_and_the_parts_no_hydra() -> None:
    for module, path in MODULES.items():
        roots = {name.split(".")[0] for name in imports(path, top=True)}
        if module in SHELL:
            assert not roots & {"torch", "lightning", "torchvision", "torchmetrics"}, module
        else:
            assert "hydra" not in roots, module
