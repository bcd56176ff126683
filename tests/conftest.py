"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio.constants
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

import asyncframes
from asyncframes._media.container import opening
from tests.support.isolation import decoding_in, processes_that_begin_with
from tests.support.marks import FEW, FULL
from tests.support.servers.emulators import absent
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import own_priority

# Deadlines measure the machine, and this suite runs on busy ones.
settings.register_profile("full", max_examples=FULL, deadline=None)
settings.register_profile("fast", max_examples=FEW, deadline=None)
settings.load_profile("full")


def pytest_configure(config: pytest.Config) -> None:
    """Have property tests try fewer examples in the fast half."""
    if config.option.markexpr.startswith("not slow"):
        settings.load_profile("fast")


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
    """Have the debug mode of asyncio keep short stacks, which else take a third of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", 1)
        # Futures and tasks are written in C and do not ask for that depth.
        patch.setattr(traceback.extract_stack, "__defaults__", (None, 0))
        yield


@pytest.fixture(scope="session", autouse=True)
def user_cache() -> Iterator[Path]:
    """Give the command line an index cache of the tests' own, as long as they run."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)


PACKAGE = str(Path(asyncframes.__file__).parent) + os.sep
TESTS = str(Path(__file__).parent) + os.sep

MAY_BLOCK = [
    # Packages that not everybody needs are imported where they are used.
    ("<frozen importlib._bootstrap>", "_find_and_load"),
    # `open_video` is no coroutine, and looks schemes up in entry points, which are read as modules are.
    ("asyncframes/sources/_registry.py", "_factory"),
    ("asyncframes/sources/_registry.py", "is_known_scheme"),
    # A few bytes of /proc and /etc, once a process.
    ("asyncframes/_runtime/temporaries.py", "_host"),
    ("asyncframes/_runtime/temporaries.py", "_start_of_own"),
    # The blocking API blocks, also where it is called inside a running loop.
    *(("asyncframes/sync.py", name) for name in ("_call", "call", "open_blocking", "_step", "close")),
    # fsspec's own finaliser, which runs whenever the garbage collector does.
    ("fsspec/implementations/http.py", "close_session"),
]
"""Functions, by file and name, under which a call on the event loop may block."""


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Fail what the package does on an event loop that may block: files, sleeps, sockets, locks."""
    # On the loop of the command line nothing else runs.
    watch = BlockBuster("asyncframes", excluded_modules=["asyncframes.testing", "asyncframes.cli"])
    # The kernel answers this from memory.
    del watch.functions["os.getcwd"]
    for functions in watch.functions.values():
        may_block = functions.can_block_predicate
        functions.can_block_predicate = partial(_may_block, may_block)
        for file, name in MAY_BLOCK:
            functions.can_block_in(file, name)
    watch.activate()
    yield
    watch.deactivate()


def _lock_of_coverage() -> object:
    """Return the lock of what measures coverage, which takes it without a frame of its own, if that runs."""
    coverage = sys.modules.get("coverage")
    measured = None if coverage is None else coverage.Coverage.current()
    return object() if measured is None else measured._collector.data_lock


def _may_block(otherwise: Callable[..., bool], *args: Any, **kwargs: Any) -> bool:
    """Whether a test's own function blocks, such as a callback that looks at what is on disk."""
    if args and args[0] is _lock_of_coverage():
        return True
    frame: FrameType | None = sys._getframe()
    while (frame := frame and frame.f_back) is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE):
            break
        if path.startswith(TESTS) and path != __file__:
            return True
    return otherwise(*args, **kwargs)


@pytest.fixture(scope="module", params=["none", pytest.param("process", marks=pytest.mark.slow)])
def isolation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Decode in threads, or where the module asks for both (`marks.BOTH_ISOLATIONS`), in a process too."""
    with decoding_in(request.param):
        yield request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests in a process that look into the decoder."""
    left_out = [
        item for item in items if item.get_closest_marker("in_threads") and _isolation_of(item) == "process"
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _isolation_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("isolation") if callspec else None


@pytest.fixture(autouse=True)
def priority_of_the_tests() -> Iterator[None]:
    """Keep the priority of the tests where an encoder raises it; see `own_priority`."""
    with own_priority():
        yield


@contextmanager
def _long_streams() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "SHORT_PIXELS", 0)
        patch.setattr(opening, "SHORT_BYTES", 0)
        with processes_that_begin_with(
            f"import {opening.__name__} as opening; opening.SHORT_PIXELS = opening.SHORT_BYTES = 0"
        ):
            yield


@pytest.fixture
def long_streams() -> Iterator[None]:
    """Have small clips stand in for long videos, which decode with threads and not for their frame table."""
    with _long_streams():
        yield


@pytest.fixture(scope="module")
def only_long_streams() -> Iterator[None]:
    """Have small clips stand in for long videos in a whole module, whose tests share decoding processes."""
    with _long_streams():
        yield


@pytest.fixture(params=[pytest.param(("asyncio", {"debug": True}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run coroutine tests on asyncio in debug mode."""
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Run an HTTP server that serves nothing yet. A module that overrides it adds the files."""
    with RunningServer() as running:
        yield running


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Path of the ffmpeg program; a test that needs it is skipped where it is absent, and fails in CI."""
    return shutil.which("ffmpeg") or absent("ffmpeg is not installed; .ci/debian-packages installs it")
