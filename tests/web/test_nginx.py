"""A real nginx in front, as a cache: what it may keep, it keeps, and what it gives is exact."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from PIL import Image
from yarl import URL

from asyncframes.web import WebLimits, frame_app
from tests.support.servers.emulators import absent
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.serving import running

pytestmark = pytest.mark.anyio

CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=frames:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_cache frames;
            proxy_cache_key $request_uri;
            proxy_cache_revalidate on;
            proxy_cache_lock on;
            add_header X-Cache-Status $upstream_cache_status always;
        }}
    }}
}}
"""


# Longer than any test takes.
LONG = WebLimits(fresh_seconds=3600)


@pytest.fixture(scope="module")
def nginx() -> str:
    """Path of nginx; a test that needs it is skipped where it is absent, and fails in CI."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return found or absent("nginx is not installed; .ci/debian-packages installs it")


@dataclass
class Behind:
    """A client of nginx, and what reaches the application."""

    client: aiohttp.ClientSession
    reached: Counter[str] = field(default_factory=Counter)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def cached(nginx: str, folder: Path, app: web.Application) -> AsyncIterator[Behind]:
    """Run an application behind nginx."""
    reached: Counter[str] = Counter()

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        reached[request.rel_url.raw_path] += 1
        return await handler(request)

    app.middlewares.append(count)
    port = free_port()
    async with running(app) as upstream:
        base = upstream._base_url
        assert base is not None
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, upstream=base.port))
        process = await asyncio.create_subprocess_exec(
            nginx, "-p", str(folder), "-c", str(config), "-e", "stderr", stderr=asyncio.subprocess.PIPE
        )
        try:
            await listening(port, process)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
                yield Behind(client, reached)
        finally:
            process.terminate()
            await process.communicate()


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until nginx accepts connections."""
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, "nginx has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def ask(behind: Behind, path: str, **headers: str) -> tuple[int, str | None, bytes]:
    """Return the status, what the cache did, and the body."""
    async with behind.client.get(URL(path, encoded=True), headers=headers) as reply:
        return reply.status, reply.headers.get("X-Cache-Status"), await reply.read()


async def test_frames_are_kept_and_right(nginx: str, tmp_path: Path, clip: Path) -> None:
    """Each reaches the application once, whoever asks for it, and by its own parameters."""
    async with cached(nginx, tmp_path, frame_app({"a/b.mp4": clip}.get, limits=LONG)) as behind:
        for turn in ("MISS", "HIT"):
            for index in (0, 17, 47):
                path = f"/v/a%2Fb.mp4/frames/{index}.png"
                status, kept, body = await ask(behind, path)
                assert (status, kept) == (200, turn)
                assert painted_index(np.asarray(Image.open(io.BytesIO(body)))) == index
        assert behind.reached == Counter({f"/v/a%2Fb.mp4/frames/{index}.png": 1 for index in (0, 17, 47)})
        _, kept, small = await ask(behind, "/v/a%2Fb.mp4/frames/17.png?width=48")
        assert kept == "MISS"
        assert Image.open(io.BytesIO(small)).size == (48, 32)
        replies = await asyncio.gather(*(ask(behind, "/v/a%2Fb.mp4/chunks/0") for _ in range(20)))
        assert len({body for *_, body in replies}) == 1
        assert behind.reached["/v/a%2Fb.mp4/chunks/0"] == 1


async def test_tags_work_through_it(nginx: str, tmp_path: Path, clip: Path) -> None:
    """A client that has an answer gets 304 from the cache; HEAD has the headers of GET."""
    async with cached(nginx, tmp_path, frame_app({"c": clip}.get, limits=LONG)) as behind:
        async with behind.client.get("/v/c/frames/3.jpg") as reply:
            tag, body = reply.headers["ETag"], await reply.read()
        status, kept, empty = await ask(behind, "/v/c/frames/3.jpg", **{"If-None-Match": tag})
        assert (status, kept, empty) == (304, "HIT", b"")
        async with behind.client.head("/v/c/frames/3.jpg") as reply:
            assert reply.headers["ETag"] == tag
            assert reply.headers["X-Frame-Index"] == "3"
            assert reply.headers["Content-Length"] == str(len(body))
        assert behind.reached["/v/c/frames/3.jpg"] == 1


async def test_errors_and_private_answers_are_not_kept(nginx: str, tmp_path: Path, clip: Path) -> None:
    """Nor anything whose bytes have no validator."""
    sources: dict[str, Any] = {"c": clip, "bytes": clip.read_bytes()}
    for auth, path, status in (
        (None, "/v/c/frames/99.jpg", 404),
        (None, "/v/bytes/frames/3.jpg", 200),
        (None, "/v/c/stats", 200),
        (lambda request: True, "/v/c/frames/3.jpg", 200),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        async with cached(nginx, folder, frame_app(sources.get, auth=auth)) as behind:
            found = [await ask(behind, path) for _ in range(2)]
            assert [(given, kept) for given, kept, _ in found] == [(status, "MISS")] * 2
            assert behind.reached[path] == 2


async def test_a_new_version_is_seen(nginx: str, tmp_path: Path, clip: Path) -> None:
    """Once what was kept is stale, nginx asks whether it has changed."""
    app = frame_app({"c": clip}.get, limits=WebLimits(fresh_seconds=1))
    async with cached(nginx, tmp_path, app) as behind:
        _, _, before = await ask(behind, "/v/c/frames/3.png")
        clip.write_bytes(clip_bytes(frames=24, width=64))
        async with asyncio.timeout(60):
            while (found := await ask(behind, "/v/c/frames/3.png"))[2] == before:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.2)
        assert Image.open(io.BytesIO(found[2])).size == (64, 64)


async def test_ranges_of_the_original(nginx: str, tmp_path: Path, clip: Path) -> None:
    """As players ask for them."""
    data = clip.read_bytes()
    app = frame_app({"c": clip}.get, limits=WebLimits(allow_original=True))
    async with cached(nginx, tmp_path, app) as behind:
        for _ in range(2):
            status, _, body = await ask(behind, "/v/c/original", Range="bytes=100-199")
            assert (status, body) == (206, data[100:200])
        assert (await ask(behind, "/v/c/original"))[2] == data
