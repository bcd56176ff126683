"""Programs around the library that are not plain asyncio: other event loops, green threads, no executable."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trio

import asyncframes as af
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.uploads import in_pieces

FRAMES = 24

if sys.platform == "win32":
    pytest.skip("uvloop and isolation in a process need POSIX", allow_module_level=True)

import uvloop  # noqa: E402 - it is not there on Windows

Way = Callable[[Path, str], Coroutine[Any, Any, list[int]]]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write a clip."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES, faststart=True))
    return path


def run(program: str, clip: Path) -> str:
    """Run a program in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, clip], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def from_file(clip: Path, url: str) -> list[int]:
    """Read a local file, stepping and in sequence."""
    async with af.open_video(clip) as video:
        first = await video.frame(3)
        return [painted_index(first.image), *[painted_index(f.image) async for f in video.frames(20)]]


async def from_http(clip: Path, url: str) -> list[int]:
    """Read over HTTP, and leave a stream early."""
    async with af.open_video(url) as video:
        async for frame in video.frames():
            if frame.index == 2:
                break
        return [painted_index(f.image) async for f in video.frames(indices=[3, 20, 21, 22, 23])]


async def from_pipe(clip: Path, url: str) -> list[int]:
    """Read what another process writes."""
    process = await asyncio.create_subprocess_exec("cat", clip, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with af.open_video(process.stdout) as video:
        found = [painted_index(f.image) async for f in video.frames(0, FRAMES)]
    await process.wait()
    return [found[3], *found[20:]]


async def from_upload(clip: Path, url: str) -> list[int]:
    """Read an upload in a decoding process."""
    data = await asyncio.to_thread(clip.read_bytes)
    async with af.open_video(in_pieces(data, 4000), isolation="process") as video:
        found = [painted_index(f.image) async for f in video.frames(0, FRAMES)]
    return [found[3], *found[20:]]


@pytest.mark.parametrize("way", [from_file, from_http, from_pipe, from_upload])
def test_uvloop_runs_it(way: Way, clip: Path, server: RunningServer) -> None:
    """Web servers install this loop."""
    server.serve("/clip.mp4", clip.read_bytes())
    assert uvloop.run(way(clip, server.url("/clip.mp4"))) == [3, 20, 21, 22, 23]


def eager_loop() -> asyncio.AbstractEventLoop:
    """Make a loop whose tasks run at once, up to their first wait."""
    if sys.version_info < (3, 12):
        pytest.skip("Python 3.11 has no eager tasks")
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


async def from_memory(clip: Path, url: str) -> list[int]:
    """Read pieces that are there at once, each before the next is asked for, while others step."""
    data = await asyncio.to_thread(clip.read_bytes)
    async with af.open_video(in_pieces(data, 500)) as video:
        found = [painted_index(f.image) async for f in video.frames(0, FRAMES)]
    async with af.open_video(data, deadline_seconds=30) as video:
        near = await asyncio.gather(*(video.frame(index) for index in range(20, FRAMES)))
    return [found[3], *(painted_index(frame.image) for frame in near)]


async def to_files(clip: Path, url: str) -> list[int]:
    """Write files, some at a time, of several videos."""
    async for extraction in af.extract_many([(clip, clip.parent / name) for name in ("a", "b")], end=FRAMES):
        assert extraction.error is None
        assert len(extraction.paths) == FRAMES
    return [3, 20, 21, 22, 23]


@pytest.mark.parametrize("way", [from_file, from_http, from_pipe, from_upload, from_memory, to_files])
def test_tasks_may_begin_at_once(way: Way, clip: Path, server: RunningServer) -> None:
    """A task may then have ended before the one that made it knows it."""
    server.serve("/clip.mp4", clip.read_bytes())
    with asyncio.Runner(loop_factory=eager_loop) as runner:
        found = runner.run(asyncio.wait_for(way(clip, server.url("/clip.mp4")), 30))
    assert found == [3, 20, 21, 22, 23]


def test_trio_is_told_what_to_call(clip: Path) -> None:
    """Its coroutines look the same, but have no event loop of asyncio."""

    async def opens() -> None:
        async with af.open_video(clip):
            pass

    async def streams() -> None:
        async for _ in af.stream_frames(clip):
            pass

    async def extracts() -> None:
        async for _ in af.extract_many([(clip, clip.parent / "out")]):
            pass

    for program in (opens, streams, extracts):
        with pytest.raises(af.errors.NoEventLoopError, match=r"asyncframes\.sync in trio\.to_thread"):
            trio.run(program)


def test_the_advice_for_trio_works(clip: Path) -> None:
    """The blocking API runs its own loop of asyncio."""

    def decode() -> list[int]:
        with af.sync.open_video(clip) as video:
            return [painted_index(frame.image) for frame in video.frames(20)]

    assert trio.run(trio.to_thread.run_sync, decode) == [20, 21, 22, 23]


GREEN = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
import asyncframes as af

def decode(index, isolation):
    with af.sync.open_video(sys.argv[1], isolation=isolation) as video:
        return video.frame(index).index

jobs = [gevent.spawn(decode, index, isolation) for isolation in ("none", "process") for index in range(4)]
gevent.joinall(jobs, raise_error=True)
print([job.value for job in jobs])
"""


@pytest.mark.slow
def test_green_threads_may_call_the_blocking_api(clip: Path) -> None:
    """Gevent replaces threads, locks and sockets of a whole program."""
    assert run(GREEN, clip).strip() == "[0, 1, 2, 3, 0, 1, 2, 3]"


FROZEN = """
import multiprocessing, sys
import asyncframes as af

python = sys.executable
sys.frozen, sys.executable = True, "/bin/false"
multiprocessing.set_executable(sys.executable)
try:
    with af.sync.open_video(sys.argv[1], isolation="process"):
        pass
except af.errors.IsolationError as error:
    print(error)
multiprocessing.set_executable(python)
with af.sync.open_video(sys.argv[1], isolation="process") as video:
    print(len(video))
"""


def test_a_frozen_program_names_its_python(clip: Path) -> None:
    """Its own executable would start the program a second time, and that a third."""
    said = run(FROZEN, clip)
    assert "multiprocessing.set_executable" in said
    assert said.endswith(f"{FRAMES}\n")
