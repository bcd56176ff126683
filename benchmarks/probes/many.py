"""Many videos open at once, most of which nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncGenerator

import av

import asyncframes as af
from asyncframes import Frame
from benchmarks.contest.workloads import Sizes
from benchmarks.peers.job import Job
from benchmarks.probes.base import Found, Probe, Variant, process_facts, warm_up

QUEUE_MAXSIZE = 4
QUEUE_MAXSIZE_READ = 32
SETTLED_SECONDS = 0.5


async def read(video: af.Video, frames: int) -> None:
    """Read frames from the start."""
    async with contextlib.aclosing(video.frames(0, frames - 1, queue_maxsize=QUEUE_MAXSIZE_READ)) as stream:
        async for _ in stream:
            pass


async def stall(video: af.Video) -> AsyncGenerator[Frame, None]:
    """Take one frame and leave the rest."""
    stream = video.frames(queue_maxsize=QUEUE_MAXSIZE)
    await anext(stream)
    return stream


async def settle() -> None:
    """Wait until the queues are full and memory stops growing."""
    before = 0
    while (now := process_facts()["rss"]) > before:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)


async def run(job: Job, *, stalled: int) -> Found:
    """Time the running videos while others are open."""
    running = int(job.options["running"])
    # What NumPy started on import is not ours; the main thread is.
    native_threads = process_facts()["threads"] - 1
    await warm_up()
    before = process_facts()
    async with contextlib.AsyncExitStack() as stack:
        videos = [
            await stack.enter_async_context(af.open_video(job.address, threads=1))
            for _ in range(running + stalled)
        ]
        left = [await stall(video) for video in videos[running:]]
        await settle()
        began = time.perf_counter()
        await asyncio.gather(*(read(video, int(job.options["frames_each"])) for video in videos[:running]))
        seconds = time.perf_counter() - began
        after = process_facts()
        for stream in left:
            await stream.aclose()
    threads = after["threads"] - native_threads
    return {"seconds": seconds, "threads": threads, "growth": after["peak"] - before["rss"]}


def alone(job: Job) -> Found:
    """Run some videos with no other open."""
    return asyncio.run(run(job, stalled=0))


def among(job: Job) -> Found:
    """Run the same among all the others."""
    _allow_files(int(job.options["open"]) * 2)
    running = int(job.options["running"])
    stalled = int(job.options["open"]) - running
    found = asyncio.run(run(job, stalled=stalled))
    frames = stalled * (QUEUE_MAXSIZE + 1) + running * (QUEUE_MAXSIZE_READ + 1)
    return found | {"promised": frames * job.clip.frame_bytes}


def containers(job: Job) -> Found:
    """Decode as far in as many PyAV containers, and hold no frame: the memory is the codec's own."""
    _allow_files(int(job.options["open"]) * 2)
    asyncio.run(warm_up())
    before = process_facts()
    opened = []
    for _ in range(int(job.options["open"])):
        container = av.open(job.address)
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = container.decode(stream)
        for _ in range(QUEUE_MAXSIZE + 2):
            next(frames)
        opened.append((container, frames))
    return {"growth": process_facts()["peak"] - before["rss"]}


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard < 0 else min(count, hard), hard))


def many(sizes: Sizes) -> Probe:
    """Read a few of many open videos."""
    return Probe(
        title=(
            f"{sizes.open_videos} videos of 320x180 open, `threads=1`: {sizes.running_videos} are read at "
            f"once, {sizes.frames_each} frames each; of the others one frame is taken, with "
            f"`queue_maxsize={QUEUE_MAXSIZE}`"
        ),
        variants={
            "the same videos alone": Variant(alone, "small"),
            "among all the others": Variant(among, "small"),
            "PyAV containers: the codec's own": Variant(containers, "small"),
        },
        columns={
            "seconds": ("the videos being read", "s"),
            "threads": ("threads of the process", ""),
            "growth": ("peak RSS, above the start", "MB"),
            "promised": ("frames promised", "MB"),
        },
        options={
            "open": sizes.open_videos,
            "running": sizes.running_videos,
            "frames_each": sizes.frames_each,
        },
    )
