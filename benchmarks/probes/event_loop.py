"""How late the event loop is while a video is decoded."""

from __future__ import annotations

import asyncio
import time

import asyncframes as af
from benchmarks.contest.workloads import Sizes
from benchmarks.peers.job import Job
from benchmarks.probes.base import Found, Probe, Variant

INTERVAL_SECONDS = 0.001


async def sample(delays: list[float]) -> None:
    """Sleep for a millisecond again and again, and note how much longer it took."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(INTERVAL_SECONDS)
        delays.append(time.perf_counter() - before - INTERVAL_SECONDS)


async def sampled(work: asyncio.Future[None] | asyncio.Task[None]) -> Found:
    """Return how late the loop was until `work` was done."""
    delays: list[float] = []
    sampler = asyncio.create_task(sample(delays))
    began = time.perf_counter()
    await work
    seconds = time.perf_counter() - began
    sampler.cancel()
    delays.sort()
    return {
        "p50": delays[len(delays) // 2],
        "p99": delays[len(delays) * 99 // 100],
        "worst": delays[-1],
        "samples": len(delays),
        "seconds": seconds,
    }


def decoding(job: Job) -> Found:
    """Decode the whole video."""
    return _decoding(job, idle_priority=False)


def decoding_at_idle_priority(job: Job) -> Found:
    """Decode the whole video with codec threads of idle priority."""
    return _decoding(job, idle_priority=True)


def _decoding(job: Job, *, idle_priority: bool) -> Found:
    async def decode() -> None:
        async with af.open_video(job.address, idle_priority=idle_priority) as video:
            async for _ in video.frames():
                pass

    async def run() -> Found:
        return await sampled(asyncio.create_task(decode()))

    return asyncio.run(run())


def idle(job: Job) -> Found:
    """Do nothing."""

    async def run() -> Found:
        return await sampled(asyncio.create_task(asyncio.sleep(job.options["idle_seconds"])))

    return asyncio.run(run())


def event_loop(sizes: Sizes) -> Probe:
    """How late the event loop is."""
    return Probe(
        title=f"Delay of the event loop during a whole decode of {sizes.hd_seconds:g} s of 1920x1080",
        variants={
            "asyncframes": Variant(decoding, "hd"),
            "asyncframes, `idle_priority=True`": Variant(decoding_at_idle_priority, "hd"),
            "an idle event loop": Variant(idle, "hd"),
        },
        columns={
            "p50": ("median", "ms"),
            "p99": ("99th percentile", "ms"),
            "worst": ("worst", "ms"),
            "samples": ("samples", ""),
            "seconds": ("the decode", "s"),
        },
        options={"idle_seconds": sizes.hd_seconds / 6},
    )
