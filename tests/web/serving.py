"""Applications that serve clips on a free port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

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
