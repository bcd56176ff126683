"""An application that serves clips to a browser, and can be stopped and started again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from asyncframes.web import WebLimits, frame_app

T = TypeVar("T")


class Served:
    """The application, on a thread and a loop of its own; a context manager.

    Parameters
    ----------
    videos
        Names in URLs, and paths.
    limits
        What the application may cost.
    prefix
        Where it is in another application; in none by default.

    Attributes
    ----------
    requests
        Paths and queries of all requests, in order of arrival.
    held
        Parts of paths whose requests wait until `release`.
    broken
        Parts of paths whose requests end with the connection.
    """

    def __init__(
        self, videos: Mapping[str, Path], limits: WebLimits | None = None, *, prefix: str = ""
    ) -> None:
        self.videos = dict(videos)
        self.requests: list[str] = []
        self.held: set[str] = set()
        self.broken: set[str] = set()
        self._released = asyncio.Event()
        self._limits = limits
        self._prefix = prefix
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served-page")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._prefix}/"

    def start(self) -> None:
        """Serve; after `stop`, on the same port."""
        self._run(self._start())

    def stop(self) -> None:
        """Close all connections, and refuse new ones."""
        self._run(self._stop())

    def release(self) -> None:
        """Answer what waits, and hold nothing more."""
        self.held.clear()
        self._loop.call_soon_threadsafe(self._released.set)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        app = frame_app(self.videos.get, limits=self._limits, videos=lambda: [*self.videos])
        app.middlewares.append(self._note)
        outer = web.Application()
        if self._prefix:
            outer.add_subapp(self._prefix, app)
        self._runner = web.AppRunner(outer if self._prefix else app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        if any(part in request.path for part in self.held):
            await self._released.wait()
        if any(part in request.path for part in self.broken) and request.transport is not None:
            request.transport.abort()
        response: web.StreamResponse = await handler(request)
        return response
