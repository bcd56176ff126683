"""The same answers under ASGI: alone, and mounted in Starlette and FastAPI, on a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from yarl import URL

from asyncframes.web import FrameAsgi, WebLimits, asgi
from tests.web.serving import HeldSource, serving, until

pytestmark = pytest.mark.anyio

PATHS = [
    "/v/a%2Fb%20c.mp4/frames/7.jpg?width=40",
    "/v/a%2Fb%20c.mp4/at/0.5.png",
    "/v/a%2Fb%20c.mp4/info",
    "/v/a%2Fb%20c.mp4/table?from=2&to=5",
    "/v/a%2Fb%20c.mp4/chunks/1?size=10",
    "/v/a%2Fb%20c.mp4/sprites.vtt?every=1",
    "/v/a%2Fb%20c.mp4/original",
    "/v/a%2Fb%20c.mp4/frames/99.jpg",
    "/v/a%2Fb%20c.mp4/frames/7.jpg?height=3",
    "/v/other/frames/7.jpg",
    "/nothing",
    "/videos",
    "/page/index.html",
    "/",
]
ASKED = [("GET", "*/*"), ("GET", "multipart/mixed"), ("HEAD", "*/*"), ("HEAD", "multipart/mixed")]
VARIES = {"Date", "Server", "Connection", "Transfer-Encoding"}


@asynccontextmanager
async def served(app: Any, *, lifespan: str = "auto") -> AsyncIterator[URL]:
    """Run an application under uvicorn, and yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan=lifespan, ws="none", timeout_graceful_shutdown=5)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.config.load()
    running = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started)
    try:
        yield URL(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        await running
        listener.close()


def alone(frames: FrameAsgi) -> Any:
    return frames


def in_starlette(frames: FrameAsgi) -> Any:
    return Starlette(routes=[Mount("/some where", frames)])


def in_fastapi(frames: FrameAsgi) -> Any:
    app = FastAPI()
    app.mount("/deep/er", frames)
    return app


@pytest.mark.parametrize(
    ("outer", "prefix"), [(alone, ""), (in_starlette, "/some%20where"), (in_fastapi, "/deep/er")]
)
async def test_answers_equal_those_of_aiohttp(clip: Path, outer: Any, prefix: str) -> None:
    """Status, headers and bodies, for all routes and for both methods."""
    sources, limits = {"a/b c.mp4": clip}, WebLimits(allow_original=True)
    frames = asgi(sources.get, limits=limits, videos=lambda: [*sources])
    async with (
        frames,
        serving(sources, limits) as expected,
        served(outer(frames)) as url,
        aiohttp.ClientSession() as client,
    ):
        for path in PATHS:
            for method, accepted in ASKED:
                address, headers = URL(f"{url}{prefix}{path}", encoded=True), {"Accept": accepted}
                async with (
                    client.request(method, address, headers=headers) as reply,
                    expected.request(method, URL(path, encoded=True), headers=headers) as wanted,
                ):
                    assert reply.status == wanted.status, path
                    assert await reply.read() == await wanted.read(), path
                    found = {name.title(): value for name, value in reply.headers.items()}
                    told = {name.title(): value for name, value in wanted.headers.items()}
                    assert {**found, **dict.fromkeys(VARIES)} == {**told, **dict.fromkeys(VARIES)}, path
                if method == "GET" and (tag := reply.headers.get("ETag")):
                    async with client.get(address, headers={**headers, "If-None-Match": tag}) as again:
                        assert (again.status, await again.read()) == (304, b"")


async def test_the_end_of_the_server_closes_videos(clip: Path) -> None:
    """Alone, it follows the server; mounted, it is closed by the outer application."""
    frames = asgi(lambda name: clip)
    async with served(frames) as url, aiohttp.ClientSession(url) as client:
        async with client.get("/v/c/info") as reply:
            assert reply.status == 200
        site = frames._site
        assert site is not None
        assert len(site.videos) == 1
    assert len(site.videos) == 0


async def test_a_client_that_leaves_cancels_its_work(clip: Path) -> None:
    """Also in the middle of a stream."""
    held = HeldSource(clip.read_bytes())
    frames = asgi(lambda name: held if name == "held" else clip)
    async with frames, served(frames) as url, aiohttp.ClientSession(url) as client:
        asking = asyncio.create_task(client.get("/v/held/frames/7.jpg"))
        await held.asked.wait()
        asking.cancel()
        await until(lambda: held.cancelled > 0)
        async with client.get("/v/c/mjpeg") as reply:
            await reply.content.readuntil(b"\xff\xd9")
            assert frames._site is not None
            turns = frames._site.turns
            assert turns.streams == 1
        await until(lambda: turns.streams == 0)
