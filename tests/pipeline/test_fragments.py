"""Fragmented MP4 over a network: packets as a real demux lists them, without the media."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._media.mp4.boxes import Box, boxes_in
from asyncframes._media.mp4.segments import places_in_mfra, read_sidx
from asyncframes._model.table import FrameTable
from asyncframes._types import OnCorrupt
from asyncframes.errors import CorruptMediaError, SourceUnavailableError, UnsupportedMediaError
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.streams.clips import clip_bytes, repeated

pytestmark = BOTH_ISOLATIONS

BUNNY = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
FLAGS = "frag_keyframe+empty_moov+default_base_moof"
# What the muxer writes besides the fragments: mfra by default, sidx for all or before each, or nothing.
KINDS = {
    "mfra": {"movflags": FLAGS},
    "sidx": {"movflags": f"{FLAGS}+global_sidx"},
    "sidx each": {"movflags": f"{FLAGS}+dash"},
    "neither": {"movflags": f"{FLAGS}+skip_trailer"},
}
SHORT: dict[str, dict[str, Any]] = {
    "every frame": {"muxer_options": {"movflags": f"{FLAGS}+frag_every_frame"}},
    "audio": {"audio": True, "fragmented": True},
    "separate moofs": {"audio": True, "muxer_options": {"movflags": f"{FLAGS}+separate_moof"}},
    "without default base": {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}},
    "samples in moov": {"muxer_options": {"movflags": "frag_keyframe"}},
    "B-frames, no edit list": {"muxer_options": {"movflags": f"{FLAGS}+negative_cts_offsets"}},
}


def long(kind: str) -> bytes:
    """Some 10 MB in 96 fragments of about 110 KB."""
    return repeated(BUNNY, 16, options=KINDS[kind])


def remote(data: bytes, **faults: Any) -> FaultySource:
    """Bytes that can only be had through the event loop, and that tell what was read."""
    return FaultySource(MemorySource(data), **faults)


def demuxed(data: bytes) -> list[tuple[Any, ...]]:
    """Packets of the video stream as FFmpeg lists them, with all bytes at hand."""
    with av.open(io.BytesIO(data), "r") as container:
        return [
            (packet.pts, packet.dts, packet.pos, packet.size, packet.is_keyframe, packet.is_discard)
            for packet in container.demux(container.streams.video[0])
            if packet.size
        ]


def listed(table: FrameTable) -> list[tuple[Any, ...]]:
    packets = table.packets
    columns = (
        packets.pts,
        packets.dts,
        packets.position,
        packets.size,
        packets.is_keyframe,
        packets.is_discard,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


async def idle(video: af.Video) -> None:
    """Let what is read ahead arrive."""
    before = -1
    while before != video.bytes_read:
        before = video.bytes_read
        await asyncio.sleep(0.02)


def fragmented_files() -> list[Any]:
    return [
        parameter
        for parameter in parameters(mp4=True)
        if parameter.values[0] is None or b"moof" in parameter.values[0].path.read_bytes()
    ]


def media_of(data: bytes) -> list[Box]:
    return [box for box in boxes_in(data) if box.kind == b"mdat"]


async def table_and_frames(source: Any) -> tuple[FrameTable, list[Any]]:
    async with af.open_video(source, on_corrupt="keep") as video:
        table = await video.frame_table()
        asked = sorted({0, len(table) // 3, max(0, len(table) - 2)})
        frames = [
            (frame.index, frame.pts, frame.image.tobytes()) async for frame in video.frames(indices=asked)
        ]
        return table, frames


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [*KINDS, *SHORT])
async def test_packets_and_frames_are_those_of_the_whole_file(kind: str) -> None:
    """Over a network a table is the one that all the bytes give, and frames are the same."""
    data = long(kind) if kind in KINDS else clip_bytes(frames=48, **SHORT[kind])
    table, frames = await table_and_frames(remote(data))
    assert listed(table) == demuxed(data)
    assert frames == (await table_and_frames(data))[1]


@pytest.mark.anyio
@pytest.mark.parametrize("file", fragmented_files())
async def test_real_files_over_a_network(file: CorpusFile) -> None:
    """So it is for the MP4 files of the corpus that have fragments, wholly or partly."""
    data = file.path.read_bytes()
    (table, frames), (local, expected) = await table_and_frames(remote(data)), await table_and_frames(data)
    assert listed(table) == listed(local)
    assert table.packet_of.tolist() == local.packet_of.tolist()
    assert frames == expected


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS)
async def test_only_headers_are_fetched(kind: str) -> None:
    """The table costs a request a fragment, of about the size of its header, and the decoder none."""
    data = long(kind)
    media = media_of(data)
    headers = len(data) - sum(box.end - box.body for box in media)
    source = remote(data)
    async with af.open_video(source) as video:
        await idle(video)
        assert len(source.reads) <= 4
        opened = video.bytes_read
        source.reads.clear()
        assert await video.count() == 16 * 132
        assert video.bytes_read - opened <= 2 * headers + 16 * 1024
        assert len(media) - 8 <= len(source.reads) <= len(media) + 8
        await idle(video)
        before = video.bytes_read
        source.reads.clear()
        await video.frame(-30)
        gop = len(BUNNY) * 25 // 132
        assert video.bytes_read - before <= 2 * gop + 256 * 1024
        assert len(source.reads) <= 8


@pytest.mark.anyio
async def test_headers_are_fetched_several_at_a_time_where_their_places_are_known() -> None:
    """With an index at the end of the file, requests overlap; going from box to box they cannot."""

    class Overlapping(FaultySource):
        running = most = 0

        async def read_range(self, start: int, stop: int) -> bytes:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                return await super().read_range(start, stop)
            finally:
                self.running -= 1

    for kind, most in {"mfra": 16, "sidx": 16, "neither": 1}.items():
        source = Overlapping(MemorySource(long(kind)), delay_seconds=0.001)
        async with af.open_video(source) as video:
            source.most = 0
            await video.count()
        assert source.most == most


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "seconds"), [("sidx", 84.48), ("mfra", None)])
async def test_the_first_frames_wait_for_no_other_fragment(kind: str, seconds: float | None) -> None:
    """Opening reads the beginning alone, so a duration that no header claims is not made up."""
    source = remote(long(kind))
    async with af.open_video(source) as video:
        assert [frame.index async for frame in video.frames(0, 40, queue_maxsize=1)] == list(range(41))
        assert video.info.duration_seconds_from_header == seconds
        assert video.bytes_read < 2 * 1024 * 1024


@pytest.mark.anyio
async def test_a_table_brings_the_headers_along() -> None:
    """With a table made earlier, a frame near the end costs what is decoded for it."""
    data = long("neither")
    async with af.open_video(remote(data)) as video:
        table = FrameTable.from_bytes((await video.frame_table()).to_bytes())
        expected = (await video.frame(-30)).image
    source = remote(data)
    async with af.open_video(source, frame_table=table) as video:
        assert ((await video.frame(-30)).image == expected).all()
        assert len(source.reads) <= 10
        assert video.bytes_read <= 2 * len(BUNNY) * 25 // 132 + 512 * 1024


@pytest.mark.in_threads
@pytest.mark.anyio
async def test_a_table_without_the_headers_serves_too() -> None:
    """One that was made from the file on disk says where packets lie; the headers are fetched then."""
    data = long("mfra")
    async with af.open_video(data) as video:
        table = await video.frame_table()
    assert not table.headers
    source = remote(data)
    async with af.open_video(source, frame_table=table) as video:
        assert (await video.frame(-30)).index == 16 * 132 - 30
        assert video.bytes_read < 1024 * 1024


@pytest.mark.anyio
async def test_an_index_that_lies_costs_time_only() -> None:
    """Places that are none make no difference to the table."""
    data = bytearray(long("mfra"))
    for place in range(data.rindex(b"tfra") + 20, len(data) - 24):
        data[place] ^= 0x55
    table, _ = await table_and_frames(remote(bytes(data)))
    assert listed(table) == demuxed(bytes(data))


@pytest.mark.anyio
async def test_a_failure_half_way_is_raised_and_leaves_nothing_wrong() -> None:
    """What could not be fetched is an error of the source; the next attempt finds everything."""
    data = long("mfra")
    source = remote(data, error_at=len(data) // 2, errors=None)
    async with af.open_video(source) as video:
        with pytest.raises(SourceUnavailableError):
            await video.count()
        source._errors = 0
        assert listed(await video.frame_table()) == demuxed(data)


@pytest.mark.in_threads
@pytest.mark.anyio
async def test_closing_ends_a_walk() -> None:
    """Cancelling while headers are fetched returns at once and leaves no request."""
    source = remote(long("neither"), stall_at=5_000_000)
    async with af.open_video(source) as video:
        counting = asyncio.create_task(video.count())
        await source.stalled.wait()
        counting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await counting
        assert not source.stalled.is_set()


def with_listed_size(clip: bytes, fragment: int, sample: int, size: int) -> bytes:
    """Return a fragmented clip in which a header lists another size for a packet."""
    data, place = bytearray(clip), -1
    for _ in range(fragment + 1):
        place = data.index(b"trun", place + 1)
    flags = int.from_bytes(data[place + 4 : place + 8], "big")
    columns = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    first = place + 12 + 4 * (flags & 1) + (flags & 4)
    at = first + 4 * (sample * len(columns) + columns.index(0x200))
    data[at : at + 4] = size.to_bytes(4, "big")
    return bytes(data)


def with_default_size(clip: bytes, fragment: int, size: int) -> bytes:
    """Return a clip of one packet a fragment, in which a header lists another size for one."""
    data, place = bytearray(clip), -1
    for _ in range(fragment + 1):
        place = data.index(b"tfhd", place + 1)
    assert data[place + 4 : place + 8] == b"\0\2\0\x38"
    data[place + 16 : place + 20] = size.to_bytes(4, "big")
    return bytes(data)


async def sent(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 4096):
        yield data[start : start + 4096]


SIZES: dict[str, Callable[[], bytes]] = {
    "short": lambda: with_listed_size(clip_bytes(frames=24, gop=8, fragmented=True), 1, 6, 20_000),
    "default base": lambda: with_listed_size(
        clip_bytes(frames=24, gop=8, **SHORT["without default base"]), 1, 6, 20_000
    ),
    "one packet each": lambda: with_default_size(clip_bytes(frames=48, **SHORT["every frame"]), 30, 9000),
    "long": lambda: with_listed_size(repeated(BUNNY, 1, options=KINDS["mfra"]), 3, 3, 200_000),
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("source", "kind", "mode"),
    grid(
        [remote, sent],
        SIZES,
        ["keep", "raise"],
        fast=lambda source, kind, mode: kind != "long" or (source is sent and mode == "keep"),
    ),
)
async def test_a_packet_that_its_fragment_cannot_hold_is_damaged_as_in_the_file(
    source: Callable[[bytes], Any], kind: str, mode: OnCorrupt
) -> None:
    """A header lists a size that ends behind its media; a decoder refuses such a packet."""
    data = SIZES[kind]()

    async def frames(source: Any) -> list[Any]:
        found: list[Any] = []
        async with af.open_video(source, on_corrupt=mode) as video:
            try:
                async for frame in video.frames():
                    found += [(frame.index, frame.pts, frame.is_corrupt, frame.image.tobytes())]
            except CorruptMediaError as exc:
                found += [exc.index]
        return found

    expected = await frames(data)
    assert mode == "keep" or isinstance(expected[-1], int)
    assert await frames(source(data)) == expected


@pytest.mark.anyio
@pytest.mark.parametrize("source", [bytes, remote, sent])
async def test_a_fragment_that_counts_millions_of_packets_is_refused(source: Callable[[bytes], Any]) -> None:
    """FFmpeg would take gigabytes for packets of which the fragment says nothing but how many there are."""
    data = bytearray(clip_bytes(frames=24, gop=8, fragmented=True))
    place = data.index(b"trun") + 4
    data[place : place + 8] = (1).to_bytes(4, "big") + (50_000_000).to_bytes(4, "big")
    with pytest.raises(UnsupportedMediaError, match="the fragments count more than 4194304 samples"):
        await af.open_video(source(bytes(data)))


@given(data=st.binary(max_size=200))
def test_any_bytes_may_pose_as_an_index(data: bytes) -> None:
    """Nonsense gives no places or wrong ones, and never an error."""
    read_sidx(struct.pack(">I4s", len(data) + 8, b"sidx") + data, 0)
    tfra = struct.pack(">I4s", len(data) + 8, b"tfra") + data
    places_in_mfra(struct.pack(">I4s", len(tfra) + 8, b"mfra") + tfra)
    places_in_mfra(data)


@pytest.mark.parametrize("kind", ["mfra", "sidx"])
def test_indexes_name_every_fragment(kind: str) -> None:
    """The muxer's own indexes are read to the last entry."""
    data = long(kind)
    boxes = list(boxes_in(data))
    begins = [box.begin for box in boxes if box.kind == b"moof"]
    [index] = [box for box in boxes if box.kind == (b"mfra" if kind == "mfra" else b"sidx")]
    payload = data[index.begin : index.end]
    places = sorted(places_in_mfra(payload)) if kind == "mfra" else read_sidx(payload, index.begin).places
    assert places == begins
