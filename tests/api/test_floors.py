"""The package is built in floors, and imports go down only."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
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
    "asyncframes._policy": 1,
    "asyncframes._runtime": 1,
    "asyncframes.sources": 2,
    "asyncframes.writers": 2,
    "asyncframes._media": 3,
    "asyncframes._requests": 4,
    "asyncframes._isolation": 5,
    "asyncframes._isolation.report": 1,
    "asyncframes._saving": 6,
    "asyncframes._open_video": 7,
    "asyncframes._saving_video": 7,
    "asyncframes._video": 7,
    "asyncframes._video_arguments": 8,
    "asyncframes._opening": 8,
    "asyncframes._streaming": 9,
    "asyncframes._many": 10,
    "asyncframes.sync": 11,
    "asyncframes.supervisely": 11,
    "asyncframes.testing": 11,
    "asyncframes.ray": 12,
    "asyncframes.torch": 12,
    "asyncframes.web": 12,
    "asyncframes": 12,
    "asyncframes.cli": 13,
    "asyncframes.__main__": 14,
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


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Names of the modules a file imports, at the top and inside functions."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {name for name in names if is_module(name)} or {node.module}
    return frozenset(modules)


def is_module(name: str) -> bool:
    path = PACKAGE.parent / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_imports_go_down() -> None:
    """A module imports its own floor or a lower one."""
    upward = {
        (name_of(path), module)
        for path in MODULES
        for module in imports_of(path)
        if module.split(".")[0] == "asyncframes" and floor_of(module) > floor_of(name_of(path))
    }
    assert not upward


def test_only_the_media_floor_imports_pyav() -> None:
    """Every other floor can be tested without PyAV."""
    users = {
        name_of(path) for path in MODULES if any(name.split(".")[0] == "av" for name in imports_of(path))
    }
    assert users
    assert not [name for name in users if not name.startswith("asyncframes._media")]


def test_the_model_knows_no_event_loop() -> None:
    """Values and arithmetic need no loop, and can be tested without one."""
    model = [path for path in MODULES if name_of(path).startswith("asyncframes._model")]
    assert model
    assert not [path for path in model if "asyncio" in imports_of(path)]


def test_a_module_stays_readable() -> None:
    """A file that grows past 400 lines has a second subject."""
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """A module can be read after those that it imports."""
    own = {name_of(path) for path in MODULES}
    imports = {name_of(path): imports_of(path) & own - {name_of(path)} for path in MODULES}
    TopologicalSorter(imports).prepare()


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    """A folder of more than 14 modules besides its ``__init__`` has a second subject."""
    modules = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert not {folder.name: count for folder, count in modules.items() if count > 14}


@pytest.mark.parametrize("package", ["torch", "ray"])
def test_only_its_own_folder_imports_an_engine(package: str) -> None:
    """It is an extra, takes seconds to import, and serves one folder only."""
    users = {name_of(path) for path in MODULES for name in imports_of(path) if package in name.split(".")[:2]}
    assert users
    assert not [name for name in users if not name.startswith(f"asyncframes.{package}")]
