"""Damaged files read once, in order: the frames of the same bytes read from a file, or an error."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import av
import numpy as np
import pytest

import asyncframes as af
from asyncframes._media.files import forward_file
from asyncframes._media.files.forward_file import RecentBytes
from asyncframes._media.files.media_files import BUFFER_BYTES
from asyncframes._media.files.seek_head import places_in_seek_head
from asyncframes.abc import StreamSource
from asyncframes.errors import AsyncFramesError
from tests.support.exact.corpus import SHARED
from tests.support.exact.one_thread import Digest, digest
from tests.support.streams.clips import clip_bytes

CONTAINERS = {"flv": "flv", "matroska": "mpeg4", "nut": "mpeg4"}
"""Containers that FFmpeg takes up after damage by seeking back, and a codec for each."""


@cache
def noisy_clip(container: str, frames: int = 40) -> bytes:
    """Encode noise, so that a few frames are many times as long as what FFmpeg reads at a time."""
    width, height, generator = 160, 128, np.random.default_rng(0)
    still = generator.integers(0, 256, (height, width, 3), np.uint8)
    target = io.BytesIO()
    with av.open(target, "w", format=container) as writer:
        options = {"g": "6", "flags": "+bitexact"}
        stream: Any = writer.add_stream(CONTAINERS[container], rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 2_000_000
        stream.thread_count = 1
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(np.roll(still, 3 * index, axis=1), format="rgb24")
            picture.pts = index
            writer.mux(stream.encode(picture))
        writer.mux(stream.encode(None))
    return target.getvalue()


def damaged(data: bytes, seed: int) -> bytes:
    """Flip, cut out or repeat some bytes."""
    generator = random.Random(seed)
    changed = bytearray(data)
    for _ in range(generator.choice((1, 2, 4))):
        at = generator.randrange(len(changed))
        match generator.randrange(3):
            case 0:
                changed[at] ^= 1 << generator.randrange(8)
            case 1:
                del changed[at : at + generator.randrange(1, 3000)]
            case _:
                changed[at:at] = changed[at : at + generator.randrange(1, 3000)]
    return bytes(changed)


async def sent(data: bytes, piece: int = 4096) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


async def shown(source: Any, **options: Any) -> tuple[list[tuple[int | None, Digest]], str]:
    """Decode up to the end or an error; return what came out, and the error's type."""
    found = []
    try:
        async with af.open_video(source, **options) as video:
            async for frame in video.frames():
                found.append((frame.pts, digest(frame.image)))  # noqa: PERF401 - those before an error count
    except AsyncFramesError as exc:
        return found, type(exc).__name__
    return found, ""


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("container", CONTAINERS)
async def test_damage_gives_the_frames_of_a_file(container: str) -> None:
    """FFmpeg finds the next intact packet by seeking back, which a sequential source has to allow."""
    clip = noisy_clip(container)
    assert len(clip) > 4 * BUFFER_BYTES
    for seed in range(16):
        data = damaged(clip, seed)
        expected, _ = await shown(data, on_corrupt="keep")
        assert (await shown(sent(data), on_corrupt="keep"))[0] == expected, seed


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("name", ["avatar.flv", "testFLV.flv"])
@pytest.mark.parametrize("on_corrupt", ["keep", "raise"])
async def test_damage_to_real_files(name: str, on_corrupt: str) -> None:
    """The same with files of other programs, and with the error that damage raises."""
    path = SHARED / "corpus" / name
    if not path.exists():
        pytest.skip("the corpus of real files is not there")
    for seed in range(3):
        data = damaged(path.read_bytes(), seed)
        assert await shown(sent(data), on_corrupt=on_corrupt) == await shown(data, on_corrupt=on_corrupt), (
            seed
        )


class Counted:
    """Bytes that are sent as they are asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in sent(self._data):
            self.sent += len(piece)
            yield piece


@pytest.mark.anyio
@pytest.mark.parametrize(("container", "length"), [("flv", 900), ("matroska", 40), ("nut", 40)])
async def test_frames_come_while_bytes_come_in(container: str, length: int) -> None:
    """Seeking back needs no later bytes: the first frame is there long before the last byte is asked for."""
    # FFmpeg looks for sound in the first 5 MB of an FLV that has none.
    clip = noisy_clip(container, length)
    source = Counted(clip)
    async with af.open_video(source, threads=1) as video:
        frames = video.frames(queue_maxsize=1)
        assert (await anext(frames)).index == 0
        assert source.sent < len(clip) * 0.75
        await frames.aclose()


@pytest.mark.anyio
async def test_a_seek_head_is_not_followed_to_the_end() -> None:
    """Tags behind the media, which FFmpeg would read before the first frame, hold no frames."""
    cues, tags = b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67"
    clip = noisy_clip("matroska")
    assert clip.index(cues) < 1024
    # The seek head's entry and the element at the end that it lists.
    source = Counted(clip.replace(cues, tags))
    async with af.open_video(source, threads=1) as video:
        assert source.sent < len(clip) / 2
        assert [frame.index async for frame in video.frames()] == list(range(40))


def test_places_in_a_seek_head() -> None:
    """Each place is where an element begins; other files list none."""
    clip = noisy_clip("matroska")
    found = places_in_seek_head(clip[:1024])
    assert b"\x16\x54\xae\x6b" in {clip[place : place + 4] for place in found}
    assert b"\x1c\x53\xbb\x6b" in {clip[place : place + 4] for place in found}
    assert all(places_in_seek_head(clip[:length]) <= found for length in range(1, 400))
    assert places_in_seek_head(noisy_clip("flv")[:1024]) == frozenset()


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("container", ["matroska", "nut"])
async def test_damage_that_reaches_too_far_back(container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is bounded, and a seek to before that is an error: no frame is lost in silence."""
    monkeypatch.setattr(forward_file, "RECENT_BYTES", 1000)
    errors = set()
    for seed in range(20):
        data = damaged(noisy_clip(container), seed)
        expected, expected_error = await shown(data, on_corrupt="keep")
        found, error = await shown(sent(data), on_corrupt="keep")
        assert found == expected or (error == "SourceError" and found == expected[: len(found)]), seed
        errors.add(error if error != expected_error else "")
    assert errors == {"", "SourceError"}


def test_recent_bytes_are_bounded() -> None:
    """The oldest bytes go, and those that are left keep their places."""
    recent = RecentBytes(10)
    for number in range(100):
        recent.append(bytes([number, number]))
    assert recent.stop == 200
    assert recent.read(190, 100) == bytes([95, 95, 96, 96, 97, 97, 98, 98, 99, 99])
    assert recent.read(189, 1) == b""
    assert recent.read(199, 5) == bytes([99])
    assert recent.read(200, 5) == b""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("container", "codec"),
    [("avif", "libsvtav1"), ("mxf", "mpeg2video"), ("avi", "mpeg4"), ("rm", "rv10")],
)
async def test_files_that_need_seeking_are_stored(
    container: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An AVIF lists pictures anywhere in the file, and others have their index at the end."""
    size = {"width": 176, "height": 144} if codec == "rv10" else {}
    clip = clip_bytes(frames=24, container=container, codec=codec, b_frames=0, **size)
    if container == "avif":
        # The media claims more than comes, which FFmpeg takes for an error only where it cannot seek.
        at = clip.index(b"mdat") - 4
        clip = clip[:at] + (int.from_bytes(clip[at : at + 4]) + 5000).to_bytes(4) + clip[at + 4 :]
    with caplog.at_level(logging.INFO, "asyncframes"):
        found, error = await shown(sent(clip))
    assert (found, error) == await shown(clip)
    assert len(found) == 24
    assert not error
    assert "is stored in a temporary file" in caplog.text


@pytest.mark.anyio
async def test_a_damaged_index_at_the_end_counts() -> None:
    """An AVI is played by its index, so its frames are those of the file even if the index is damaged."""
    clip = clip_bytes(frames=24, container="avi", codec="mpeg4", b_frames=0)
    index, lost = clip.rindex(b"idx1"), 0
    for seed in range(40):
        generator, data = random.Random(seed), bytearray(clip)
        for _ in range(4):
            data[generator.randrange(index, len(clip))] ^= 1 << generator.randrange(8)
        expected = await shown(bytes(data), on_corrupt="keep")
        lost += len(expected[0]) < 24
        assert await shown(sent(bytes(data)), on_corrupt="keep") == expected, seed
    assert lost


class Unsized(StreamSource):
    """Bytes by range, whose number nobody knows."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def name(self) -> str:
        return "unsized"

    @property
    def size(self) -> None:
        return None

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return self._data[start:stop]


@pytest.mark.anyio
@pytest.mark.parametrize("length", [24, 900])
@pytest.mark.parametrize("claim", [255, 9000, 1 << 30])
async def test_an_avi_without_a_known_size_ends_where_its_bytes_end(length: int, claim: int) -> None:
    """FFmpeg would take the size in the header for the end of the file."""
    clip = clip_bytes(frames=length, container="avi", codec="mpeg4", b_frames=0)
    data = clip[:4] + claim.to_bytes(4, "little") + clip[8:]
    expected = await shown(data, on_corrupt="keep")
    assert len(expected[0]) == length
    for source in (Unsized(data), sent(data)):
        assert await shown(source, on_corrupt="keep") == expected


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"faststart": True}, {"fragmented": True}], ids=["whole", "fragmented"])
@pytest.mark.parametrize("extra", [1, 5000, 1_000_000])
@pytest.mark.parametrize("on_corrupt", ["keep", "raise"])
async def test_media_that_claim_more_than_comes(options: dict[str, Any], extra: int, on_corrupt: str) -> None:
    """All frames are there, so FFmpeg's search for a box behind the media is no damage."""
    clip = clip_bytes(frames=24, gop=8, **options)
    at = clip.rindex(b"mdat") - 4
    data = clip[:at] + (int.from_bytes(clip[at : at + 4]) + extra).to_bytes(4) + clip[at + 4 :]
    found, error = await shown(sent(data), on_corrupt=on_corrupt)
    assert (len(found), error) == (24, "")
    assert (found, error) == await shown(data, on_corrupt=on_corrupt)


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"faststart": True}, {"fragmented": True}], ids=["whole", "fragmented"])
async def test_media_that_are_cut_off(options: dict[str, Any]) -> None:
    """Frames that are listed and do not come are damage."""
    clip = clip_bytes(frames=24, gop=8, **options)
    found, error = await shown(sent(clip[: clip.rindex(b"mdat") + 40]))
    assert len(found) < 24
    assert error == "CorruptMediaError"
