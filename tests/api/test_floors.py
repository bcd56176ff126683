"""The package is built in floors, and imports go down only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import asyncframes

PACKAGE = Path(asyncframes.__file__).parent

# Longest prefix wins; the floors are those of a frame's way, bytes first.
FLOORS = {
    "asyncframes._version": 0,
    "asyncframes._quoting": 0,
    "asyncframes.errors": 0,
    "asyncframes._types": 0,
    "asyncframes._reads": 1,
    "asyncframes.abc": 1,
    "asyncframes._archive": 1,
    "asyncframes._temporaries": 1,
    "asyncframes._color": 1,
    "asyncframes._ranges": 1,
    "asyncframes._rendering": 1,
    "asyncframes._threads": 1,
    "asyncframes._life": 1,
    "asyncframes._executor": 1,
    "asyncframes._portal": 1,
    "asyncframes._timing": 1,
    "asyncframes._entries": 1,
    "asyncframes._packets": 1,
    "asyncframes._shown": 1,
    "asyncframes._table": 1,
    "asyncframes._table_facts": 1,
    "asyncframes._selection": 1,
    "asyncframes._index_cache": 2,
    "asyncframes.sources": 2,
    "asyncframes.writers": 2,
    "asyncframes._media": 3,
    "asyncframes._kept": 4,
    "asyncframes._deadline": 4,
    "asyncframes._route": 4,
    "asyncframes._turns": 4,
    "asyncframes._pump": 4,
    "asyncframes._lanes": 5,
    "asyncframes._choice": 5,
    "asyncframes._pool": 5,
    "asyncframes._session": 5,
    "asyncframes._tables": 5,
    "asyncframes._video": 5,
    "asyncframes._opening": 5,
    "asyncframes._expected": 5,
    "asyncframes._progress": 5,
    "asyncframes._streaming": 5,
    "asyncframes._made_of": 5,
    "asyncframes._many": 5,
    "asyncframes._to_writer": 5,
    "asyncframes.sync": 6,
    "asyncframes.supervisely": 6,
    "asyncframes.testing": 6,
    "asyncframes._sheet": 6,
    "asyncframes": 7,
    "asyncframes.cli": 8,
    "asyncframes.__main__": 9,
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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_readable(path: Path) -> None:
    """A file that grows past 450 lines has a second subject."""
    assert len(path.read_text().splitlines()) <= 450
