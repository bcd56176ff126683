"""A loopback HTTP server with ranges that counts what it sends."""

from __future__ import annotations

import contextlib
from pathlib import Path

from aiohttp import web


class CountingServer:
    """Serves one file with ranges from this process, and counts the requests and the bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.bytes_sent = 0
        self.requests = 0

    def application(self) -> web.Application:
        """Return the application that answers requests."""
        app = web.Application()
        app.router.add_get("/clip.mp4", self._answer)
        return app

    async def __aenter__(self) -> str:
        self._runner = web.AppRunner(self.application())
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/clip.mp4"

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    def _file_of(self, request: web.Request) -> Path:
        return self._path

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        path = self._file_of(request)
        size = path.stat().st_size
        wanted = request.http_range
        start, stop = wanted.start or 0, min(wanted.stop or size, size)
        headers = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        reply = web.StreamResponse(status=206 if "Range" in request.headers else 200, headers=headers)
        reply.content_length = stop - start
        with path.open("rb") as file, contextlib.suppress(ConnectionError):
            await reply.prepare(request)
            file.seek(start)
            while start < stop and (part := file.read(min(65536, stop - start))):
                start += len(part)
                await reply.write(part)
                self.bytes_sent += len(part)
        return reply


class CountingFolder(CountingServer):
    """Serves the files of a folder; the address that it gives is the folder's."""

    def application(self) -> web.Application:
        """Return the application that answers requests."""
        app = web.Application()
        app.router.add_get("/{name}", self._answer)
        return app

    async def __aenter__(self) -> str:
        return (await super().__aenter__()).removesuffix("/clip.mp4")

    def _file_of(self, request: web.Request) -> Path:
        return self._path / Path(request.match_info["name"]).name
