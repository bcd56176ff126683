"""A thousand videos open at once: what they hold, what they leave, and that stalled ones hold up nobody."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from contextlib import aclosing
from typing import Any

import pytest

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from tests.support.streams.clips import clip_bytes

VIDEOS, READ = 1000, 10
QUEUE_MAXSIZE = 4
SIZES = [(96, 64), (128, 72), (64, 96)]

FFMPEG_BYTES = 1.5 * 1024**2
"""Demuxer, decoder and converter of one video; `open_video` says about 1.3 MiB."""

CODEC_PICTURES = 17
"""What H.264 may keep: 16 to refer to, and the one being decoded."""

DESCRIPTORS = 1024
"""The usual limit of a process."""

PROGRAM = """
import asyncio, gc, hashlib, json, os, resource, sys, threading
import asyncframes as af
from asyncframes._runtime.threads import shared_executor

videos, read, queue_maxsize, descriptors = map(int, sys.argv[1:5])
paths = sys.argv[5:]

def threads():
    return len(os.listdir("/proc/self/task"))

def open_files():
    return len(os.listdir("/proc/self/fd"))

def resident():
    with open("/proc/self/statm") as facts:
        return int(facts.read().split()[1]) * resource.getpagesize()

async def digests(frames):
    return [(f.index, hashlib.sha256(f.image).hexdigest()) async for f in frames]

async def alone(path):
    async with af.open_video(path, threads=1) as video:
        return await digests(video.frames())

async def main():
    expected = [await alone(path) for path in paths]
    gc.collect()
    before = {"resident": resident(), "files": open_files(), "tasks": len(asyncio.all_tasks())}
    opened = await asyncio.gather(
        *(af.open_video(paths[i % len(paths)], threads=1) for i in range(videos))
    )
    streams = [video.frames(queue_maxsize=queue_maxsize) for video in opened]
    first = await asyncio.gather(*(anext(stream) for stream in streams[read:]))
    found = await asyncio.gather(*(digests(stream) for stream in streams[:read]))
    during = {"resident": resident(), "files": open_files(), "threads": threads()}
    for stream in streams:
        await stream.aclose()
    del stream, streams
    for video in opened:
        await video.aclose()
    del video, opened
    after = {"files": open_files(), "threads": threads(), "tasks": len(asyncio.all_tasks())}
    print(json.dumps({
        "first": sorted({frame.index for frame in first}),
        "right": [found[i] == expected[i % len(paths)] for i in range(read)],
        "before": before, "during": during, "after": after,
        "names": [thread.name for thread in threading.enumerate()],
        "executor": shared_executor().max_threads,
    }))

resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Have a process of its own open the videos, stall most, read some to their end, and close all."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"{width}.mp4" for width, _ in SIZES]
    for path, (width, height) in zip(paths, SIZES, strict=True):
        path.write_bytes(clip_bytes(frames=48, width=width, height=height))
    arguments = [VIDEOS, READ, QUEUE_MAXSIZE, DESCRIPTORS, *paths]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.slow
class TestAThousandVideos:
    """Ten are read to their end while 990 wait for consumers that took one frame."""

    def test_stalled_ones_hold_up_nobody(self, report: dict[str, Any]) -> None:
        """Those that are read give what a decode by itself gives, in every index and pixel."""
        assert report["first"] == [0]
        assert report["right"] == [True] * READ

    def test_they_share_a_few_threads(self, report: dict[str, Any]) -> None:
        """There are no more threads than the executor has, and four."""
        assert report["during"]["threads"] <= report["executor"] + 4

    def test_each_holds_one_descriptor(self, report: dict[str, Any]) -> None:
        """A local file is opened once, so that a thousand stay within the usual limit."""
        assert report["during"]["files"] - report["before"]["files"] == VIDEOS

    def test_memory_is_within_the_formula(self, report: dict[str, Any]) -> None:
        """What `open_video` says that a video costs holds for a thousand of them."""
        pixels = max(width * height for width, height in SIZES)
        bound = FFMPEG_BYTES + CODEC_PICTURES * pixels * 3 / 2 + (QUEUE_MAXSIZE + 1) * pixels * 3
        assert report["during"]["resident"] - report["before"]["resident"] <= VIDEOS * bound

    def test_nothing_is_left(self, report: dict[str, Any]) -> None:
        """Closing them leaves no task and no descriptor, and of threads those of the executors."""
        before, after = report["before"], report["after"]
        assert (after["tasks"], after["files"]) == (before["tasks"], before["files"])
        assert after["threads"] <= report["executor"] + 4
        assert {name.rstrip("0123456789") for name in report["names"]} <= {"MainThread", "asyncframes_"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("count", "selection"),
    [
        (1, {}),
        pytest.param(1, {"start": 3}, marks=pytest.mark.slow),
        pytest.param(1, {"indices": [30, 4]}, marks=pytest.mark.slow),
        (5, {"indices": range(47, 0, -5)}),
        pytest.param(99, {}, marks=pytest.mark.slow),
    ],
    ids=["forward", "range", "scattered", "lanes", "to the end"],
)
async def test_a_closed_decoder_is_freed_at_once(count: int, selection: dict[str, Any]) -> None:
    """What a codec holds goes with the video, however far it was read, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        async with af.open_video(clip_bytes(frames=48), threads=3) as video:
            async with aclosing(video.frames(queue_maxsize=2, **selection)) as frames:
                async for _frame in frames:
                    count -= 1
                    if not count:
                        break
            del _frame, frames
        del video
        for _ in range(100):  # the worker lets go of its last call a moment after its result is there
            if not (left := [thing for thing in gc.get_objects() if isinstance(thing, Decoder)]):
                break
            del left
            await asyncio.sleep(0.05)
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Decoder)]
    finally:
        gc.enable()
