"""What the package asks for."""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
LISTS = [
    PROJECT["build-system"]["requires"],
    PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"].values(),
]
OTHERS = [asked for asked in chain.from_iterable(LISTS) if not asked.startswith(PROJECT["project"]["name"])]


@pytest.mark.parametrize("asked", OTHERS)
def test_no_major_version_is_asked_for_before_it_was_tried(asked: str) -> None:
    """Every dependency has a lowest version, and ends below the next major one."""
    specifier = Requirement(asked).specifier
    assert {part.operator for part in specifier} == {">=", "<"}
    [end] = [Version(part.version) for part in specifier if part.operator == "<"]
    assert end.release == (end.major,)
