"""Ways to be let in over HTTP, ways to get there, and addresses that are not to be reached."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

import asyncframes as af
from asyncframes.errors import (
    RangeNotSupportedError,
    SourceAccessError,
    SourceTimeoutError,
)
from asyncframes.sources import HttpSource
from asyncframes.sources._http import sessions as _http_sessions
from asyncframes.sources._http.public_addresses import is_public
from tests.support.servers.s3 import BUCKET, START_SECONDS, rclone_server
from tests.support.servers.web import Reply, RunningServer, retries_at_once
from tests.support.streams.clips import clip_bytes, painted_index

HEAD = 64 * 1024
DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))
CLIP = "/clip.mp4"


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve(CLIP, DATA)
    return server


class Tokens:
    """A function that gives a new token each time, and notes how often."""

    def __init__(self) -> None:
        self.given = 0

    async def __call__(self) -> dict[str, str]:
        await asyncio.sleep(0)
        self.given += 1
        return {"Authorization": f"Bearer {self.given}"}


def tokens_sent(server: RunningServer) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]


@pytest.mark.anyio
async def test_a_token_is_renewed_when_it_is_refused(server: RunningServer) -> None:
    """A 401 has the function asked again, once; concurrent ranges share the new token."""
    tokens = Tokens()
    served = server.serve(CLIP, DATA, required={"Authorization": "Bearer 1"})
    async with HttpSource(server.url(CLIP), headers=tokens) as source:
        await source.read_range(HEAD, HEAD + 10)
        assert tokens_sent(server) == ["1", "1"]
        served.required = {"Authorization": "Bearer 2"}
        reads = (source.read_range(start, start + 10) for start in range(HEAD, HEAD + 50, 10))
        assert b"".join(await asyncio.gather(*reads)) == DATA[HEAD : HEAD + 50]
        assert tokens.given == 2
        served.required = {"Authorization": "never"}
        with pytest.raises(SourceAccessError, match="401"):
            await source.read_range(HEAD, HEAD + 10)
    assert tokens_sent(server)[-2:] == ["2", "3"]


@pytest.mark.anyio
async def test_a_token_is_renewed_for_a_further_attempt(server: RunningServer) -> None:
    """Whoever waited for a busy server comes back with a fresh token."""
    tokens = Tokens()
    server.script(CLIP, Reply(status=503), Reply(status=500))
    with retries_at_once():
        async with HttpSource(server.url(CLIP), headers=tokens):
            pass
    assert tokens_sent(server) == ["1", "2", "3"]


@pytest.mark.anyio
async def test_a_plain_function_and_one_that_fails(server: RunningServer) -> None:
    """The function may be a plain one; its failure is an error of access with its cause."""
    async with HttpSource(server.url(CLIP), headers=lambda: {"X-Key": "hush"}):
        assert server.requests[0].headers["x-key"] == "hush"

    def broken() -> dict[str, str]:
        raise KeyError("vault")

    with pytest.raises(SourceAccessError, match="KeyError") as caught:
        await HttpSource(server.url(CLIP), headers=broken).open()
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ValueError, match="auth"):
        HttpSource(server.url(CLIP), headers=broken, auth=("user", "hush"))


@pytest.mark.anyio
async def test_cookies(server: RunningServer) -> None:
    """Cookies go to the origin and to nobody else; those the server sets are kept."""
    with RunningServer() as other:
        other.serve(CLIP, DATA)
        server.redirect("/far", other.url(CLIP))
        server.serve("/set", b"", default=Reply(status=302, headers={"Location": CLIP, "Set-Cookie": "b=2"}))
        for path in ("/far", "/set"):
            url = server.url(path, host="localhost")
            async with HttpSource(url, cookies={"a": "1", "c": "x y"}) as source:
                await source.read_range(HEAD, HEAD + 10)
        assert all("cookie" not in request.headers for request in other.requests)
    sent = [request.headers["cookie"] for request in server.requests]
    assert sent[:2] == ['a=1; c="x y"'] * 2
    assert all(cookie in sent[-1] for cookie in ("a=1", "b=2"))


@pytest.mark.anyio
async def test_a_trickle_meets_the_deadline(server: RunningServer) -> None:
    """A server that never stops and never comes to an end is left after the time a range may take."""
    async with HttpSource(server.url(CLIP), range_timeout_seconds=0.3) as source:
        server.script(CLIP, Reply(trickle_seconds=0.01))
        with pytest.raises(SourceTimeoutError):
            await source.read_range(HEAD, HEAD + 10_000)
        assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        Reply(version="HTTP/1.0"),
        Reply(version="HTTP/1.0", ignore_range=True),
        Reply(version="HTTP/1.0", ignore_range=True, headers={"Content-Length": None}),
        Reply(ignore_range=True, headers={"Accept-Ranges": "none"}),
        Reply(chunked=True),
        Reply(ignore_range=True, chunked=True),
    ],
    ids=["1.0", "1.0 whole", "1.0 until it closes", "no ranges", "chunked", "chunked whole"],
)
async def test_ways_to_answer(server: RunningServer, reply: Reply) -> None:
    """Old protocol, no ranges, no length: frames by index come all the same."""
    server.serve("/a.mp4", clip_bytes(frames=48), default=reply)
    async with af.open_video(server.url("/a.mp4")) as video:
        found = [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]
    assert found == [40, 3]


@pytest.mark.anyio
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_ipv6() -> None:
    """An address in brackets is one as any other."""
    with RunningServer(host="::1") as server:
        server.serve(CLIP, DATA)
        async with HttpSource(server.url(CLIP)) as source:
            assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]
            assert "[::1]" in source.name


@pytest.mark.anyio
async def test_the_proxy_of_the_environment(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the proxy that is named, with its login, unless the host or the caller says no."""
    monkeypatch.setenv("http_proxy", server.url("", host="user:hush@127.0.0.1"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with HttpSource(f"http://far.invalid{CLIP}") as source:
        assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]
    assert {request.target for request in server.requests} == {f"http://far.invalid{CLIP}"}
    assert {request.headers["proxy-authorization"] for request in server.requests} == {"Basic dXNlcjpodXNo"}
    del server.requests[:]
    async with HttpSource(server.url(CLIP)):
        assert server.requests[0].target == CLIP
    with pytest.raises(af.errors.SourceUnavailableError):
        await HttpSource(f"http://far.invalid{CLIP}", trust_env=False, attempts=1).open()


@pytest.mark.anyio
@pytest.mark.timeout(120 + START_SECONDS)
async def test_a_part_under_the_status_of_the_whole(tmp_path: Path) -> None:
    """A 200 that brings a part of the file, as ``rclone serve s3`` sends it, is not taken for the file."""
    (tmp_path / BUCKET).mkdir()
    (tmp_path / BUCKET / "a.bin").write_bytes(DATA)
    with rclone_server(tmp_path, keys=False) as s3, pytest.raises(RangeNotSupportedError, match="part"):
        await HttpSource(f"{s3.endpoint}/{BUCKET}/a.bin").open()


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
async def test_private_addresses_are_refused(host: str) -> None:
    """With the guard on, neither a literal address nor a name leads to this machine."""
    with RunningServer(host="::1" if host == "[::1]" else "127.0.0.1") as server:
        server.serve(CLIP, DATA)
        source = HttpSource(server.url(CLIP, host=host), allow_private=False, attempts=1)
        with pytest.raises((SourceAccessError, af.errors.SourceUnavailableError)):
            await source.open()
        assert server.requests == []


@pytest.mark.anyio
async def test_a_redirect_into_a_private_network_is_refused(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard looks at each address that is connected to, also after a redirect."""
    monkeypatch.setattr(
        _http_sessions, "is_public", lambda address: address == "127.0.0.1" or is_public(address)
    )
    async with HttpSource(server.url(CLIP), allow_private=False) as source:
        assert source.size == len(DATA)
    with RunningServer(host="127.0.0.2") as inner:
        inner.serve(CLIP, DATA)
        server.redirect("/in", inner.url(CLIP))
        with pytest.raises(SourceAccessError, match="private network"):
            await HttpSource(server.url("/in"), allow_private=False).open()
        assert inner.requests == []


@pytest.mark.anyio
async def test_the_guard_goes_through_no_proxy(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to what the guard cannot see; a session of the caller's would as well."""
    monkeypatch.setenv("http_proxy", server.url(""))
    with pytest.raises(af.errors.SourceUnavailableError):
        await HttpSource(f"http://far.invalid{CLIP}", allow_private=False, attempts=1).open()
    assert server.requests == []
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="session"):
            HttpSource(server.url(CLIP), session=session, allow_private=False)
