"""The package is built in floors, and imports go down only."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import asyncframes

PACKAGE = Path(asyncframes.__file__).parent

# Longest prefix wins; the floors are those of a frame's way, bytes first.
FLOORS = {
    "asyncframes._version": 0,
    "asyncframes._model.quoting": 0,
    "asyncframes.errors": 0,
    "asyncframes._types": 0,
    "asyncframes._frames": 0,
    "asyncframes.abc": 1,
    "asyncframes._model": 1,
    "asyncframes._runtime": 1,
    "asyncframes.sources": 2,
    "asyncframes.writers": 2,
    "asyncframes._media": 3,
    "asyncframes._requests": 4,
    "asyncframes._saving": 5,
    "asyncframes._open_video": 6,
    "asyncframes._saving_video": 6,
    "asyncframes._video": 6,
    "asyncframes._opening": 7,
    "asyncframes._streaming": 8,
    "asyncframes._many": 9,
    "asyncframes.sync": 10,
    "asyncframes.supervisely": 10,
    "asyncframes.testing": 10,
    "asyncframes.torch": 11,
    "asyncframes": 11,
    "asyncframes.cli": 12,
    "asyncframes.__main__": 13,
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int:
    parts = module.split(".")
    known = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next(
        FLOORS[name] for name in known if name in FLOORS and (name != "asyncframes" or module == name)
    )


def imports_of(path: Path) -> set[str]:
    """Names of the modules a file imports, at the top and inside functions."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {name for name in names if is_module(name)} or {node.module}
    return modules


def is_module(name: str) -> bool:
    path = PACKAGE.parent / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down(path: Path) -> None:
    """A module imports its own floor or a lower one."""
    own = name_of(path)
    upward = {
        module
        for module in imports_of(path)
        if module.split(".")[0] == "asyncframes" and floor_of(module) > floor_of(own)
    }
    assert not upward


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_media_floor_imports_pyav(path: Path) -> None:
    """Every other floor can be tested without PyAV."""
    uses_av = any(module.split(".")[0] == "av" for module in imports_of(path))
    assert not uses_av or name_of(path).startswith("asyncframes._media")


def test_the_model_knows_no_event_loop() -> None:
    """Values and arithmetic need no loop, and can be tested without one."""
    model = [path for path in MODULES if name_of(path).startswith("asyncframes._model")]
    assert model
    assert not [path for path in model if "asyncio" in imports_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_readable(path: Path) -> None:
    """A file that grows past 400 lines has a second subject."""
    assert len(path.read_text().splitlines()) <= 400


def test_no_modules_import_each_other_in_a_circle() -> None:
    """A module can be read after those that it imports."""
    own = {name_of(path) for path in MODULES}
    imports = {name_of(path): imports_of(path) & own - {name_of(path)} for path in MODULES}
    TopologicalSorter(imports).prepare()


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    """A folder of more than 14 modules besides its ``__init__`` has a second subject."""
    assert len(list(folder.glob("*.py"))) <= 15


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_its_own_folder_imports_torch(path: Path) -> None:
    """It is an extra, takes seconds to import, and serves data loaders only."""
    names = {module for module in imports_of(path) if "torch" in module.split(".")[:2]}
    assert not names or name_of(path).startswith("asyncframes.torch")
