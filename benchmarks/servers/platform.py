"""A server for contestants that open a URL, and for those that ask a Supervisely server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from benchmarks.servers.counting import CountingServer


class PlatformServer(CountingServer):
    """Serves one file, and gives its URL as a Supervisely server does."""

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_post("/public/api/v3/videos.info", self._describe)
        return app

    async def _describe(self, _request: web.Request) -> web.Response:
        # Only the platform itself knows its storage by this host; the SDK puts the server's in its place.
        return web.json_response(
            {"id": 1, "name": "clip.mp4", "fullStorageUrl": "http://storage.internal:9000/clip.mp4"}
        )


@contextmanager
def served(path: Path) -> Iterator[tuple[PlatformServer, str]]:
    """Serve a file from a thread with its own event loop; yield the server and the file's URL."""
    server, ready, loop = PlatformServer(path), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
    url = [""]

    async def run() -> None:
        async with server as url[0]:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    try:
        yield server, url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
