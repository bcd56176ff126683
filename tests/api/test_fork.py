"""Forked children start afresh, and say what is their parent's."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.streams.clips import repeated

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# A hang lasts for ever; a start on a busy machine takes some seconds.
ENDS_WITHIN_SECONDS = 60

PREPARED = """
import asyncio, gc, multiprocessing, os, sys, threading, warnings
import asyncframes as af
from asyncframes.errors import ForkedError
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")

async def read_async(start):
    async with af.open_video(PATH) as video:
        frames = [frame.index async for frame in video.frames(start, start + 3)]
        return frames + [(await video.frame(20)).index]

def read_sync(start):
    with af.sync.open_video(PATH) as video:
        frames = [frame.index for frame in video.frames(start, start + 3)]
        return frames + [video.frame(20).index]

def right(start):
    return [start, start + 1, start + 2, start + 3, 20]

def check(start=0):
    assert read_sync(start) == right(start)
    assert asyncio.run(read_async(start)) == right(start)
    assert next(iter(af.sync.stream_frames(PATH, start)))[0] == start

def refused(call):
    try:
        call()
    except ForkedError as exc:
        assert "open it again in the child" in str(exc), exc
    else:
        raise AssertionError("ForkedError was expected")

def in_child(work, exits=os._exit):
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(9)
        exits(0)
    return pid

def ended(pid):
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
"""

SCRIPTS = {
    "nothing was used": "ended(in_child(check)); check()",
    "everything is closed": "check(); ended(in_child(check)); check(3)",
    "the child exits as a script does": "check(); ended(in_child(check, sys.exit)); check(3)",
    "a child of a child": "check(); ended(in_child(lambda: (check(), ended(in_child(check))))); check(3)",
    "a video is carried over": """
video = af.sync.open_video(PATH); video.frame(3)
frames = video.frames(queue_maxsize=1); next(frames)
def work():
    refused(lambda: video.frame(0)); refused(video.count)
    refused(video.frames); refused(lambda: next(frames))
    frames.close(); video.close()
    check()
ended(in_child(work)); ended(in_child(work, sys.exit))
assert next(frames).index == 1
assert video.frame(30).index == 30
frames.close(); video.close()
""",
    "what is carried over is dropped": """
video = af.sync.open_video(PATH); video.frame(3)
frames = video.frames(queue_maxsize=1); next(frames)
other = af.sync.stream_frames(PATH, queue_maxsize=1); next(other)
def work():
    global video, frames, other
    video = frames = other = None
    gc.collect()
    check()
ended(in_child(work)); ended(in_child(work, sys.exit))
assert [frame.index for frame in frames][:2] == [1, 2]
assert next(other)[0] == 1
other.close(); video.close()
""",
    "an async video is carried over": """
async def main():
    async with af.open_video(PATH) as video:
        frames = video.frames(queue_maxsize=1)
        await anext(frames)
        single = af.stream_frames(PATH, queue_maxsize=1)
        await anext(single)
        def work():
            def drive(call):
                def run():
                    try: call.send(None)
                    finally: call.close()
                refused(run)
            drive(video.frame(0)); drive(video.count()); refused(video.frames)
            refused(lambda: anext(frames)); refused(lambda: anext(single))
            for closing in (frames.aclose(), video.aclose()):
                try: closing.send(None)
                except StopIteration: pass
            asyncio._set_running_loop(None)
            check()
        ended(in_child(work))
        assert (await anext(frames)).index == 1
        assert (await video.frame(30)).index == 30
        await frames.aclose(); await single.aclose()
asyncio.run(main())
check()
""",
    "a child leaves through the parent's coroutine": """
async def main():
    async with af.open_video(PATH) as video:
        frames = video.frames(queue_maxsize=2)
        await anext(frames)
        pid = os.fork()
        if not pid:
            sys.exit(0)
        ended(pid)
        # asyncio in the child has closed its copy of the loop, whose selector is the parent's too.
        os._exit(0)
asyncio.run(main())
""",
    "open sources are carried over": """
from asyncframes.sources import CachedSource, FileObjectSource, ForwardSource, FsspecSource, LocalSource
def drive(call):
    try: call.send(None)
    except StopIteration: return
    finally: call.close()
    raise AssertionError("it waits")
async def main():
    sources = [
        LocalSource(PATH), FileObjectSource(open(PATH, "rb")), ForwardSource(open(PATH, "rb")),
        CachedSource(LocalSource(PATH)), FsspecSource("file://" + PATH),
    ]
    for source in sources:
        await source.open()
    def work():
        for source in sources:
            refused(lambda: drive(source.read_range(0, 10)))
            refused(lambda: drive(source.open()))
            drive(source.aclose())
    ended(in_child(work))
    for source in sources:
        assert len(await source.read_range(0, 10)) == 10
        await source.aclose()
asyncio.run(main())
""",
    "a source that is not open": """
source = af.sources.LocalSource(PATH)
def work():
    with af.sync.open_video(source) as video:
        assert video.frame(7).index == 7
ended(in_child(work)); work()
""",
    "many videos are carried over": """
import tempfile
runs = af.sync.extract_many([(PATH, tempfile.mkdtemp()) for _ in "ab"], end=3, concurrency=1)
assert next(runs).error is None
ended(in_child(lambda: (refused(lambda: next(runs)), runs.close(), check())))
assert next(runs).error is None
""",
    "obstore was used": """
from asyncframes.sources import ObjectStoreSource
from obstore.store import LocalStore
def read():
    source = ObjectStoreSource(LocalStore(os.path.dirname(PATH)), path=os.path.basename(PATH))
    with af.sync.open_video(source) as video:
        assert video.frame(7).index == 7
read()
def work():
    try: read()
    except ForkedError as exc: assert "spawn" in str(exc)
    else: raise AssertionError("ForkedError was expected")
    check()
ended(in_child(work)); read()
""",
    "decoding while it forks": """
stop = threading.Event()
seen = []
def decode():
    while not stop.is_set():
        seen.append(sum(1 for _ in af.sync.stream_frames(PATH, 0, 60)))
threads = [threading.Thread(target=decode) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(8):
    ended(in_child(check)); ended(in_child(check, sys.exit))
stop.set()
for thread in threads: thread.join()
assert seen and set(seen) == {61}, seen
""",
    "a fork pool": """
check()
video = af.sync.open_video(PATH); video.frame(1)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(read_sync, range(6)) == [right(start) for start in range(6)]
video.frame(2); video.close()
""",
    "a process forked inside a coroutine": """
async def main():
    async with af.open_video(PATH) as video:
        await video.frame(3)
        process = multiprocessing.get_context("fork").Process(target=check)
        process.start()
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
        assert (await video.frame(5)).index == 5
asyncio.run(main())
""",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fork") / "clip.mp4"
    path.write_bytes(repeated(files("asyncframes").joinpath("data", "bunny.mp4").read_bytes(), 2))
    return path


def run(lines: str, path: Path) -> str:
    """Run a script to its end, which is to come by itself."""
    script = path.with_name("script.py")
    script.write_text(f"PATH = {str(path)!r}\n{lines}")
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(script)],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_both_go_on(name: str, path: Path) -> None:
    """A child reads as the parent does, whatever the parent holds, and leaves it unharmed."""
    run(f"{PREPARED}\n{SCRIPTS[name]}", path)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_every_way_to_start_a_process(method: str, path: Path) -> None:
    """Multiprocessing's workers read, after the parent did and while it holds a video."""
    pool = f"""
if __name__ == "__main__":
    check()
    video = af.sync.open_video(PATH); video.frame(1)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map(read_sync, range(4)) == [right(start) for start in range(4)]
    assert video.frame(2).index == 2
    video.close()
"""
    run(PREPARED + pool, path)
