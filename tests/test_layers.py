"""A room imports only from rooms above it, torch stays out of the shell, and Hydra out of the parts."""

import ast
from pathlib import Path

import dcgan

PACKAGE = Path(dcgan.__file__).parent
ROOMS = ["config", "shell", "data", "models", "training", "features", "metrics", "runs", "reports", "sharing"]
COMMANDS = ["train", "evaluate", "generate", "export", "demo", "doctor", "report", "tune"]
LIGHT = {"config", "shell", *COMMANDS}  # --help and mistakes answer without torch
HEAVY = {"torch", "lightning", "torchvision", "torchmetrics"}


def room_of(path: Path) -> str:
    """The room that a file is in, or the command that it is."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, top: bool) -> set[str]:
    """The modules that a file imports: at its top level, or anywhere."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
ORDER = [*ROOMS, *COMMANDS]


def test_the_house_has_these_rooms_and_commands_and_nothing_in_its_hall() -> None:
    there = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "_conf")}
    assert there == {"__init__", *ROOMS, *COMMANDS}


def test_a_room_imports_only_from_rooms_above_it() -> None:
    for path in FILES:
        for imported in imports(path, top=False):
            if imported.startswith("dcgan.") and not imported.startswith("dcgan.__"):
                room = imported.split(".")[1]
                assert ORDER.index(room) <= ORDER.index(room_of(path)), f"{path} imports {imported}"
                one_trains = (room_of(path), room) == ("tune", "train")  # each trial is a run of it
                assert room not in COMMANDS or one_trains, f"{path} imports a command"


def test_the_shell_loads_no_torch_and_the_parts_no_hydra() -> None:
    for path in FILES:
        roots = {name.split(".")[0] for name in imports(path, top=True)}
        if room_of(path) in LIGHT:
            assert not roots & HEAVY, path
        else:
            assert "hydra" not in roots, path


def test_every_room_says_in_its_first_lines_what_lives_there() -> None:
    for room in ROOMS:
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert text, room
        assert text.splitlines()[0].endswith("."), room


def test_tests_mirror_the_rooms() -> None:
    folders = {path.name for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {"faults", "cluster", "browser"} == set(ROOMS)  # what takes longer than a suite may


def test_no_two_files_of_tests_have_one_name() -> None:
    """Alone each runs; pytest refuses the second of two in one process."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)
