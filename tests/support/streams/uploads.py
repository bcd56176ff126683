"""Uploads that a service must survive, and others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

from tests.support.streams.clips import clip_bytes
from tests.support.streams.hostile import box

MARKS = {"crash": b"asyncframes test: crash", "spin": b"asyncframes test: spin"}
"""What the decoding processes of `tests.support.servers.uploads` act upon."""

PIECE_BYTES = 16 * 1024
DRIP_SECONDS = 0.5

GOOD: tuple[Callable[[], bytes], ...] = (
    lambda: clip_bytes(frames=24),
    lambda: clip_bytes(frames=24, faststart=True, audio=True),
    lambda: clip_bytes(frames=30, fragmented=True),
    lambda: clip_bytes(frames=24, codec="libvpx-vp9", container="webm"),
    lambda: clip_bytes(frames=26, container="matroska", width=160, height=96),
    lambda: clip_bytes(frames=24, codec="libx265", faststart=True),
    lambda: clip_bytes(frames=24, codec="mpeg4", rotation=90),
    lambda: clip_bytes(frames=3, gop=1),
)


async def in_pieces(data: bytes, size: int = PIECE_BYTES) -> AsyncIterator[bytes]:
    """Yield bytes as a sender sends them."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def slowly(data: bytes) -> AsyncIterator[bytes]:
    """Yield a byte now and then."""
    for value in data:
        yield bytes([value])
        await asyncio.sleep(DRIP_SECONDS)


async def endlessly(data: bytes) -> AsyncIterator[bytes]:
    """Yield bytes, and zeros without end."""
    yield data
    while True:
        yield bytes(PIECE_BYTES)


async def broken_off(data: bytes) -> AsyncIterator[bytes]:
    """Yield half of the bytes, and fail."""
    yield data[: len(data) // 2]
    await asyncio.sleep(DRIP_SECONDS)
    raise ConnectionAbortedError


def many_frames() -> bytes:
    """Return a small MP4 whose header claims fifty million frames of the same length."""
    clip = bytearray(clip_bytes(frames=8, faststart=True))
    place = clip.index(b"stsz") + 8
    clip[place : place + 8] = (16).to_bytes(4, "big") + (50_000_000).to_bytes(4, "big")
    return bytes(clip)


def huge_pictures() -> bytes:
    """Return a small WebM whose header and pictures claim to have 16383x16383 pixels."""
    clip = clip_bytes(frames=8, codec="libvpx", container="webm", width=272, height=272)
    for before, after in (
        (b"\xb0\x82\x01\x10\xba\x82\x01\x10", b"\xb0\x82\x3f\xff\xba\x82\x3f\xff"),
        (b"\x9d\x01\x2a\x10\x01\x10\x01", b"\x9d\x01\x2a\xff\x3f\xff\x3f"),
    ):
        assert before in clip
        clip = clip.replace(before, after)
    return clip


def damaged() -> bytes:
    """Return an MP4 without the second half of its pictures."""
    clip = clip_bytes(frames=48, faststart=True)
    place = clip.index(b"mdat") + (len(clip) - clip.index(b"mdat")) // 2
    return clip[:place] + random.Random(1).randbytes(len(clip) - place)


def marked(name: str) -> bytes:
    """Return an MP4 upon which a decoding process that was told so crashes or spins."""
    return box(b"free", MARKS[name]) + clip_bytes(frames=8)


def _truncated() -> bytes:
    clip = clip_bytes(frames=48)
    return clip[: len(clip) // 2]


CRASHES = frozenset({"a crash", "an endless loop"})
"""Which of `HOSTILE` only do harm in the processes of `tests.support.servers.uploads`."""

HOSTILE: dict[str, tuple[Callable[[], AsyncIterator[bytes]], int]] = {
    "truncated": (lambda: in_pieces(_truncated()), 415),
    "garbage": (lambda: in_pieces(random.Random(2).randbytes(100_000)), 415),
    "many frames": (lambda: in_pieces(many_frames()), 413),
    "huge pictures": (lambda: in_pieces(huge_pictures()), 413),
    "slow drip": (lambda: slowly(clip_bytes(frames=24)), 408),
    "broken off": (lambda: broken_off(clip_bytes(frames=48)), 400),
    "without end": (lambda: endlessly(clip_bytes(frames=24, container="matroska")), 413),
    "damaged": (lambda: in_pieces(damaged()), 422),
    "a container that is not allowed": (lambda: in_pieces(clip_bytes(container="avi", codec="mpeg4")), 415),
    "a codec that is not allowed": (
        lambda: in_pieces(clip_bytes(container="matroska", codec="mpeg2video")),
        415,
    ),
    "a crash": (lambda: in_pieces(marked("crash")), 422),
    "an endless loop": (lambda: in_pieces(marked("spin")), 422),
}
"""Ways to send a hostile upload, and the status that each gets."""
