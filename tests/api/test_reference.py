"""docs/reference: every public name is on one of its pages, and every error says what to do."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import asyncframes as af

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = {
    "": "",
    ".abc": "",
    ".errors": "",
    ".ray": "ray",
    ".sources": "",
    ".supervisely": "",
    ".sync": "",
    ".testing": "",
    ".torch": "torch",
    ".web": "",
    ".writers": "",
}
"""Public modules, and the extras that they need."""

DIRECTIVE = re.compile(r"^\.\. (currentmodule|automodule|auto(?:class|data|function)):: ([\w.]+)(.*)", re.M)


def documented() -> set[str]:
    """Dotted names that the pages describe, one by one or as all that a module lists."""
    found = set()
    for page in REFERENCE.glob("*.rst"):
        module = ""
        for kind, name, _ in DIRECTIVE.findall(page.read_text()):
            if kind in {"currentmodule", "automodule"}:
                module = name
            if kind == "automodule":
                found.add(f"{name}.*")
            elif kind != "currentmodule":
                found.add(f"{module}.{name}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_in_the_reference(module: str) -> None:
    """By the module itself, or by the one that users import them from."""
    if MODULES[module] and find_spec(MODULES[module]) is None:
        pytest.skip(f"{MODULES[module]} is not installed: pip install 'asyncframes-video[{MODULES[module]}]'")
    loaded = import_module(f"asyncframes{module}")
    pages = documented()
    modules = {"abc", "errors", "sources", "sync", "writers", "__version__"}
    missing = [
        name
        for name in {*loaded.__all__} - modules
        if not {f"asyncframes{module}.{name}", f"asyncframes{module}.*"} & pages
        and not (name in af.__all__ and f"asyncframes.{name}" in pages)
    ]
    assert missing == []


def test_every_page_is_in_the_contents() -> None:
    """Readers find it from the page that lists all."""
    listed = re.search(r"^:::\{toctree\}\n(.*?)^:::", (REFERENCE / "index.md").read_text(), re.M | re.S)
    assert listed is not None
    assert listed[1].split() == [*dict.fromkeys(listed[1].split())]
    assert {*listed[1].split()} == {page.stem for page in REFERENCE.glob("*.rst")}


def test_every_error_says_what_to_do() -> None:
    """The table has each error that is raised as such, which the bases of others are not."""
    page = (REFERENCE / "errors.rst").read_text()
    rows = re.findall(r"^   \* - `(\w+)`\n     - \S", page, re.M)
    bases = {"AsyncFramesError", "MediaError", "PolicyError", "SourceError"}
    assert sorted(rows) == sorted({*af.errors.__all__} - bases)
