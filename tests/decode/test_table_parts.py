"""A decoder that has a part of the frame table gives the frames that the whole table gives."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from asyncframes._media.table.part import TablePart, can_be_cut, part_of_table
from asyncframes._model.table import FrameTable
from asyncframes.sources import SourceLike
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.exact.exactness import fingerprint
from tests.support.streams.clips import clip_bytes

CLIPS: dict[str, dict[str, Any]] = {
    "mp4": {"gop": 7},
    "fragmented": {"gop": 7, "fragmented": True},
    "open-gop": {"gop": 12, "open_gop": True, "b_frames": 3},
    "hevc-open-gop": {"gop": 12, "open_gop": True, "codec": "libx265"},
    "matroska": {"gop": 9, "container": "matroska"},
    "ts": {"gop": 9, "container": "mpegts"},
    "ts-open-gop": {"gop": 9, "container": "mpegts", "open_gop": True},
    "avi": {"gop": 9, "container": "avi", "codec": "mpeg4", "b_frames": 0},
    "webm": {"gop": 10, "container": "webm", "codec": "libvpx-vp9"},
    "varying": {"gop": 8, "pts": [index * 3 + index % 3 for index in range(90)]},
}


def part_for(table: FrameTable, rows: list[int]) -> FrameTable:
    """Send the part of a table that some frames need to another process, and return its table there."""
    part = part_of_table(table, min(rows), max(rows))
    sent: TablePart = pickle.loads(pickle.dumps(part))
    return sent.table()


async def read(source: SourceLike, rows: list[int], table: FrameTable | None, **options: Any) -> list[Any]:
    async with af.open_video(source, frame_table=table, **options) as video:
        return [(*fingerprint(frame), frame.duration_seconds) async for frame in video.frames(indices=rows)]


@pytest.mark.anyio
@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("threads", [1, 4])
async def test_parts_give_the_frames_of_the_whole(name: str, threads: int) -> None:
    """Wherever a video is cut, frames have the same indices, times, durations and pixels."""
    clip = clip_bytes(frames=90, **CLIPS[name])
    async with af.open_video(clip, threads=threads) as video:
        table = await video.frame_table()
        whole = [
            (*fingerprint(frame), frame.duration_seconds) async for frame in video.frames(indices=range(90))
        ]
    assert can_be_cut(table)
    for first, last in ((0, 20), (21, 35), (36, 59), (60, 89), (50, 50), (89, 89)):
        rows = list(range(first, last + 1))
        assert await read(clip, rows, part_for(table, rows), threads=threads) == whole[first : last + 1]


@pytest.mark.anyio
@pytest.mark.usefixtures("long_streams")
async def test_a_part_needs_no_scan() -> None:
    """A decoder with a part reads the header and the GOPs of its own frames, not the whole file."""
    clip = clip_bytes(frames=600, gop=10, container="matroska", options={"crf": "4"})
    rows = list(range(300, 320))
    async with af.open_video(clip) as video:
        table = part_for(await video.frame_table(), rows)
    packets: list[str] = []
    hook = lambda kind, _: packets.append(kind)  # noqa: E731
    async with af.open_video(clip, frame_table=table, threads=1, packet_progress=hook) as video:
        assert [frame.index async for frame in video.frames(indices=rows)] == rows
    assert packets.count("index") == 0
    assert packets.count("decode") <= 60


@pytest.mark.anyio
@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("broken", [330, 290])
async def test_damage_in_or_before_a_part_is_what_it_is_in_the_whole(broken: int) -> None:
    """What is damaged, and what that does to frames, does not depend on where a video is cut."""
    clip = bytearray(clip_bytes(frames=600, gop=10))
    async with af.open_video(bytes(clip), threads=1) as video:
        packets = (await video.frame_table()).packets
    position, size = int(packets.position[broken]), int(packets.size[broken])
    clip[position + size // 2 : position + size] = bytes(size - size // 2)
    damaged = bytes(clip)
    for on_corrupt in ("skip", "keep"):
        async with af.open_video(damaged, threads=1, on_corrupt=on_corrupt) as video:
            table = await video.frame_table()
            whole = [fingerprint(frame) async for frame in video.frames()]
        rows = list(range(300, 360))
        async with af.open_video(
            damaged, threads=1, on_corrupt=on_corrupt, frame_table=part_for(table, rows)
        ) as video:
            found = [fingerprint(frame) async for frame in video.frames(indices=rows)]
        assert found == [one for one in whole if one[0] in rows]


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.timeout(120)
@pytest.mark.parametrize("file", parameters())
async def test_real_files_are_cut_exactly(file: CorpusFile) -> None:
    """A third of each file has the frames of the whole."""
    async with af.open_video(file.path, on_corrupt="keep") as video:
        table = await video.frame_table()
        count = len(table)
        if not can_be_cut(table):
            return
        rows = [*range(count // 3, max(count * 2 // 3, count // 3 + 1))][:200]
        whole = [fingerprint(frame) async for frame in video.frames(indices=rows)]
        table = await video.frame_table()
    async with af.open_video(file.path, on_corrupt="keep", frame_table=part_for(table, rows)) as video:
        found = [fingerprint(frame) async for frame in video.frames(indices=rows)]
    assert found == whole
    assert np.array_equal([one[0] for one in found], rows)
