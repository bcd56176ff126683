"""How long a batch takes, and how much memory, beside frames that are stacked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

import asyncframes as af
from benchmarks.contest.workloads import Sizes
from benchmarks.peers.job import Job
from benchmarks.probes.base import Found, Probe, Variant, process_facts, warm_up

FRAMES = 64
SIZE = (224, 224)


async def read_batch(video: af.Video) -> af.Image:
    """Read a batch."""
    return (await video.batch(0, FRAMES - 1, resize=SIZE)).images


async def read_and_stack(video: af.Video) -> af.Image:
    """Read frames, and stack them."""
    return np.stack([frame.image async for frame in video.frames(0, FRAMES - 1, resize=SIZE)])


async def measured(job: Job, read: Callable[[af.Video], Awaitable[af.Image]]) -> Found:
    """Time it, and see how much memory it takes."""
    await warm_up()
    async with af.open_video(job.address, threads=1) as video:
        await video.frame(0)
        before = process_facts()["rss"]
        began = time.perf_counter()
        await read(video)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "growth": process_facts()["peak"] - before}


def batched(job: Job) -> Found:
    """Read a batch."""
    return asyncio.run(measured(job, read_batch))


def stacked(job: Job) -> Found:
    """Read frames, and stack them."""
    return asyncio.run(measured(job, read_and_stack))


def batch(_sizes: Sizes) -> Probe:
    """Read frames into one array."""
    return Probe(
        title=f"{FRAMES} frames of an open file of 320x180 in one array of {SIZE[0]}x{SIZE[1]}, `threads=1`",
        variants={"`batch`": Variant(batched, "small"), "`frames`, `np.stack`": Variant(stacked, "small")},
        columns={
            "seconds": ("time", "ms"),
            "growth": ("peak RSS, above the start", "MB"),
        },
    )
