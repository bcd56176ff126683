"""What counting the frames of an MP4 costs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncframes as af
from benchmarks.contest.workloads import Sizes, length_name
from benchmarks.peers.job import Job
from benchmarks.probes.base import Found, Probe, Variant


def counting(job: Job) -> Found:
    """Open the video and count its frames, from disk and over HTTP."""
    began = time.perf_counter()
    asyncio.run(_count(job.address))
    between = time.perf_counter()
    asyncio.run(_count(job.url))
    return {
        "seconds": between - began,
        "remote": time.perf_counter() - between,
        "header": _header_bytes(Path(job.address)),
        "size": job.clip.size,
        "frames": job.clip.frames,
    }


async def _count(address: str) -> None:
    async with af.open_video(address) as video:
        await video.count()


def _header_bytes(path: Path) -> int:
    """Return the size of the box that lists the frames."""
    with path.open("rb") as file:
        start = 0
        while head := file.read(8):
            size = int.from_bytes(head[:4])
            if size == 1:
                size = int.from_bytes(file.read(8))
            if head[4:] == b"moov":
                return size
            start += size
            file.seek(start)
    raise LookupError("no moov box")


def index(sizes: Sizes) -> Probe:
    """Count frames, at each length."""
    return Probe(
        title="The number of frames of an MP4 of 320x180, its header last: opened and counted",
        variants={length_name(minutes): Variant(counting, minutes) for minutes in sizes.minutes},
        columns={
            "frames": ("frames", ""),
            "size": ("file", "MB"),
            "header": ("header", "MB"),
            "seconds": ("from disk", "s"),
            "remote": ("over HTTP", "s"),
            "bytes": ("fetched", "MB"),
            "requests": ("requests", ""),
        },
    )
