"""What is left open holds up no interpreter's exit."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.streams.clips import repeated

# A hang lasts a minute or for ever; a start on a busy machine takes some seconds.
EXITS_WITHIN_SECONDS = 30

STALLED = """
import http.server, threading

class Stalling(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        data = DATA
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data) - 1) + 1, len(data))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", '"1"')
        self.end_headers()
        stalls = stalling.is_set()
        self.wfile.write(data[start : start + 1000] if stalls else data[start:stop])
        self.wfile.flush()
        if stalls:
            reached.set()
            threading.Event().wait()
    def log_message(self, *args): pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

DATA = open(PATH, "rb").read()
reached, stalling = threading.Event(), threading.Event()
server = Server(("127.0.0.1", 0), Stalling)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}/clip.mp4"
"""

# Name: the script, what it exits with, whether a video is unclosed; None where that depends on timing.
SCRIPTS: dict[str, tuple[str, int, bool | None]] = {
    "sync video": ("video = af.sync.open_video(PATH); video.frame(3)", 0, True),
    "sync iterator": ("frames = af.sync.stream_frames(PATH, queue_maxsize=1); next(frames)", 0, True),
    "sync iterator of a video": (
        "video = af.sync.open_video(PATH); frames = video.frames(queue_maxsize=1); next(frames)",
        0,
        True,
    ),
    "sync cycle": (
        "frames = [af.sync.stream_frames(PATH, queue_maxsize=1)]; frames.append(frames); next(frames[0])",
        0,
        True,
    ),
    "sync error while iterating": (
        "video = af.sync.open_video(PATH)\nfor frame in video.frames(queue_maxsize=1): raise KeyError(1)",
        1,
        True,
    ),
    "sync exit while iterating": (
        # The loop may have closed the iterator, which was dropped, before the process ends.
        "for index, image in af.sync.stream_frames(PATH, queue_maxsize=1): raise SystemExit(3)",
        3,
        None,
    ),
    "sync many": (
        "import tempfile\n"
        "runs = af.sync.extract_many([(PATH, tempfile.mkdtemp()), (PATH, tempfile.mkdtemp())])\nnext(runs)",
        0,
        None,
    ),
    "sync in another thread": (
        "import threading\n"
        "def work():\n"
        "    global frames\n"
        "    frames = af.sync.stream_frames(PATH, queue_maxsize=1); next(frames)\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()",
        0,
        True,
    ),
    "sync stalled read": (
        STALLED + "video = af.sync.open_video(URL, cache_bytes=262144, read_ahead_bytes=0)\n"
        "stalling.set()\n"
        "threading.Thread(target=lambda: list(video.frames()), daemon=True).start()\nassert reached.wait(20)",
        0,
        True,
    ),
    "async video": (
        "async def main():\n    global video\n    video = await af.open_video(PATH)\n"
        "    await video.frame(3)\n"
        "asyncio.run(main())",
        0,
        True,
    ),
    "async generator": (
        "async def main():\n    global frames\n    frames = af.stream_frames(PATH, queue_maxsize=1)\n"
        "    await anext(frames)\nasyncio.run(main())",
        0,
        False,
    ),
    "async error while iterating": (
        "async def main():\n    async for frame in af.stream_frames(PATH, queue_maxsize=1):\n"
        "        raise KeyError(1)\nasyncio.run(main())",
        1,
        False,
    ),
    "async loop that is stopped": (
        "async def main():\n    global video, frames\n    video = await af.open_video(PATH)\n"
        "    frames = video.frames(queue_maxsize=1)\n    await anext(frames)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        0,
        True,
    ),
    "async stalled read": (
        STALLED + "async def main():\n    global video, task\n"
        "    video = await af.open_video(URL, cache_bytes=262144, read_ahead_bytes=0)\n"
        "    stalling.set()\n"
        "    async def read():\n        async for frame in video.frames(): pass\n"
        "    task = asyncio.create_task(read())\n"
        "    while not reached.is_set(): await asyncio.sleep(0.01)\n"
        "asyncio.run(main())",
        0,
        True,
    ),
    "async stalled read on a loop that is stopped": (
        STALLED + "async def main():\n    global video, task\n"
        "    video = await af.open_video(URL, cache_bytes=262144, read_ahead_bytes=0)\n"
        "    stalling.set()\n"
        "    async def read():\n        async for frame in video.frames(): pass\n"
        "    task = asyncio.create_task(read())\n"
        "    while not reached.is_set(): await asyncio.sleep(0.01)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        0,
        True,
    ),
    "a loop that runs on, as a notebook's does": (
        "import threading\n"
        "loop = asyncio.new_event_loop()\n"
        "threading.Thread(target=loop.run_forever, daemon=True).start()\n"
        "def cell(call): return asyncio.run_coroutine_threadsafe(call, loop).result()\n"
        "async def opened(): return await af.open_video(PATH)\n"
        "async def step(frames): return await anext(frames)\n"
        "video = cell(opened()); frames = video.frames(queue_maxsize=1); cell(step(frames))\n"
        "other = af.sync.stream_frames(PATH, queue_maxsize=1); next(other)",
        0,
        True,
    ),
    "a blocking pipe": (
        "import os\nread, write = os.pipe()\n"
        "with open(PATH, 'rb') as file: os.write(write, file.read(4096))\n"
        "async def main():\n    from asyncframes.sources import ForwardSource\n"
        "    class Blocking:\n        def read(self, n): return os.read(read, n)\n"
        "    try:\n        async with asyncio.timeout(1): await af.open_video(ForwardSource(Blocking()))\n"
        "    except TimeoutError: pass\n"
        "asyncio.run(main())",
        0,
        False,
    ),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough for a decode and for reads to be under way when the script ends."""
    path = tmp_path_factory.mktemp("exit") / "clip.mp4"
    path.write_bytes(repeated(files("asyncframes").joinpath("data", "bunny.mp4").read_bytes(), 8))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_interpreter_exits_by_itself(name: str, path: Path) -> None:
    """What is unclosed is a ResourceWarning, and neither a hang nor a crash."""
    script, code, is_unclosed = SCRIPTS[name]
    lines = f"import asyncio\nimport asyncframes as af\nPATH = {str(path)!r}\n{script}\n"
    ended = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", lines],
        capture_output=True,
        text=True,
        timeout=EXITS_WITHIN_SECONDS,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    if is_unclosed is not None:
        assert ("ResourceWarning: unclosed video" in ended.stderr) == is_unclosed, ended.stderr
    assert "never awaited" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
