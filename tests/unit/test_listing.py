"""Directories and patterns as lists of videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes.errors import PolicyAccessError, SourceNotFoundError
from asyncframes.sources import FsspecSource
from asyncframes.sources._directories.listing import list_videos

FILES = {"a.mp4": b"one", "more/b.webm": b"three", "more/.hidden.mp4": b"", "notes.txt": b"text"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of two videos, and of two other files."""
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
def memory() -> Iterator[str]:
    """Make the same in a filesystem of fsspec, and yield its address."""
    fsspec: Any = pytest.importorskip("fsspec")
    filesystem = fsspec.filesystem("memory")
    for name, data in FILES.items():
        filesystem.pipe(f"/films/{name}", data)
    yield "memory://films/"
    filesystem.rm("/films", recursive=True)


def test_a_directory_has_its_videos(folder: Path) -> None:
    expected = [(str(folder / "a.mp4"), 3), (str(folder / "more" / "b.webm"), 5)]
    assert list_videos(str(folder), {}, None) == expected


def test_a_pattern_has_what_it_matches(folder: Path) -> None:
    assert list_videos(f"{folder}/*.mp4", {}, None) == [(str(folder / "a.mp4"), 3)]


@pytest.mark.parametrize("name", ["*.mkv", "empty"])
def test_no_video_is_an_error(folder: Path, name: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(SourceNotFoundError, match="no video"):
        list_videos(str(folder / name), {}, None)


def test_a_directory_of_fsspec(memory: str) -> None:
    expected = [("memory:///films/a.mp4", 3), ("memory:///films/more/b.webm", 5)]
    assert list_videos(memory, {}, None) == expected


def test_a_pattern_of_fsspec(memory: str) -> None:
    assert list_videos(f"{memory}**/*.webm", {}, None) == [("memory:///films/more/b.webm", 5)]
    with pytest.raises(SourceNotFoundError, match="no video matches"):
        list_videos(f"{memory}*.mkv", {}, None)


def test_options_are_those_of_the_source(memory: str) -> None:
    ((source, size),) = list_videos(f"{memory}*.mp4", {"block_size": 1024}, None)
    assert isinstance(source, FsspecSource)
    assert size == 3


def test_the_policy_allows_the_scheme_or_not(memory: str) -> None:
    with pytest.raises(PolicyAccessError):
        list_videos(memory, {}, af.Policy(schemes={"https"}))
