"""``seek_mode="approximate"``: frames by index over rate, without a table."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from typing import Any

import pytest

import asyncframes as af
from asyncframes._requests.jobs.approximate import nominal_table
from asyncframes.errors import FrameIndexError, UnsupportedMediaError
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, painted_index, repeated

pytestmark = BOTH_ISOLATIONS

FRAMES = 48
CONSTANT: dict[str, dict[str, Any]] = {
    "MP4": {},
    "fragmented": {"fragmented": True},
    "open GOP": {"open_gop": True},
    "one GOP": {"gop": 250},
    "intra only": {"gop": 1, "b_frames": 0},
    "late": {"pts": range(100, 100 + FRAMES)},
    "NTSC": {"rate": Fraction(30000, 1001)},
    "NTSC in Matroska": {"rate": Fraction(30000, 1001), "container": "matroska", "frames": 400},
    "WebM": {"container": "webm", "codec": "libvpx"},
    "MPEG-TS": {"container": "mpegts"},
    "MPEG-2 in TS": {"container": "mpegts", "codec": "mpeg2video"},
    "AVI": {"container": "avi", "codec": "mpeg4", "b_frames": 0},
}
UNEVEN = [7 + index + index * index // 9 for index in range(FRAMES)]


def fingerprint(frame: af.Frame) -> tuple[int, int | None, int]:
    return frame.index, frame.pts, zlib.crc32(frame.image.data)


@pytest.mark.anyio
@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
@pytest.mark.parametrize("kind", CONSTANT)
async def test_at_a_constant_rate_it_is_exact(kind: str, remote: bool) -> None:
    """Every frame in random order, some twice, is the one that exact mode gives, bit for bit."""
    data = clip_bytes(**{"frames": FRAMES, **CONSTANT[kind]})
    async with af.open_video(data) as video:
        exact = [fingerprint(frame) async for frame in video.frames()]
    order = list(range(len(exact)))
    random.Random(kind).shuffle(order)
    order = order[:60] + order[:3]
    source = FaultySource(MemorySource(data)) if remote else data
    async with af.open_video(source, seek_mode="approximate") as video:
        assert video.info.seek_mode == "approximate"
        assert await video.count() == len(exact)
        found = [fingerprint(frame) async for frame in video.frames(indices=order)]
        assert found == [exact[index] for index in order]
        assert fingerprint(await video.frame(-1)) == exact[-1]
        assert [fingerprint(frame) async for frame in video.frames(35, 44, 3)] == exact[35:45:3]
        assert (await video.frame_at(Fraction(exact[20][1] or 0) * video.info.time_base)).index == 20


@pytest.mark.anyio
@pytest.mark.parametrize("container", ["mp4", "matroska"])
async def test_at_a_varying_rate_it_is_what_is_shown_then(container: str) -> None:
    """The frame is one within half a nominal frame of its nominal time, else the one shown at that time."""
    data = clip_bytes(frames=FRAMES, pts=UNEVEN, container=container)
    async with af.open_video(data) as video:
        times = [float(frame.pts_seconds or 0) async for frame in video.frames()]
    async with af.open_video(data, seek_mode="approximate") as video:
        rate = video.info.average_rate or Fraction(1)
        last = min(await video.count() - 1, int((times[-1] - times[0]) * rate))
        order = list(range(0, last + 1, 3))
        random.Random(0).shuffle(order)
        async for frame in video.frames(indices=order):
            nominal = times[0] + frame.index / float(rate)
            place = painted_index(frame.image)
            assert times[place] <= nominal + 0.51 / float(rate)
            assert place == FRAMES - 1 or times[place + 1] >= nominal - 0.51 / float(rate)


@pytest.mark.anyio
async def test_nothing_is_scanned() -> None:
    """A frame near the end of a Matroska file costs its header, its cues and a GOP or two."""
    bunny = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
    data = repeated(bunny, 16, container="matroska")
    source = FaultySource(MemorySource(data))
    async with af.open_video(source, seek_mode="approximate") as video:
        assert await video.count() == 16 * 132
        approximate = (await video.frame(2000)).image
        assert video.bytes_read < len(data) / 5
        # The exact table is still to be had, and may read everything.
        assert len(await video.frame_table()) == 16 * 132
    async with af.open_video(data) as video:
        assert ((await video.frame(2000)).image == approximate).all()


@pytest.mark.anyio
async def test_reading_from_the_start_is_exact() -> None:
    """Without a seek nothing is approximate: frames are numbered as they come, to the last one."""
    data = clip_bytes(frames=FRAMES, pts=UNEVEN)
    async with af.open_video(data, seek_mode="approximate") as video:
        assert [painted_index(frame.image) async for frame in video.frames()] == list(range(FRAMES))


@pytest.mark.anyio
async def test_a_claim_of_more_frames_than_there_are_is_met() -> None:
    """An FLV header counts the delay before the first frame: what would come after the end is an error."""
    data = clip_bytes(frames=FRAMES, container="flv")
    async with af.open_video(data, seek_mode="approximate") as video:
        assert await video.count() > FRAMES
        with pytest.raises(FrameIndexError, match="ends before"):
            await video.frame(-1)
        assert painted_index((await video.frame(FRAMES - 1)).image) == FRAMES - 1
        with pytest.raises(FrameIndexError):
            await video.frame(1000)


@pytest.mark.anyio
async def test_what_cannot_be_done_is_said() -> None:
    """Keyframes are not known; without times there is nothing to go by; other modes do not exist."""
    async with af.open_video(clip_bytes(frames=FRAMES), seek_mode="approximate") as video:
        with pytest.raises(ValueError, match="keyframes"):
            await video.indices(keyframes=True)
    async with af.open_video(clip_bytes(frames=FRAMES, container="h264"), seek_mode="approximate") as video:
        with pytest.raises(UnsupportedMediaError, match='pass "exact"'):
            await video.count()
        assert len([frame async for frame in video.frames()]) == FRAMES
    with pytest.raises(ValueError, match="seek_mode='near'"):
        af.open_video(b"", seek_mode="near")  # type: ignore[arg-type]  # that is the test


@pytest.mark.anyio
async def test_claims_beyond_all_bounds_are_named_errors() -> None:
    """A rate, a length or a beginning that no video has ends in UnsupportedMediaError."""
    async with af.open_video(clip_bytes(frames=8)) as video:
        info = video.info
    claims: list[tuple[dict[str, Any], int]] = [
        ({"duration_seconds_from_header": float("inf")}, 0),
        ({"duration_seconds_from_header": float("nan")}, 0),
        ({"duration_seconds_from_header": 1e300}, 0),
        ({"average_rate": Fraction(-25)}, 0),
        ({"average_rate": Fraction(1, 2**31), "time_base": Fraction(1, 2**31), "frames_from_header": 2}, 0),
        ({"frames_from_header": 8}, 2**62),
    ]
    for claim, first_pts in claims:
        changed = replace(info, **{"frames_from_header": None} | claim)
        with pytest.raises(UnsupportedMediaError, match="approximate"):
            nominal_table(changed, first_pts, "clip")
    even = nominal_table(replace(info, frames_from_header=3, average_rate=Fraction(24)), 5, "clip")
    assert even.pts.tolist() == [5, 5 + round(12800 / 24), 5 + round(25600 / 24)]
