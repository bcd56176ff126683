"""What the application holds: open videos, turns, streams, and nothing after its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from asyncframes import Policy
from asyncframes.sources import LocalSource
from asyncframes.web import WebLimits, WebRequest, frame_app
from asyncframes.web._aiohttp import _SITE
from asyncframes.web._site import Site
from tests.support.left_over import Held
from tests.support.servers.web import Reply, RunningServer, retries_at_once
from tests.web.serving import HeldSource, running, serving, until

pytestmark = pytest.mark.anyio

SIGNATURE = "signature-4711"


@asynccontextmanager
async def site_of(app: web.Application) -> AsyncIterator[tuple[Site, aiohttp.ClientSession]]:
    async with running(app) as client:
        yield app[_SITE], client


async def test_videos_are_opened_once_and_stay_open(clip: Path) -> None:
    """All requests share one, also those that come while it is opened."""
    opened: list[str] = []

    def resolve(name: str) -> Path:
        opened.append(name)
        return clip

    async with running(frame_app(resolve)) as client:
        replies = await asyncio.gather(*(client.get(f"/v/c/frames/{index}.jpg") for index in range(20)))
        assert {reply.status for reply in replies} == {200}
    assert opened == ["c"]


async def test_the_least_recently_used_is_closed(clip: Path) -> None:
    """Once more are open than may be."""
    app = frame_app(lambda name: clip, limits=WebLimits(max_open_videos=2, idle_seconds=600))
    async with site_of(app) as (site, client):
        for name in ("a", "b", "a", "c"):
            async with client.get(f"/v/{name}/frames/0.jpg") as reply:
                assert reply.status == 200
        assert [*site.videos._entries] == ["a", "c"]


async def test_what_nobody_uses_is_closed(clip: Path) -> None:
    """After a while, and opened again when it is asked for."""
    app = frame_app(lambda name: clip, limits=WebLimits(idle_seconds=0.2))
    async with site_of(app) as (site, client):
        for _ in range(2):
            async with client.get("/v/c/frames/0.jpg") as reply:
                assert reply.status == 200
            await until(lambda: not len(site.videos))


async def test_nothing_outlives_the_application(clip: Path) -> None:
    """No video, task, thread or descriptor, even if requests are under way."""
    before = Held.now()
    held = HeldSource(clip.read_bytes())
    async with serving({"c": clip, "held": held}, WebLimits(allow_original=True)) as client:
        async with client.get("/v/c/frames/7.jpg") as reply:
            assert reply.status == 200
            url = reply.url
        # This client does not connect again when the server ends.
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /v/held/info HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await held.asked.wait()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    grown: dict[str, object] = {}
    for _ in range(300):
        if not (grown := Held.now().grown_since(before)):
            break
        await asyncio.sleep(0.2)
    assert not grown


async def test_a_client_that_leaves_cancels_its_work(clip: Path) -> None:
    """Bytes that nobody waits for are not fetched on, and the turn is free again."""
    held = HeldSource(clip.read_bytes())
    app = frame_app(lambda name: held, limits=WebLimits(max_requests=1))
    async with site_of(app) as (site, client):
        asking = asyncio.create_task(client.get("/v/c/frames/7.jpg"))
        await held.asked.wait()
        asking.cancel()
        await until(lambda: held.cancelled > 0)
        await until(lambda: site.turns.free == 1)
        await until(lambda: not len(site.videos))


async def test_a_full_queue_refuses(clip: Path) -> None:
    """With 503 and when to come again; those that wait are served in the end."""
    held = HeldSource(clip.read_bytes())
    app = frame_app(
        lambda name: held if name == "held" else clip, limits=WebLimits(max_requests=1, max_queued=2)
    )
    async with site_of(app) as (site, client):
        first = asyncio.create_task(client.get("/v/held/frames/7.jpg"))
        await held.asked.wait()
        waiting = [asyncio.create_task(client.get(f"/v/{name}/frames/7.jpg")) for name in "ab"]
        await until(lambda: site.turns.waiting == 2)
        async with client.get("/v/c/frames/7.jpg") as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert (await reply.json(content_type=None))["code"] == "ServiceUnavailable"
        held.released.set()
        assert [(await task).status for task in (first, *waiting)] == [200, 200, 200]


async def test_a_client_may_have_a_limit(clip: Path) -> None:
    """Its further requests are refused with 429."""
    held = HeldSource(clip.read_bytes())
    async with serving({"c": held}, WebLimits(max_requests_per_client=1)) as client:
        first = asyncio.create_task(client.get("/v/c/frames/7.jpg"))
        await held.asked.wait()
        async with client.get("/v/c/frames/8.jpg") as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
        held.released.set()
        assert (await first).status == 200


async def test_an_answer_has_a_deadline(clip: Path) -> None:
    """It is 504, and the work is cancelled."""
    held = HeldSource(clip.read_bytes())
    async with serving({"c": held}, WebLimits(request_seconds=0.3)) as client:
        async with client.get("/v/c/frames/7.jpg") as reply:
            assert reply.status == 504
            assert (await reply.json(content_type=None))["code"] == "TimeoutError"
        await until(lambda: held.cancelled > 0)


async def test_access_is_the_callers(clip: Path) -> None:
    """It sees what is asked for, and no shared cache keeps an answer."""
    seen: list[WebRequest] = []

    async def auth(request: WebRequest) -> bool:
        seen.append(request)
        return request.headers.get("authorization") == "Bearer a"

    async with serving({"a/b": clip}, auth=auth) as client:
        async with client.get("/v/a%2Fb/frames/7.jpg") as reply:
            assert reply.status == 403
        async with client.get(
            "/v/a%2Fb/frames/7.jpg?width=9", headers={"Authorization": "Bearer a"}
        ) as reply:
            assert (reply.status, reply.headers["Cache-Control"].split(",")[0]) == (200, "private")
    assert (seen[1].video_id, seen[1].query) == ("a/b", {"width": "9"})


async def test_who_says_who_it_is_gets_a_private_answer(clip: Path) -> None:
    """A middleware may check it, which the application does not know of."""
    async with serving({"c": clip}) as client:
        for headers in ({"Authorization": "Bearer a"}, {"Cookie": "session=a"}):
            async with client.get("/v/c/frames/7.jpg", headers=headers) as reply:
                assert reply.headers["Cache-Control"].startswith("private, ")


async def test_a_policy_counts(clip: Path) -> None:
    """What it refuses has a status of its own, and its text names no path."""
    small, other = replace(Policy(), max_pixels=100), Policy.untrusted()
    for policy, status, code in ((small, 413, "MediaLimitError"), (other, 403, "PolicyAccessError")):
        async with serving({"c": clip}, policy=policy) as client, client.get("/v/c/info") as reply:
            problem = await reply.json(content_type=None)
            assert (reply.status, problem["code"]) == (status, code)
            assert str(clip) not in problem["detail"]


async def test_a_video_that_goes_away_is_gone(clip: Path) -> None:
    """Whether its name or its file is removed; one whose source fails for a while stays."""
    sources: dict[str, Any] = {"name": clip, "file": clip}
    async with serving(sources, WebLimits(fresh_seconds=0.001)) as client:
        for name in ("name", "file"):
            async with client.get(f"/v/{name}/frames/7.jpg") as reply:
                assert reply.status == 200
        sources["name"] = None
        clip.unlink()
        for name in ("name", "file", "name", "file"):
            async with client.get(f"/v/{name}/frames/7.jpg") as reply:
                assert reply.status == 404


async def test_a_source_that_fails_for_a_while_is_served_on(clip: Path) -> None:
    """What was read is still right, as far as anybody can tell."""
    with RunningServer() as server, retries_at_once():
        served = server.serve("/clip.mp4", clip.read_bytes())
        async with serving({"c": server.url("/clip.mp4")}, WebLimits(fresh_seconds=0.001)) as client:
            async with client.get("/v/c/chunks/0?size=48") as reply:
                assert reply.status == 200
            served.default = Reply(status=503)
            async with client.get("/v/c/frames/7.jpg") as reply:
                assert reply.status == 200


async def test_what_the_caller_raises_stays_here(caplog: pytest.LogCaptureFixture) -> None:
    """Neither answers nor logs have its text, which may contain an address; logs have the place."""

    def resolve(name: str) -> str:
        raise RuntimeError(f"https://host/clip.mp4?sig={SIGNATURE}")

    with caplog.at_level(logging.DEBUG):
        async with running(frame_app(resolve)) as client, client.get("/v/c/info") as reply:
            assert (reply.status, SIGNATURE in await reply.text()) == (500, False)
    assert "resolve raised RuntimeError" in caplog.text
    assert "test_lifetime.py" in caplog.text
    assert SIGNATURE not in caplog.text


async def test_addresses_stay_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Errors of sources name the video as the client does."""
    url = f"http://user:{SIGNATURE}@127.0.0.1:9/clip.mp4?sig={SIGNATURE}"
    with caplog.at_level(logging.DEBUG), retries_at_once():
        async with serving({"c": url}) as client, client.get("/v/c/info") as reply:
            text = await reply.text()
    assert reply.status in {503, 504}
    assert "127.0.0.1" not in text
    assert SIGNATURE not in text + caplog.text


async def test_it_can_be_part_of_another_application(clip: Path) -> None:
    """Below a path of its choice."""
    outer = web.Application()
    outer.add_subapp("/frames/", frame_app(lambda name: clip))
    async with running(outer) as client:
        async with client.get("/frames/v/a%2Fb/frames/3.jpg") as reply:
            assert (reply.status, reply.headers["X-Frame-Index"]) == (200, "3")
        async with client.get("/frames/") as reply:
            assert reply.content_type == "text/html"


async def test_a_source_may_be_an_object_and_resolve_may_wait(clip: Path) -> None:
    """As `open_video` takes it."""

    async def resolve(name: str) -> Any:
        await asyncio.sleep(0)
        return LocalSource(clip) if name == "c" else None

    async with running(frame_app(resolve, limits=WebLimits(fresh_seconds=0.001))) as client:
        for index in (3, 4):
            async with client.get(f"/v/c/frames/{index}.jpg") as reply:
                assert reply.status == 200
        async with client.get("/v/d/frames/3.jpg") as reply:
            assert reply.status == 404


def test_options_for_one_video_are_refused() -> None:
    """A server has many, and serves exact frames."""
    for options in ({"seek_mode": "approximate"}, {"frame_table": None}, {"policy": None}):
        with pytest.raises(ValueError, match="options for all videos"):
            frame_app(lambda name: name, open_options=options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_queued=-1"):
        WebLimits(max_queued=-1)
