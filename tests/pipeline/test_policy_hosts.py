"""Where a policy lets HTTP go: schemes, hosts, redirects, the address connected to, rates and lengths."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

import asyncframes
import asyncframes as af
from asyncframes.errors import (
    PolicyAccessError,
    PolicyError,
    SourceAccessError,
    SourceLimitError,
    SourceUnavailableError,
)
from asyncframes.sources import CachedSource, FFmpegUrlSource, HttpSource
from asyncframes.sources._cache import fetches
from asyncframes.sources._cache.fetches import FetchLimit
from asyncframes.sources._http import pace
from asyncframes.sources._http import sessions as _sessions
from asyncframes.sources._http.public_addresses import is_public
from asyncframes.supervisely import SuperviselyServer, SuperviselySource
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio

FRAMES = 24
CLIP = clip_bytes(frames=FRAMES)
BUNNY = Path(asyncframes.__file__).parent.joinpath("data", "bunny.mp4").read_bytes()
UNTRUSTED = af.Policy.untrusted()
HERE, THERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve("/a.mp4", CLIP)
    return server


@pytest.fixture
def public_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 127.0.0.1 stand in for a public address; 127.0.0.2 stays private."""
    monkeypatch.setattr(_sessions, "is_public", lambda address: address == HERE or is_public(address))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses of host names, of which each look-up takes the first while there are several."""
    known: dict[str, list[str]] = {}

    class Resolver(AbstractResolver):
        def __init__(self, **_: Any) -> None:
            pass

        async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
            addresses = known[host]
            address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
            return [
                {
                    "hostname": host,
                    "host": address,
                    "port": port,
                    "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                    "proto": 0,
                    "flags": socket.AI_NUMERICHOST,
                }
            ]

        async def close(self) -> None:
            pass

    monkeypatch.setattr(aiohttp.connector, "DefaultResolver", Resolver)
    # Each connection looks its name up again, as after the time that a DNS record lives.
    monkeypatch.setattr(aiohttp.connector._DNSCacheTable, "expired", lambda self, key: True)
    return known


async def frames_of(source: Any, policy: af.Policy = UNTRUSTED) -> list[int]:
    return [painted_index(image) async for _, image in af.stream_frames(source, policy=policy)]


def cached(video: af.Video) -> CachedSource:
    source = video._requests.input.cached
    assert source is not None
    return source


async def refusal(source: Any, policy: af.Policy = UNTRUSTED) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        await frames_of(source, policy)
    return caught.value


@pytest.mark.usefixtures("public_here")
async def test_a_public_address_is_read(server: RunningServer) -> None:
    """By its URL, and by a source of the caller's."""
    assert await frames_of(server.url("/a.mp4")) == list(range(FRAMES))
    assert await frames_of(HttpSource(server.url("/a.mp4"), headers={"X": "1"})) == list(range(FRAMES))
    assert await frames_of(CachedSource(HttpSource(server.url("/a.mp4")))) == list(range(FRAMES))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0"),  # noqa: S104
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]"),
        *("[fe80::1]", "[2002:7f00:1::]", "[fd00:ec2::254]", "169.254.169.254", "[::ffff:169.254.169.254]"),
        "10.0.0.1",
    ],
)
async def test_no_form_of_a_private_address_is_connected_to(server: RunningServer, host: str) -> None:
    """Numbers, octal, IPv6 forms with an IPv4 address inside, metadata servers: none gets a request."""
    source = HttpSource(server.url("/a.mp4", host=host), attempts=1)
    with pytest.raises((PolicyAccessError, SourceUnavailableError)) as caught:
        await frames_of(source)
    # The system may not read every form as an address.
    if isinstance(caught.value, PolicyAccessError):
        assert caught.value.limit == "hosts"
        assert caught.value.allowed == ("public",)
        assert not is_public(str(caught.value.found))
        assert isinstance(caught.value, PermissionError)
    assert server.requests == []


@pytest.mark.usefixtures("public_here")
async def test_a_redirect_into_a_private_network_is_refused(server: RunningServer) -> None:
    """By the address of each hop."""
    with RunningServer(host=THERE) as inner:
        inner.serve("/a.mp4", CLIP)
        server.redirect("/in", inner.url("/a.mp4"))
        server.redirect("/twice", "/in")
        for path in ("/in", "/twice"):
            error = await refusal(server.url(path))
            assert (error.limit, error.found) == ("hosts", THERE)
            assert THERE not in str(error)
        assert inner.requests == []


@pytest.mark.usefixtures("public_here")
async def test_a_name_cannot_lead_elsewhere_later(server: RunningServer, names: dict[str, list[str]]) -> None:
    """The address that is connected to decides, each time: the second look-up has another answer."""
    with RunningServer(host=THERE) as inner:
        inner.serve("/a.mp4", CLIP)
        names["rebinding.example"] = [HERE, THERE]
        # The connection ends after each reply.
        server.serve("/a.mp4", CLIP, default=Reply(version="HTTP/1.0", most_bytes=1000))
        error = await refusal(server.url("/a.mp4", host="rebinding.example"))
        assert (error.limit, error.found) == ("hosts", THERE)
        assert len(server.requests) == 1
        assert inner.requests == []


@pytest.mark.usefixtures("public_here")
@pytest.mark.parametrize(
    ("hosts", "host", "is_allowed"),
    [
        (["*.example.com"], "cdn.example.com", True),
        (["*.example.com"], "example.com", False),
        (["example.com"], "example.com", True),
        (["example.com"], "cdn.example.com", False),
        (["example.com", "*.example.com"], "cdn.example.com", True),
        (["example.com:1"], "example.com", False),
        (["10.0.0.0/8"], "example.com", False),
        (["127.0.0.0/8"], "example.com", True),
        (["127.0.0.0/8"], "127.0.0.1", True),
        (["10.0.0.0/8"], "127.0.0.1", False),
        (["example.com"], "127.0.0.1", False),
        ([], "example.com", False),
    ],
)
async def test_a_list_of_hosts(
    server: RunningServer, names: dict[str, list[str]], hosts: list[str], host: str, *, is_allowed: bool
) -> None:
    """Names with wildcards, networks and ports; a name that is not allowed is not even looked up."""
    names |= {"example.com": [HERE], "cdn.example.com": [HERE]}
    policy = replace(UNTRUSTED, hosts=hosts)
    url = server.url("/a.mp4", host=host)
    if is_allowed:
        assert await frames_of(url, policy) == list(range(FRAMES))
        return
    error = await refusal(url, policy)
    assert error.limit == "hosts"
    assert error.allowed == tuple(sorted(hosts))
    assert server.requests == []


async def test_a_name_of_the_list_needs_a_public_address(
    server: RunningServer, names: dict[str, list[str]]
) -> None:
    """Unless its network is in the list as well."""
    names["nas.example.com"] = [HERE]
    url = server.url("/a.mp4", host="nas.example.com")
    assert (await refusal(url, replace(UNTRUSTED, hosts={"nas.example.com"}))).found == HERE
    assert server.requests == []
    policy = replace(UNTRUSTED, hosts={"nas.example.com", f"{HERE}:{server.port}"})
    assert await frames_of(url, policy) == list(range(FRAMES))


@pytest.mark.usefixtures("public_here")
async def test_a_redirect_is_held_to_the_list_too(server: RunningServer, names: dict[str, list[str]]) -> None:
    """Before the name that it gives is looked up."""
    names |= {"example.com": [HERE]}
    server.redirect("/out", "http://elsewhere.net/a.mp4")
    error = await refusal(server.url("/out", host="example.com"), replace(UNTRUSTED, hosts={"example.com"}))
    assert (error.limit, error.found) == ("hosts", "elsewhere.net:80")


@pytest.mark.usefixtures("public_here")
async def test_redirects_are_counted(server: RunningServer) -> None:
    """As many as the policy allows are followed, and no more are requested."""
    for number in range(9):
        server.redirect(f"/{number}", f"/{number - 1}" if number else "/a.mp4")
    assert await frames_of(server.url("/4")) == list(range(FRAMES))
    del server.requests[:]
    error = await refusal(server.url("/5"))
    assert (error.limit, error.allowed, error.found) == ("max_redirects", 5, 6)
    assert isinstance(error, PermissionError)
    assert len(server.requests) == 6
    assert (await refusal(server.url("/0"), replace(UNTRUSTED, max_redirects=0))).limit == "max_redirects"
    assert await frames_of(server.url("/8"), af.Policy()) == list(range(FRAMES))


@pytest.mark.usefixtures("public_here")
async def test_a_redirect_to_another_scheme_is_refused(server: RunningServer) -> None:
    """It needs to be allowed as the first one does."""
    server.redirect("/up", "https://example.com/a.mp4")
    error = await refusal(server.url("/up"), replace(UNTRUSTED, schemes={"http"}))
    assert (error.limit, error.allowed, error.found) == ("schemes", ("http",), "https")
    error = await refusal(server.url("/a.mp4"), replace(UNTRUSTED, schemes={"https"}))
    assert (error.limit, error.found) == ("schemes", "http")


@pytest.mark.usefixtures("public_here")
async def test_no_proxy_connects_instead(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would reach what the guard cannot see."""
    monkeypatch.setenv("http_proxy", server.url(""))
    with pytest.raises(SourceUnavailableError):
        await frames_of(HttpSource("http://far.invalid/a.mp4", attempts=1))
    assert server.requests == []


async def test_a_session_or_an_open_source_cannot_be_guarded(server: RunningServer) -> None:
    """Their connections are made already, or elsewhere: the error says what to pass."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="hosts of a policy, cannot be combined with session"):
            await frames_of(HttpSource(server.url("/a.mp4"), session=session))
    source = HttpSource(server.url("/a.mp4"))
    async with source:
        with pytest.raises(ValueError, match="not open yet"):
            await frames_of(source)


@pytest.mark.usefixtures("public_here")
async def test_a_guarded_source_may_be_opened_again(server: RunningServer) -> None:
    """The same policy twice is one policy."""
    source = HttpSource(server.url("/a.mp4"))
    opener, other_opener = (af.open_video(source, policy=UNTRUSTED) for _ in range(2))
    async with opener as video, other_opener as other:
        assert await video.count() == await other.count() == FRAMES


@pytest.mark.parametrize(
    "source",
    [
        lambda url: af.FsspecSource(url),
        lambda url: f"simplecache::{url}",
        lambda _: FFmpegUrlSource("rtsp://example.com/a"),
    ],
    ids=["fsspec", "chain", "rtsp"],
)
async def test_connections_that_cannot_be_checked_are_refused(server: RunningServer, source: Any) -> None:
    """Whatever schemes are allowed, while hosts are limited."""
    policy = replace(UNTRUSTED, schemes={"http", "https", "rtsp", "simplecache"})
    with pytest.raises(PolicyAccessError, match="cannot be checked") as caught:
        af.open_video(source(server.url("/a.mp4")), policy=policy)
    assert caught.value.limit == "hosts"
    assert server.requests == []


async def test_the_parts_of_a_playlist_are_guarded(server: RunningServer) -> None:
    """Each address that FFmpeg asks for is one more address of other people."""
    server.serve("/list.m3u8", b"#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n")
    error = await refusal(FFmpegUrlSource(server.url("/list.m3u8")), replace(UNTRUSTED, isolation="none"))
    assert (error.limit, error.found) == ("hosts", HERE)
    assert server.requests == []


async def test_the_storage_of_a_supervisely_server_is_guarded(server: RunningServer) -> None:
    """The server's address is the caller's, so its scheme needs no further permission; hosts count."""
    server.serve("/public/api/v3/videos.info", b'{"fullStorageUrl": "http://x/a.mp4"}')
    api = SuperviselyServer(server.url(""), "token")
    error = await refusal(SuperviselySource(api, 1))
    assert (error.limit, error.found) == ("schemes", "supervisely")
    error = await refusal(SuperviselySource(api, 1), replace(UNTRUSTED, schemes={"supervisely"}))
    assert (error.limit, error.found) == ("hosts", HERE)
    policy = replace(UNTRUSTED, schemes={"supervisely"}, hosts={HERE})
    assert await frames_of(SuperviselySource(api, 1), policy) == list(range(FRAMES))


@pytest.mark.usefixtures("public_here")
async def test_a_slow_drip_is_given_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the rate, or silent, without a further attempt."""
    monkeypatch.setattr(pace, "POLICY_WINDOW_SECONDS", 0.3)
    for reply in (Reply(trickle_seconds=0.02), Reply(stall_at=0)):
        del server.requests[:]
        server.serve("/a.mp4", CLIP, default=reply)
        error = await refusal(server.url("/a.mp4"))
        assert isinstance(error, SourceLimitError)
        assert (error.limit, error.allowed) == ("min_bytes_per_second", 1024)
        assert isinstance(error.found, float)
        assert error.found < 1024
        assert len(server.requests) == 1
    server.release()


async def test_a_sender_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload as well."""
    monkeypatch.setattr(pace, "POLICY_WINDOW_SECONDS", 0.3)

    async def upload() -> AsyncIterator[bytes]:
        yield CLIP[:100]
        await asyncio.sleep(3600)

    error = await refusal(upload())
    assert error.limit == "min_bytes_per_second"


@pytest.mark.usefixtures("public_here")
@pytest.mark.parametrize("is_announced", [False, True])
async def test_an_endless_response_is_stopped(server: RunningServer, *, is_announced: bool) -> None:
    """A body of no length, from a server without ranges, or one whose length is announced."""
    headers = {"Content-Length": "99999999"} if is_announced else {}
    reply = Reply(ignore_range=True, chunked=not is_announced, endless=True, headers=headers)
    server.serve("/a.mp4", CLIP, default=reply)
    policy = replace(UNTRUSTED, max_source_bytes=200_000)
    with pytest.raises(SourceLimitError) as caught:
        async with af.open_video(server.url("/a.mp4"), policy=policy) as video:
            await cached(video).read_range(0, 2**21)
    error = caught.value
    assert (error.limit, error.allowed) == ("max_source_bytes", 200_000)
    assert isinstance(error.found, int)
    assert error.found > 200_000
    assert server.bytes_sent < 20_000_000


@pytest.mark.usefixtures("public_here")
async def test_a_source_of_unknown_length_is_stopped(server: RunningServer) -> None:
    """Where it is longer than allowed, with ranges too."""
    clip = clip_bytes(frames=48, audio=True, faststart=True) + bytes(2**20)
    server.serve("/a.mp4", clip, hides_size=True)
    policy = replace(UNTRUSTED, max_source_bytes=100_000)
    async with af.open_video(server.url("/a.mp4"), policy=policy) as video:
        with pytest.raises(SourceLimitError, match="max_source_bytes=100000"):
            await cached(video).read_range(0, 2**21)


@pytest.mark.usefixtures("public_here")
async def test_the_length_is_known_before_more_is_read(server: RunningServer) -> None:
    """A file that is too long costs its first bytes."""
    server.serve("/a.mp4", CLIP + bytes(2**22))
    error = await refusal(server.url("/a.mp4"), replace(UNTRUSTED, max_source_bytes=2**20))
    assert (error.limit, error.found) == ("max_source_bytes", len(CLIP) + 2**22)
    assert server.bytes_sent <= 64 * 1024


@pytest.mark.usefixtures("public_here")
async def test_an_honest_video_needs_no_more_than_is_allowed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests without number, each of all frames, with a cache that keeps almost nothing."""
    monkeypatch.setattr(fetches, "_NEEDED_AT_LEAST", 0)
    server.serve("/a.mp4", BUNNY)
    async with af.open_video(
        server.url("/a.mp4"), policy=UNTRUSTED, cache_bytes=2**15, read_ahead_bytes=0
    ) as video:
        for _ in range(5):
            assert [frame.index async for frame in video.frames()] == list(range(132))
            assert (await video.frame(50)).index == 50
        assert video.bytes_read > 3 * len(BUNNY)


@pytest.mark.usefixtures("public_here")
async def test_frames_out_of_order_may_be_read_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that goes back and forth in the video needs some bytes many times."""
    monkeypatch.setattr(fetches, "_NEEDED_AT_LEAST", 0)
    server.serve("/a.mp4", BUNNY)
    order = [place * 53 % 132 for place in range(40)]
    async with af.open_video(
        server.url("/a.mp4"), policy=UNTRUSTED, cache_bytes=2**15, reorder_bytes=0
    ) as video:
        assert [frame.index async for frame in video.frames(indices=order)] == order
        assert video.bytes_read > 5 * len(BUNNY)


def test_what_is_needed_grows_with_requests() -> None:
    """Three times the length for opening, and twice for each request; an option may lower it."""
    mib = 1024**2
    source = af.MemorySource(bytes(mib))
    limit = FetchLimit(source, max_read_bytes=None)
    limit.allow_only_needed()
    limit.count(67 * mib, mib)
    with pytest.raises(SourceLimitError) as caught:
        limit.count(1, mib)
    assert (caught.value.limit, caught.value.allowed) == ("max_read_bytes", 67 * mib)
    limit.allow_request()
    limit.count(2 * mib - 1, mib)
    with pytest.raises(SourceLimitError):
        limit.count(1, mib)
    both = FetchLimit(source, max_read_bytes=10)
    both.allow_only_needed()
    with pytest.raises(SourceLimitError, match="max_read_bytes=10"):
        both.count(11, mib)


@pytest.mark.usefixtures("public_here")
async def test_bytes_are_counted(server: RunningServer) -> None:
    """`max_read_bytes` of a policy, and of an option beside it: the lower one."""
    server.serve("/a.mp4", BUNNY)
    for policy, option in ((200_000, None), (2**30, 200_000), (200_000, 2**30)):
        limits = replace(UNTRUSTED, max_read_bytes=policy)
        with pytest.raises(SourceLimitError, match="max_read_bytes=200000") as caught:
            async for _ in af.stream_frames(server.url("/a.mp4"), policy=limits, max_read_bytes=option):
                pass
        assert caught.value.limit == "max_read_bytes"


async def test_the_guard_of_a_source_alone_is_a_policy_error_too(server: RunningServer) -> None:
    """`allow_private=False` limits hosts in the same way."""
    with pytest.raises(SourceAccessError, match="private network") as caught:
        await HttpSource(server.url("/a.mp4"), allow_private=False).open()
    assert isinstance(caught.value, PolicyAccessError)
    assert (caught.value.limit, caught.value.allowed) == ("hosts", ("public",))
