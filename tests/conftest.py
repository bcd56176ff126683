"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio.constants
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from asyncframes._media.table import build

# Deadlines measure the machine, and this suite runs on busy ones.
settings.register_profile("asyncframes", deadline=None)
settings.load_profile("asyncframes")


MOST_WORKERS = 4
"""Decoders have threads of their own."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the files among processes, unless only one is asked for: a file's tests run in one."""
    paths = {Path(argument.partition("::")[0]) for argument in config.args}
    if len(paths) == 1 and paths.pop().is_file():
        return 0
    return min(os.cpu_count() or 1, MOST_WORKERS)


@pytest.fixture(scope="session", autouse=True)
def short_stacks() -> Iterator[None]:
    """Have the debug mode of asyncio keep one line of who scheduled a callback: ten take half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def user_cache() -> Iterator[Path]:
    """Give the command line an index cache of the tests' own, as long as they run."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)


@pytest.fixture
def long_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small clips stand in for videos that are too long to be decoded for their frame table."""
    monkeypatch.setattr(build, "_SHORT_PIXELS", 0)


@pytest.fixture(params=[pytest.param(("asyncio", {"debug": True}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run coroutine tests on asyncio in debug mode."""
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Path of the ffmpeg program; a test that needs it is skipped where it is absent, and fails in CI."""
    found = shutil.which("ffmpeg")
    if found is None:
        reason = "ffmpeg is not installed; .ci/debian-packages installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found
