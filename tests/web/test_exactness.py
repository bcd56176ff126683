"""Times and tables over HTTP agree with the library for every frame, also where the rate varies."""

from __future__ import annotations

import asyncio
import io
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.serving import serving

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

JUMPS = [2 * index + 7 * (index // 5) + (index % 3 == 0) for index in range(60)]


def varying(_ffmpeg: str, _folder: Path) -> bytes:
    """Frames at uneven times, from a start that is not zero."""
    return clip_bytes(frames=60, pts=[20 + jump for jump in JUMPS], container="matroska", gop=9)


def cut_by_edits(ffmpeg: str, folder: Path) -> bytes:
    """A copy that begins inside a GOP: its edit list hides the samples before."""
    given, cut = folder / "whole.mp4", folder / "cut.mp4"
    given.write_bytes(clip_bytes(frames=60))
    command = [ffmpeg, "-v", "error", "-ss", "0.9", "-i", str(given), "-c", "copy", str(cut)]
    subprocess.run(command, check=True, timeout=60)
    return cut.read_bytes()


def shortened_by_edits(_ffmpeg: str, _folder: Path) -> bytes:
    """A file whose edit list leaves out the end."""
    data = bytearray(clip_bytes(frames=60))
    place = data.rindex(b"elst") + 12
    duration = int.from_bytes(data[place : place + 4], "big")
    data[place : place + 4] = (duration * 2 // 3).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("make", [varying, cut_by_edits, shortened_by_edits])
async def test_every_time_leads_to_its_frame(
    ffmpeg: str, tmp_path: Path, make: Callable[[str, Path], bytes]
) -> None:
    """Its pts, and the middle of its time; and the picture is that of a decode from the beginning."""
    path = tmp_path / "video"
    path.write_bytes(await asyncio.to_thread(make, ffmpeg, tmp_path))
    async with serving({"v": path}) as client, af.open_video(path) as video:
        pictures = [frame async for frame in video.frames()]
        table = await video.frame_table()
        async with client.get("/v/v/table") as reply:
            told = await reply.json()
        for name in ("pts_seconds", "duration_seconds", "is_keyframe"):
            assert told[name] == getattr(table, name).tolist()
        async with client.get("/v/v/info") as reply:
            assert (await reply.json())["frame_count"] == len(pictures) == len(told["index"])
        for frame, seconds, duration in zip(
            pictures, told["pts_seconds"], told["duration_seconds"], strict=True
        ):
            for at in (seconds, float(Fraction(seconds) + Fraction(duration) / 2)):
                async with client.get(f"/v/v/at/{at!r}.png") as reply:
                    assert reply.headers["X-Frame-Index"] == str(frame.index)
                    assert float(reply.headers["X-Frame-Pts-Seconds"]) == frame.pts_seconds
                    image = np.asarray(Image.open(io.BytesIO(await reply.read())))
            assert np.array_equal(image, frame.image)
            assert painted_index(image) == painted_index(frame.image)
        last = told["pts_seconds"][-1] + told["duration_seconds"][-1]
        for outside in (told["pts_seconds"][0] - 1, last + 0.01):
            async with client.get(f"/v/v/at/{outside!r}.png") as reply:
                assert reply.status == 404
