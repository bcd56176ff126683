"""Scattered requests, decoded side by side: the same frames in the same order as from one decoder."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._model.selection import resolve
from asyncframes._requests.jobs.lanes import Deal, deal
from tests.pipeline.test_requests import damaged_clip
from tests.support.marks import examples
from tests.support.streams.clips import clip_bytes, painted_index
from tests.unit.test_table import table

pytestmark = pytest.mark.usefixtures("only_long_streams")

FRAMES = 120


def clip() -> bytes:
    return clip_bytes(frames=FRAMES, gop=8, width=96, height=64)


async def shown(video: af.Video, indices: Sequence[int]) -> list[int]:
    return [painted_index(frame.image) async for frame in video.frames(indices=indices)]


@pytest.mark.anyio
@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 14), threads=st.integers(1, 4))
async def test_lanes_keep_the_order(seed: int, count: int, threads: int) -> None:
    """Frames come in the order asked, however many decoders work on them."""
    asked = random.Random(seed).sample(range(FRAMES), count)
    async with af.open_video(clip(), threads=threads) as video:
        assert await shown(video, asked) == asked
        assert await shown(video, asked[::-1]) == asked[::-1]


@given(indices=st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=60), lanes=st.integers(1, 5))
def test_a_request_is_dealt_out_whole(indices: list[int], lanes: int) -> None:
    """Each frame is in one lane, and no GOP is in two."""
    found = table(range(FRAMES), range(0, FRAMES, 8))
    dealt = deal(found, np.array(indices), lanes)
    assert 1 <= dealt.lanes <= lanes
    assert dealt.order.tolist() == indices
    assert set(dealt.lane_of.tolist()) == set(range(dealt.lanes))
    gops = [{index // 8 for index in indices_of(dealt, lane)} for lane in range(dealt.lanes)]
    assert sum(map(len, gops)) == len(set().union(*gops))


def indices_of(dealt: Deal, lane: int) -> list[int]:
    chosen: list[int] = resolve(dealt.selection(lane), table(range(FRAMES), [0])).tolist()
    return chosen


@pytest.mark.anyio
@pytest.mark.parametrize("on_corrupt", ["skip", "keep"])
async def test_damage_in_one_lane_keeps_numbers_right_in_all(on_corrupt: af.OnCorrupt) -> None:
    """Where damage changes what the frames are, the rest is read by the new numbers."""
    damaged = damaged_clip(frame=20, frames=FRAMES)
    async with af.open_video(damaged, on_corrupt=on_corrupt) as video:
        sequential = {frame.index: frame.image async for frame in video.frames()}
    asked = [index for index in (3, 115, 22, 90, 40, 66, 21, 53) if index in sequential]
    async with af.open_video(damaged, on_corrupt=on_corrupt, threads=4) as video:
        async for frame in video.frames(indices=asked):
            assert np.array_equal(frame.image, sequential[frame.index])


@pytest.mark.anyio
async def test_a_lane_that_fails_ends_the_request() -> None:
    """The error of one decoder is the error of the request, and the video serves on."""
    async with af.open_video(damaged_clip(frame=20, frames=FRAMES), threads=4) as video:
        with pytest.raises(af.errors.CorruptMediaError):
            await shown(video, [3, 115, 22, 90, 40, 66, 78, 53, 30])
        assert await shown(video, [90]) == [90]
