"""Complete what docstrings of types lack: aliases have none, and options do not list inherited keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, is_typeddict

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import asyncframes


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", _describe)
    return {"version": "1", "parallel_read_safe": True}


def _describe(_app: Sphinx, kind: str, name: str, value: Any, _options: Any, lines: list[str]) -> None:
    if kind == "data":
        _describe_alias(name, lines)
    elif is_typeddict(value):
        summary = lines.index("") if "" in lines else len(lines)
        lines[summary:summary] = ["", *_inherited_keys(value)]


def _describe_alias(name: str, lines: list[str]) -> None:
    """Use the string below the definition, in whichever module that is."""
    package, _, alias = name.rpartition(".")
    for module in sorted(one for one in sys.modules if one.startswith(package)):
        found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", alias))
        if found:
            # Behind an alias is a class of Python or NumPy, with its own docstring.
            lines[:] = [*found, *(line for line in lines if line.startswith("alias of"))]
            return


def _inherited_keys(options: Any) -> Iterator[str]:
    """Name the classes whose keys a class has too. Python 3.11 does not remember its bases."""
    keys = {*options.__annotations__}
    public = [value for value in vars(asyncframes).values() if is_typeddict(value)]
    for base in sorted(public, key=lambda one: -len(one.__annotations__)):
        inherited = {*base.__annotations__}
        if inherited < {*options.__annotations__} and inherited <= keys:
            keys -= inherited
            listed = ", ".join(f"``{key}``" for key in base.__annotations__)
            yield f"Takes the keys of `{base.__name__}` too: {listed}."
            yield ""
