"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio.constants
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
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


MAY_BLOCK = [
    # `open_video` is no coroutine, and looks schemes up in entry points, which are read as modules are.
    ("asyncframes/sources/_registry.py", "_factory"),
    # The blocking API blocks, also where it is called inside a running loop.
    *(("asyncframes/sync.py", name) for name in ("_call", "open_blocking", "close")),
    # What measures coverage keeps its data behind a lock.
    ("coverage/collector.py", "lock_data"),
    # Callbacks of the tests themselves, which look at what is on disk, or hold up the loop on purpose.
    ("tests/pipeline/test_to_dir.py", "progress"),
    ("tests/api/test_sync.py", "block_the_loop"),
]
"""Functions, by file and name, under which a call on the event loop may block."""


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Fail what the package does on an event loop that may block: files, sleeps, sockets, locks."""
    with blockbuster_ctx("asyncframes", excluded_modules=["asyncframes.testing"]) as watch:
        for functions in watch.functions.values():
            for file, name in MAY_BLOCK:
                functions.can_block_in(file, name)
        yield


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
