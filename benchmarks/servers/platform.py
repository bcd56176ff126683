"""A server for contestants that open a URL, and for those that ask a Supervisely server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from selectors import SelectSelector

from aiohttp import web
from yarl import URL

from benchmarks.servers.counting import CountingServer
from benchmarks.servers.shaped_link import ShapedLink

# Wide enough that only the delay counts.
_LINK_BYTES_PER_SECOND = 125e6


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


async def _delayed(url: str, round_trip_seconds: float) -> str:
    port = URL(url).port or 0
    link = ShapedLink(port, round_trip_seconds=round_trip_seconds, bytes_per_second=_LINK_BYTES_PER_SECOND)
    return str(URL(url).with_port(await link.start()))


@contextmanager
def served(path: Path, *, round_trip_seconds: float = 0.0) -> Iterator[tuple[PlatformServer, str]]:
    """Serve a file from a thread with its own event loop; yield the server and the file's URL.

    Parameters
    ----------
    round_trip_seconds
        Delay of the link to the server.
    """
    # Other selectors round what they wait up to milliseconds.
    loop = asyncio.SelectorEventLoop(SelectSelector())
    server, ready, stop = PlatformServer(path), threading.Event(), asyncio.Event()
    url = [""]

    async def run() -> None:
        async with server as url[0]:
            if round_trip_seconds:
                url[0] = await _delayed(url[0], round_trip_seconds)
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
