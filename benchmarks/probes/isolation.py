"""What decoding in a process of its own costs, beside threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncframes as af
from asyncframes._policy.policy import Isolation
from benchmarks.contest.workloads import Sizes
from benchmarks.peers.job import Job
from benchmarks.probes.base import DEMO_CLIP, Found, Probe, Variant


async def _first(job: Job, isolation: Isolation) -> Found:
    """Open a video, and read its first frame, with a process that is ready if there is one."""
    cold = await _time_to_first(DEMO_CLIP, isolation)
    # The next process is started meanwhile.
    await asyncio.sleep(2.0)
    warm = [await _time_to_first(Path(job.address), isolation) for _ in range(5)]
    found = {"cold": cold, "warm": sorted(warm)[len(warm) // 2]}
    if isolation == "process":
        found["idle"] = await _idle_bytes()
    return found


async def _time_to_first(path: Path, isolation: Isolation) -> float:
    began = time.perf_counter()
    async with af.open_video(path, isolation=isolation) as video:
        await video.frame(0)
        return time.perf_counter() - began


async def _idle_bytes() -> float:
    """Return the memory of a process that has served and waits, without what it shares with others."""
    async with af.open_video(DEMO_CLIP, isolation="process") as video:
        await video.frame(0)
        pid = video.isolation.pid
    return await asyncio.to_thread(_private_bytes, pid)


def _private_bytes(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines[1:])
    return (int(said["Private_Clean"].split()[0]) + int(said["Private_Dirty"].split()[0])) * 1024.0


async def _frames(job: Job, isolation: Isolation) -> Found:
    """Read frames from the start of an open video."""
    async with af.open_video(job.address, isolation=isolation) as video:
        await video.frame(0)
        # The next process starts now, and takes a core for half a second.
        await asyncio.sleep(2.0)
        began = time.perf_counter()
        read = [frame.index async for frame in video.frames(0, int(job.options["frames"]) - 1)]
        seconds = time.perf_counter() - began
    assert len(read) == job.options["frames"]
    return {"seconds": seconds}


def first_in_threads(job: Job) -> Found:
    """Read the first frame."""
    return asyncio.run(_first(job, "none"))


def first_in_a_process(job: Job) -> Found:
    """Read the first frame in a process."""
    return asyncio.run(_first(job, "process"))


def frames_in_threads(job: Job) -> Found:
    """Read frames."""
    return asyncio.run(_frames(job, "none"))


def frames_in_a_process(job: Job) -> Found:
    """Read frames in a process."""
    return asyncio.run(_frames(job, "process"))


_Ways = tuple[Callable[[Job], Found], Callable[[Job], Found]]


def _variants(ways: _Ways, media: str) -> dict[str, Variant]:
    threads, process = ways
    return {"threads": Variant(threads, media), '`isolation="process"`': Variant(process, media)}


def _stream(title: str, media: str, frames: int) -> Probe:
    return Probe(
        title=f"{frames} frames of {title} from the start of an open file, in threads and in a process",
        variants=_variants((frames_in_threads, frames_in_a_process), media),
        columns={"seconds": ("time", "ms")},
        options={"frames": frames},
    )


def isolation_first(_sizes: Sizes) -> Probe:
    """Time to the first frame."""
    return Probe(
        title="From opening a 1920x1080 file to its first frame, in threads and in a process",
        variants=_variants((first_in_threads, first_in_a_process), "hd"),
        columns={
            "warm": ("with a process that is ready", "ms"),
            "cold": ("with the first process of the program", "ms"),
            "idle": ("memory of a process that waits", "MB"),
        },
    )


isolation_hd = partial(_stream, "1920x1080", "hd")
isolation_small = partial(_stream, "320x180", "small")
