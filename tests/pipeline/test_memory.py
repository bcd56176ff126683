"""Peak memory of a pass over a whole file, measured from outside the interpreter's own books."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.memory import PEAK
from tests.support.streams.clips import clip_bytes

WIDTH, HEIGHT = 1280, 720
FRAME_BYTES = WIDTH * HEIGHT * 3
CACHE_BYTES = 1024 * 1024
CODEC_BYTES = 64 * 1024 * 1024
"""Constant of the pass: the codec's own pictures (a dozen of 1.4 MB), one image being encoded for each
worker, and what the allocator holds back."""

PROGRAM = f"""
import asyncio, sys, time
import asyncframes as af

path, out, queue_maxsize, workers, cache = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
{PEAK}
def slow(path, image):
    time.sleep(0.03)
    open(path, "wb").close()

async def main():
    async with af.open_video(path, cache_bytes=cache, threads=2) as video:
        await video.frame(0)
        before = peak()
        await video.save(
            out, queue_maxsize=queue_maxsize, max_write_workers=workers, image_writer=slow
        )
        print(peak() - before)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("queue_maxsize", "workers"), [(2, 1), (16, 4)])
def test_memory_stays_within_the_formula(tmp_path: Path, queue_maxsize: int, workers: int) -> None:
    """With slow writers: ``(queue_maxsize + max_write_workers + 1) * frame_bytes``, cache and constant."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=120, width=WIDTH, height=HEIGHT))
    arguments = [str(path), str(tmp_path / "out"), str(queue_maxsize), str(workers), str(CACHE_BYTES)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=50
    )
    grown = int(done.stdout)
    assert grown <= (queue_maxsize + workers + 1) * FRAME_BYTES + CACHE_BYTES + CODEC_BYTES
    assert grown < 120 * FRAME_BYTES / 2
