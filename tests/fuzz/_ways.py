"""Ways in which the bytes of a case reach the library."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncframes as af
from asyncframes.abc import StreamSource
from tests.support.servers.web import RunningServer

Opener = Callable[..., Any]
"""Opens the video anew, with options of `asyncframes.open_video`."""

WAYS = ("bytes", "bytes", "path", "path", "path", "stream", "stream", "forward", "http")
"""What a case draws from; an HTTP server costs the most."""

_CHUNK = 16 * 1024


class SlowSource(StreamSource):
    """Bytes by range, after a moment that nobody knows."""

    def __init__(self, data: bytes, generator: random.Random, *, knows_size: bool) -> None:
        self._data = data
        self._generator = generator
        self._size = len(data) if knows_size else None

    @property
    def name(self) -> str:
        return "slow"

    @property
    def size(self) -> int | None:
        return self._size

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        await asyncio.sleep(self._generator.choice((0, 0, 0.0005, 0.002)))
        return self._data[start:stop]


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        await asyncio.sleep(0)
        yield data[start : start + _CHUNK]


def opener(way: str, data: bytes, path: Path, generator: random.Random, server: RunningServer) -> Opener:
    """Return what opens the bytes of a case in one of `WAYS`."""
    if way == "bytes":
        return partial(af.open_video, data)
    if way == "path":
        return partial(af.open_video, path)
    if way == "stream":
        knows_size = generator.random() < 0.8
        return lambda **options: af.open_video(SlowSource(data, generator, knows_size=knows_size), **options)
    if way == "forward":
        return lambda **options: af.open_video(_chunks(data), **options)
    server.serve("/case", data)
    return partial(af.open_video, server.url("/case"))
