"""How much memory a sequential decode takes, and how much is promised."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace

import asyncframes as af
from benchmarks.contest.workloads import Sizes
from benchmarks.peers.job import Job
from benchmarks.peers.pyav_loop import PyavLoop
from benchmarks.probes.base import Found, Probe, Variant, process_facts, warm_up

QUEUE_MAXSIZE = 32
WRITE_WORKERS = 4

# The consumer is slower than the decoder until the queue has been full for some time.
SLOW_FRAMES = QUEUE_MAXSIZE * 2
PAUSE_SECONDS = 0.04


def grown(before: dict[str, int], promised: int) -> Found:
    """Return the peak growth of memory since `before`, and the growth promised."""
    return {"growth": process_facts()["peak"] - before["rss"], "promised": promised}


def streaming(job: Job) -> Found:
    """Stream to a consumer that is slow at first."""

    async def run() -> None:
        frames = af.stream_frames(job.address, queue_maxsize=QUEUE_MAXSIZE)
        taken = 0
        async for _ in frames:
            taken += 1
            await asyncio.sleep(PAUSE_SECONDS if taken < SLOW_FRAMES else 0)

    asyncio.run(warm_up())
    before = process_facts()
    asyncio.run(run())
    return grown(before, (QUEUE_MAXSIZE + 1) * job.clip.frame_bytes)


def writing(job: Job) -> Found:
    """Write PNG files, which takes longer than decoding does."""

    async def run(directory: str) -> None:
        await af.stream_frames_to_dir(
            job.address,
            directory,
            0,
            3 * SLOW_FRAMES,
            queue_maxsize=QUEUE_MAXSIZE,
            max_write_workers=WRITE_WORKERS,
        )

    asyncio.run(warm_up())
    before = process_facts()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(directory))
    return grown(before, (QUEUE_MAXSIZE + WRITE_WORKERS + 1) * job.clip.frame_bytes)


def bare(job: Job) -> Found:
    """Hold no frame in a loop over PyAV: the memory is the codec's own."""
    asyncio.run(warm_up())
    contestant = PyavLoop()
    before = process_facts()
    contestant.sequence(replace(job, indices=list(range(job.clip.frames))), lambda _: None)
    return grown(before, 0)


def memory(_sizes: Sizes) -> Probe:
    """How much memory a sequential decode takes."""
    return Probe(
        title="Memory of a sequential decode of 1920x1080",
        variants={
            f"`stream_frames`, `queue_maxsize={QUEUE_MAXSIZE}`, a slow consumer": Variant(streaming, "hd"),
            f"`stream_frames_to_dir`, also `max_write_workers={WRITE_WORKERS}`": Variant(writing, "hd"),
            "PyAV loop: the codec's own": Variant(bare, "hd"),
        },
        columns={"growth": ("peak RSS, above the start", "MB"), "promised": ("frames promised", "MB")},
    )
