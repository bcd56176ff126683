"""Applications that serve clips on a free port of this machine, and sources that answer when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from asyncframes.sources import MemorySource
from asyncframes.web import WebLimits, frame_app


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[aiohttp.ClientSession]:
    """Run an application, and yield a client whose addresses begin at its root."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield client
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(
    sources: Mapping[str, Any], limits: WebLimits | None = None, **options: Any
) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve sources by name."""
    app = frame_app(sources.get, limits=limits, videos=lambda: [*sources], **options)
    async with running(app) as client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)


class HeldSource(MemorySource):
    """Bytes that do not arrive until they are released."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked = asyncio.Event()
        self.released = asyncio.Event()
        self.cancelled = 0

    async def read_range(self, start: int, stop: int) -> bytes:
        self.asked.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().read_range(start, stop)

    def local_file(self) -> None:
        return None
