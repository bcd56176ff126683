"""Times and rates in containers that round them: a frame's time names it, its rate gives all once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = BOTH_ISOLATIONS

FRAMES = 43

CONTAINERS: dict[str, dict[str, Any]] = {
    "mp4": {"container": "mp4"},
    "matroska": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx"},
    "mpegts": {"container": "mpegts", "codec": "mpeg2video"},
    "flv": {"container": "flv"},
    "avi": {"container": "avi", "codec": "mpeg4", "b_frames": 0},
}
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
    "120": Fraction(120),
    "240": Fraction(240),
}
ALL = list(range(FRAMES))


def is_representative(container: str, rate: str) -> bool:
    """A fractional rate in each container, and each rate in the one with the coarsest ticks."""
    return rate == "29.97" or container == "matroska"


def clip(container: str, rate: Fraction, pts: Sequence[int] | None = None) -> bytes:
    return clip_bytes(frames=FRAMES, width=64, height=48, rate=rate, pts=pts, **CONTAINERS[container])


async def origin(video: af.Video) -> Fraction:
    """Seconds of the first frame: a transport stream does not begin at 0."""
    first = await video.frame(0)
    assert first.pts is not None
    return first.pts * first.time_base


@pytest.mark.anyio
@pytest.mark.parametrize(("container", "rate"), grid(CONTAINERS, RATES, fast=is_representative))
async def test_the_time_of_a_frame_names_it(container: str, rate: str) -> None:
    """Index over rate, as float, Fraction or array, names the frame, and so does its middle."""
    fps = RATES[rate]
    async with af.open_video(clip(container, fps)) as video:
        start = await origin(video)
        exact = [start + index / fps for index in ALL]
        for times in (
            exact,
            [float(time) for time in exact],
            np.array([float(time) for time in exact]),
            [time + 1 / (2 * fps) for time in exact],
        ):
            assert (await video.indices(times=times)).tolist() == ALL


ROUNDINGS: dict[str, tuple[Callable[[float], Any], float]] = {
    "three decimals": (lambda time: round(time, 3), 0.0005),
    "six decimals": (lambda time: round(time, 6), 5e-7),
    "float32": (np.float32, 2**-18),
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("container", "rate", "rounding"),
    grid(
        CONTAINERS,
        ["23.976", "30", "59.94", "240"],
        ROUNDINGS,
        fast=lambda container, rate, _: (container in {"mp4", "matroska"}) == (rate in {"23.976", "59.94"}),
    ),
)
async def test_tolerance_makes_up_for_rounded_times(container: str, rate: str, rounding: str) -> None:
    """Times that lost digits name their frames with the tolerance that these digits are worth."""
    fps, (rounded, tolerance) = RATES[rate], ROUNDINGS[rounding]
    async with af.open_video(clip(container, fps)) as video:
        start = await origin(video)
        times = [rounded(float(start + index / fps)) for index in ALL]
        assert (await video.indices(times=times, tolerance_seconds=tolerance)).tolist() == ALL
        assert (await video.frame_at(times[30], tolerance_seconds=tolerance)).index == 30
        bounds = times[7], times[30]
        ranged = await video.indices(time_range=bounds, tolerance_seconds=tolerance)
        assert ranged.tolist() == list(range(7, 30))


@pytest.mark.anyio
async def test_without_tolerance_a_rounded_time_is_what_it_says() -> None:
    """Cut to milliseconds, it lies before a frame by many ticks of an MP4, and names the frame before."""
    async with af.open_video(clip("mp4", RATES["29.97"])) as video:
        assert (await video.indices(times=[0.033, 0.0333])).tolist() == [0, 0]
        assert (await video.indices(times=[0.033, 0.0333], tolerance_seconds=0.0005)).tolist() == [1, 1]


@pytest.mark.anyio
@pytest.mark.parametrize(("container", "rate"), grid(CONTAINERS, RATES, fast=is_representative))
async def test_a_constant_rate_gives_every_frame_once(container: str, rate: str) -> None:
    """Resampling to the rate that the video has leaves it as it is, in all of it and in a part."""
    fps = RATES[rate]
    async with af.open_video(clip(container, fps)) as video:
        start = await origin(video)
        for asked in (fps, float(fps), round(float(fps), 3), video.info.average_rate):
            assert (await video.indices(fps=asked)).tolist() == ALL
        for first in range(8):
            assert (await video.indices(first, 30, fps=fps)).tolist() == ALL[first:31]
        bounds = start + 7 / fps, start + 31 / fps
        for ends in (bounds, (float(bounds[0]), float(bounds[1]))):
            assert (await video.indices(time_range=ends)).tolist() == ALL[7:31]
            assert (await video.indices(time_range=ends, fps=fps)).tolist() == ALL[7:31]
        assert (await video.indices(fps=fps / 2)).tolist() == ALL[::2]
        assert (await video.indices(fps=2 * fps)).tolist() == sorted(ALL * 2)


@pytest.mark.anyio
@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "avi"])
async def test_varying_times_name_their_frames(container: str) -> None:
    """Where the rate varies, a frame's pts names it, and so does all of the time until the next one."""
    pts = [index + index * index // 9 for index in ALL]
    async with af.open_video(clip(container, Fraction(25), pts)) as video:
        table = await video.frame_table()
        exact = [int(tick) * table.time_base for tick in table.pts]
        for times in (exact, [float(time) for time in exact], np.array(exact, np.float64)):
            assert (await video.indices(times=times)).tolist() == ALL
        for late in (table.time_base, Fraction(1, 26)):
            assert (await video.indices(times=[time + late for time in exact])).tolist() == ALL
        early = [time - table.time_base / 2 for time in exact]
        assert (await video.indices(times=early)).tolist() == ALL
        earlier = [time - table.time_base * 2 for time in exact[1:]]
        assert (await video.indices(times=earlier)).tolist() == ALL[:-1]


@pytest.mark.anyio
async def test_approximate_mode_takes_times_alike() -> None:
    """Without a table too, index over rate names the frame in a container that rounds times."""
    fps = RATES["29.97"]
    async with af.open_video(clip("matroska", fps), seek_mode="approximate") as video:
        times = [float(index / fps) for index in ALL[:-2]]
        assert (await video.indices(times=times)).tolist() == ALL[:-2]
        assert [frame.index async for frame in video.frames(times=times[30:33])] == [30, 31, 32]


def joined() -> bytes:
    """Two transport streams end to end, as recorders leave them: the clock begins again."""
    return clip("mpegts", Fraction(25)) * 2


@pytest.mark.anyio
async def test_a_clock_that_wraps_loses_no_frame() -> None:
    """The times of VP8 in Ogg have 32 bits, and go on at 0. All frames remain, in the order of a decode."""
    pts = [number - 25 for number in range(120)]
    wrapped = clip_bytes(
        frames=120, container="ogg", codec="libvpx", b_frames=0, width=320, height=240, gop=6, pts=pts
    )
    async with af.open_video(wrapped) as video:
        assert await video.count() == 120
        shown = [painted_index((await video.frame(index)).image) for index in (0, 24, 25, 60, 119)]
    assert shown == [0, 24, 25, 60, 119]


@pytest.mark.anyio
async def test_a_time_that_comes_again_names_the_first_frame(caplog: pytest.LogCaptureFixture) -> None:
    """Of joined streams the first one is found by time, and the log says so, once a video."""
    async with af.open_video(joined()) as video:
        table = await video.frame_table()
        assert len(table) > FRAMES
        repeated = [index for index in range(len(table)) if table.pts[index] in table.pts[:index]]
        assert len(repeated) >= FRAMES - 1
        times = [float(int(tick) * table.time_base) for tick in table.pts]
        expected = [table.pts.tolist().index(tick) for tick in table.pts.tolist()]
        assert (await video.indices(times=times)).tolist() == expected
        assert (await video.frame_at(times[5])).index == 5
        assert [frame.index async for frame in video.frames(times=[times[-1]])] == [expected[-1]]
    said = [record.getMessage() for record in caplog.records if record.name == "asyncframes"]
    assert len([text for text in said if "the first of them in presentation order" in text]) == 1
