"""MP4 files whose media are some bytes shorter or longer than their headers say."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

import asyncframes as af
from asyncframes import ForwardSource
from asyncframes._media.container import opening
from asyncframes._media.mp4.boxes import Box, boxes_in
from asyncframes._types import OnCorrupt
from asyncframes.abc import StreamSource
from asyncframes.errors import CorruptMediaError
from tests.support.exact.one_thread import OneThread, decode_by_one_thread, determined
from tests.support.exact.routes import Effort, Routes
from tests.support.streams.clips import clip_bytes, painted_index

MODES: tuple[OnCorrupt, ...] = ("raise", "keep", "skip")

_SIZE = {"frames": 14, "gop": 5}
_SIDX = {"movflags": "+frag_keyframe+empty_moov+default_base_moof+global_sidx"}

CLIPS: dict[str, dict[str, Any]] = {
    "header first": {"faststart": True},
    "header last": {},
    "header first, audio": {"faststart": True, "audio": True},
    "header last, audio": {"audio": True},
    "fragmented": {"fragmented": True},
    "fragmented, audio": {"fragmented": True, "audio": True},
    "fragmented, absolute": {"muxer_options": {"movflags": "+frag_keyframe+empty_moov"}},
    "fragmented, frames in moov": {"muxer_options": {"movflags": "+frag_keyframe"}},
    "fragmented, sidx": {"muxer_options": _SIDX},
    "dash": {"muxer_options": {"movflags": "+dash+frag_keyframe+empty_moov"}},
    "open GOP": {"faststart": True, "open_gop": True},
    "no B-frames": {"fragmented": True, "b_frames": 0},
    "mov": {"container": "mov", "faststart": True},
    "h265": {"codec": "libx265", "fragmented": True},
    "av1": {"codec": "libsvtav1", "fragmented": True},
    "vp9": {"codec": "libvpx-vp9", "fragmented": True},
    "mpeg4": {"codec": "mpeg4", "fragmented": True},
    "mpeg2": {"codec": "mpeg2video", "fragmented": True},
}
EFFORT = Effort(by_index=3, ranges=1, steps=1, alone=1)


def clip(name: str) -> bytes:
    return clip_bytes(**_SIZE | CLIPS[name])


def media_of(data: bytes) -> list[Box]:
    return [box for box in boxes_in(data) if box.kind == b"mdat"]


def resized(data: bytes, box: Box, change: int) -> bytes:
    """Return a file in which a box claims some bytes more or fewer."""
    size = box.end - box.begin + change
    return data[: box.begin] + size.to_bytes(4) + data[box.begin + 4 :]


def cuts(data: bytes, counts: list[int]) -> Iterator[tuple[str, bytes]]:
    """Yield what is wrong with a file, and the file, for so many bytes each."""
    media = media_of(data)
    for count in counts:
        yield f"{count} fewer at the end", data[:-count]
        for number, box in enumerate(media):
            if count >= box.end - box.body:
                continue
            what = f"media {number}, {count}"
            shorter = data[: box.end - count] + data[box.end :]
            yield f"{what} fewer", shorter
            yield f"{what} fewer, and as many are claimed", resized(shorter, box, -count)
            yield f"{what} fewer, and one is not claimed", resized(shorter, box, -1)
            yield f"{what} fewer are claimed", resized(data, box, -count)
            yield f"{what} more are claimed", resized(data, box, count)
            yield f"{what} more", data[: box.end] + bytes(count) + data[box.end :]
            yield f"{what} fewer, and nothing behind", data[: box.end - count]
            yield f"{what} fewer in front", data[: box.body] + data[box.body + count :]


def cuts_of_the_last_packet(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file that ends at either end of its last packet, or a byte beside it."""
    with av.open(io.BytesIO(data), "r") as container:
        last = max((packet.pos or 0, packet.size) for packet in container.demux(video=0))
    for at in (last[0], sum(last)):
        for beside in (-1, 0, 1):
            yield f"ends {beside} bytes beside the packet's end {at}", data[: at + beside]


class Served(StreamSource):
    """Bytes by range, whose number is known or not."""

    def __init__(self, data: bytes, *, is_sized: bool) -> None:
        self._data = data
        self._is_sized = is_sized

    @property
    def name(self) -> str:
        return "served"

    @property
    def size(self) -> int | None:
        return len(self._data) if self._is_sized else None

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return self._data[start:stop]


async def sent(data: bytes, piece: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


WAYS: dict[str, Callable[[bytes], Any]] = {
    "bytes": lambda data: data,
    "range": lambda data: Served(data, is_sized=True),
    "range of unknown size": lambda data: Served(data, is_sized=False),
    "upload": sent,
    "upload in large pieces": lambda data: sent(data, 1 << 16),
    "kept upload": lambda data: ForwardSource(sent(data), keep=True),
    "pipe": lambda data: ForwardSource(Pipe(data)),
}
ONCE = {"upload", "upload in large pieces", "pipe"}


def truth_of(data: bytes) -> OneThread | None:
    try:
        return decode_by_one_thread(data)
    except (av.FFmpegError, LookupError):
        return None


async def differences(
    data: bytes, truth: OneThread, way: str, mode: OnCorrupt, effort: Effort | None
) -> list[str]:
    """Compare with one thread, in sequence or by every route. Bytes that come once may be refused."""
    routes = Routes(
        lambda: af.open_video(WAYS[way](data), on_corrupt=mode), truth, mode, "cut", effort=effort or Effort()
    )
    if effort is not None and way not in ONCE:
        return await routes.all()
    found = await routes.in_sequence()
    if effort is not None:
        found += [*await routes.by_index(), *await routes.batched()]
    # A file whose index covers it may end in an error that costs no frame; see `PacketReader`.
    allowed = ("outside its media", "passes the refused packet") if way in ONCE else ()
    return [text for text in found if not any(words in text for words in allowed)]


async def check(name: str, counts: list[int], ways: set[str], effort: Effort | None = None) -> int:
    """Compare all cuts of a clip, and return how many times."""
    data, compared = clip(name), 0
    for what, cut in [*cuts(data, counts), *cuts_of_the_last_packet(data)]:
        if (truth := truth_of(cut)) is None:
            continue
        for way, mode in itertools.product(sorted(ways), MODES):
            found = await differences(cut, truth, way, mode, effort)
            if any("silently" in text or "damage" in text for text in found):
                truth = determined(truth, cut)
                found = await differences(cut, truth, way, mode, effort)
            assert found == [], (name, what, way, mode)
            compared += 1
    return compared


@pytest.mark.parametrize("name", ["header first", "fragmented"])
def test_a_byte_is_missing(name: str) -> None:
    """One byte more or fewer, in sequence."""
    # The debug mode of asyncio would take most of the time.
    assert asyncio.run(check(name, [1], {"upload"})) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_some_bytes_are_missing(name: str) -> None:
    """Few bytes, and more than the last packet has, in sequence."""
    assert asyncio.run(check(name, [1, 60], {"upload"}))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["header first", "header last, audio", "fragmented, sidx"])
def test_every_way_gives_the_same(name: str) -> None:
    """In sequence, and where that differs by index and in batches."""
    assert asyncio.run(check(name, [1], set(WAYS)))
    assert asyncio.run(check(name, [7], {"range of unknown size", "kept upload"}, EFFORT))


async def outcome(source: Any, mode: OnCorrupt) -> list[Any]:
    """Decode up to the end or the error, which is the last entry."""
    found: list[Any] = []
    try:
        async with af.open_video(source, on_corrupt=mode) as video:
            async for frame in video.frames():
                found.append((frame.index, frame.pts, frame.is_corrupt, frame.image.tobytes()))  # noqa: PERF401
    except CorruptMediaError as exc:
        found.append(exc.index)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("name", ["header first", "fragmented", "mpeg2", "mpeg4"])
async def test_a_packet_that_stops_behind_its_media_is_whole(name: str, count: int, mode: OnCorrupt) -> None:
    """FFmpeg ends it with the media if it cannot seek, and the last picture would be damaged or missing."""
    data = clip(name)
    cut = resized(data, media_of(data)[-1], -count)
    expected = await outcome(cut, mode)
    assert len(expected) == 14
    assert await outcome(sent(cut), mode) == expected


@pytest.mark.anyio
async def test_the_bytes_behind_the_media_are_read_on() -> None:
    """What completes a packet is read as the next fragment, too, even if it arrives later."""
    data = clip("fragmented")
    box = media_of(data)[1]
    cut = resized(data[: box.end - 1] + data[box.end :], box, -1)
    expected = await outcome(cut, "keep")
    assert len(expected) == 14
    for piece in (100, 333):
        assert await outcome(sent(cut, piece), "keep") == expected


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
async def test_a_packet_outside_its_media_is_refused_by_name(mode: OnCorrupt) -> None:
    """FFmpeg drops it if it cannot seek, and the frames behind it would have other indices."""
    data = clip("fragmented")
    box = media_of(data)[1]
    last = max(packet for packet in packets_of(data) if packet[0] < box.end)
    assert sum(last) == box.end
    cut = resized(data, box, -last[1])
    expected = decode_by_one_thread(cut)
    frames = []
    with pytest.raises(CorruptMediaError, match=r"outside its media.*keep=True"):
        async with af.open_video(sent(cut), on_corrupt=mode) as video:
            async for frame in video.frames():
                frames.append(frame.index)  # noqa: PERF401
    assert frames == list(range(len(frames)))
    assert 0 < len(frames) < len(expected)
    async with af.open_video(ForwardSource(sent(cut), keep=True), on_corrupt=mode) as video:
        assert [frame.index async for frame in video.frames()] == list(range(len(expected)))


def packets_of(data: bytes) -> list[tuple[int, int]]:
    with av.open(io.BytesIO(data), "r") as container:
        return [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def with_media_for_each_track(data: bytes) -> bytes:
    """Return a fragmented clip with audio whose tracks have their media in boxes of their own."""
    parts: list[bytes] = []
    moof, split = b"", 0
    for box in boxes_in(data):
        content = data[box.begin : box.end]
        if box.kind == b"moof":
            moof = content
        elif box.kind == b"mdat":
            at = moof.rindex(b"trun") + 12
            split = int.from_bytes(moof[at : at + 4]) - len(moof)
            parts += [moof[:at], (len(moof) + split + 8).to_bytes(4), moof[at + 4 :]]
            parts += [split.to_bytes(4), b"mdat", content[8:split]]
            parts += [(len(content) - split + 8).to_bytes(4), b"mdat", content[split:]]
        elif box.kind != b"mfra":
            parts.append(content)
    return b"".join(parts)


@pytest.mark.anyio
async def test_a_fragment_may_have_its_media_in_several_boxes() -> None:
    """None of its packets is outside them."""
    data = with_media_for_each_track(clip("fragmented, audio"))
    assert len(media_of(data)) == 2 * len(media_of(clip("fragmented, audio")))
    expected = await outcome(data, "raise")
    assert len(expected) == 14
    assert await outcome(sent(data), "raise") == expected


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["bytes", "range"])
async def test_a_long_file_whose_last_media_claim_more_has_all_frames(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's search for a box behind the end of the file is no damage if one fragment is read at a time."""
    monkeypatch.setattr(opening, "SHORT_BYTES", 0)
    data = clip("fragmented")
    more = resized(data, media_of(data)[-1], 4000)
    async with af.open_video(WAYS[way](more)) as video:
        found = [painted_index(frame.image) async for frame in video.frames()]
    assert found == list(range(14))


@pytest.mark.anyio
async def test_a_sidx_counts_without_a_known_size(tmp_path: Path) -> None:
    """FFmpeg ends packets with their media if a ``sidx`` ends with the file, wherever the file is."""
    data = clip("fragmented, sidx")
    cut = resized(data, media_of(data)[1], -1)
    path = tmp_path / "clip.mp4"
    path.write_bytes(cut)
    expected = await outcome(path, "keep")
    assert await outcome(Served(cut, is_sized=False), "keep") == expected
