"""What HTTP servers do, and what becomes of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    RangeNotSupportedError,
    ShortReadError,
    SourceAccessError,
    SourceChangedError,
    SourceLimitError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import CachedSource, HttpSource
from tests.support.servers.web import Reply, RunningServer, Served, retries_at_once

pytestmark = pytest.mark.anyio

HEAD = 64 * 1024
DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))
CLIP = "/clip.mp4"
SECRETS = ("hush", "mystery", "open-sesame")


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve(CLIP, DATA)
    return server


@pytest.fixture
def other() -> Iterator[RunningServer]:
    """Run a server of another origin."""
    with RunningServer() as server:
        server.serve(CLIP, DATA)
        yield server


@pytest.fixture
def without_waits() -> Iterator[None]:
    """Retry at once."""
    with retries_at_once():
        yield


def ranges(server: RunningServer) -> list[tuple[int, int] | None]:
    return [request.byte_range for request in server.requests]


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_one_ranged_get_tells_all(server: RunningServer) -> None:
    """Opening costs one GET of the head, whose bytes are not asked for again; no HEAD is sent."""
    async with HttpSource(server.url(CLIP)) as source:
        assert source.size == len(DATA)
        assert source.validator == '"v1"'
        assert await source.read_range(100, HEAD) == DATA[100:HEAD]
        assert ranges(server) == [(0, HEAD)]
        assert await source.read_range(HEAD - 10, HEAD + 10) == DATA[HEAD - 10 : HEAD + 10]
    assert ranges(server) == [(0, HEAD), (HEAD, HEAD + 10)]
    assert {request.method for request in server.requests} == {"GET"}
    assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}


async def test_an_empty_file_has_size_0(server: RunningServer) -> None:
    """A range of an empty file cannot be satisfied, which tells the size."""
    server.serve("/empty", b"")
    async with HttpSource(server.url("/empty")) as source:
        assert source.size == 0


async def test_a_strong_etag_goes_with_every_range(server: RunningServer) -> None:
    """If-Match carries a strong ETag and never a weak one."""
    server.serve("/weak", DATA, etag='W/"v1"')
    for path in (CLIP, "/weak"):
        async with HttpSource(server.url(path)) as source:
            await source.read_range(HEAD, HEAD + 1)
    assert [request.headers.get("if-match") for request in server.requests] == [None, '"v1"', None, None]


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, {"etag": '"v2"'}),
        ({"etag": 'W/"v1"'}, {"etag": 'W/"v2"'}),
        ({"etag": None}, {"last_modified": "Tue, 03 Nov 2026 10:00:00 GMT"}),
        ({"etag": None, "last_modified": None}, {"data": DATA + b"more"}),
        ({"etag": None}, {"data": DATA[:HEAD]}),
        ({"etag": 'W/"v1"'}, {"etag": 'W/"v2"', "default": Reply(ignore_range=True)}),
    ],
    ids=["etag", "weak etag", "last modified", "longer", "shorter", "without ranges"],
)
async def test_a_changed_file_is_an_error(
    server: RunningServer, before: dict[str, str | None], change: dict[str, object]
) -> None:
    """When another file lies there, the next range fails; bytes of the two are never mixed."""
    served = server.serve(CLIP, DATA, **before)
    async with HttpSource(server.url(CLIP)) as source:
        for name, value in change.items():
            setattr(served, name, value)
        with pytest.raises(SourceChangedError):
            await source.read_range(HEAD, HEAD + 10)


async def test_a_change_during_a_resumed_read_is_an_error(server: RunningServer) -> None:
    """A read that was cut and goes on in another file fails, also if the server knows no If-Match."""
    source = HttpSource(server.url(CLIP))
    async with source:
        server.script(CLIP, Reply(truncate_at=100), Reply(headers={"ETag": '"v2"'}))
        with pytest.raises(SourceChangedError):
            await source.read_range(HEAD, HEAD + 1000)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers={"Content-Range": None}),
        Reply(headers={"Content-Range": "nonsense"}),
        Reply(headers={"Content-Range": "bytes 0-9/300000"}),
        Reply(headers={"Content-Range": "bytes 65536-99999/300000"}),
        Reply(headers={"Content-Encoding": "gzip"}),
        Reply(ignore_range=True),
        Reply(status=204, body=b""),
        Reply(status=416),
    ],
    ids=["no place", "no sense", "elsewhere", "too much", "encoded", "whole file", "no content", "refused"],
)
async def test_a_reply_that_is_not_the_range_is_an_error(server: RunningServer, reply: Reply) -> None:
    """Only a 206 that says it begins where it was asked to is believed."""
    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, reply)
        with pytest.raises(RangeNotSupportedError):
            await source.read_range(HEAD, HEAD + 10)


async def test_a_range_is_handed_over_as_it_comes(server: RunningServer) -> None:
    """What the server has sent is there before the rest is."""
    received, enough = bytearray(), asyncio.Event()

    def arrived(part: bytes) -> None:
        received.extend(part)
        if len(received) == 1000:
            enough.set()

    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, Reply(stall_at=1000))
        receiving = asyncio.create_task(source.receive_range(HEAD, HEAD + 5000, arrived))
        await asyncio.wait_for(enough.wait(), 20)
        assert not receiving.done()
        server.release()
        await receiving
    assert received == DATA[HEAD : HEAD + 5000]


async def test_encoded_bytes_are_refused_on_opening(server: RunningServer) -> None:
    """A server that compresses although identity was asked for is an error at once."""
    server.script(CLIP, Reply(ignore_range=True, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(RangeNotSupportedError, match="gzip"):
        await HttpSource(server.url(CLIP)).open()


async def test_a_server_may_send_ranges_in_parts(server: RunningServer) -> None:
    """A 206 with only the first part of the range is gone on from."""
    part = Reply(
        headers={"Content-Range": f"bytes {HEAD}-{HEAD + 9}/{len(DATA)}"}, body=DATA[HEAD : HEAD + 10]
    )
    async with HttpSource(server.url(CLIP), attempts=1) as source:
        server.script(CLIP, part)
        assert await source.read_range(HEAD, HEAD + 100) == DATA[HEAD : HEAD + 100]
    assert ranges(server)[1:] == [(HEAD, HEAD + 100), (HEAD + 10, HEAD + 100)]


async def test_a_body_longer_than_its_range_is_not_read_on(server: RunningServer) -> None:
    """Only the range is taken from a reply that goes on and on."""
    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, Reply(body=DATA[HEAD:], chunked=True, stall_at=100_000))
        assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]


@pytest.mark.usefixtures("without_waits")
async def test_a_cut_read_goes_on_where_it_was_cut(server: RunningServer) -> None:
    """After a short body only what is missing is asked for."""
    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, Reply(truncate_at=1000), Reply(reset_at=-1), Reply(truncate_at=50))
        assert await source.read_range(HEAD, HEAD + 5000) == DATA[HEAD : HEAD + 5000]
    starts = [byte_range[0] - HEAD for byte_range in ranges(server)[1:] if byte_range]
    assert starts == [0, 1000, 1000, 1050]


@pytest.mark.usefixtures("without_waits")
async def test_a_read_that_is_always_cut_is_short(server: RunningServer) -> None:
    """When no attempt brings everything, the error says what was missing."""
    server.script(CLIP, Reply(), *[Reply(truncate_at=10)] * 4)
    async with HttpSource(server.url(CLIP)) as source:
        with pytest.raises(ShortReadError) as caught:
            await source.read_range(HEAD, HEAD + 5000)
    assert caught.value.stop == HEAD + 5000
    assert len(server.requests) == 5


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (400, SourceAccessError, 1),
        (401, SourceAccessError, 1),
        (403, SourceAccessError, 1),
        (404, SourceNotFoundError, 1),
        (410, SourceNotFoundError, 1),
        (408, SourceUnavailableError, 3),
        (429, SourceUnavailableError, 3),
        (500, SourceUnavailableError, 3),
        (503, SourceUnavailableError, 3),
    ],
)
async def test_statuses(
    server: RunningServer, status: int, error: type[AsyncFramesError], requests: int
) -> None:
    """Each refusal has its name; only what may pass is tried again, and the status is in the text."""
    server.serve("/bad", DATA, default=Reply(status=status))
    with pytest.raises(error, match=str(status)):
        await HttpSource(server.url("/bad"), attempts=3).open()
    assert len(server.requests) == requests


@pytest.mark.usefixtures("without_waits")
async def test_a_passing_failure_is_not_seen(server: RunningServer) -> None:
    """A server that recovers within the attempts costs nobody an error."""
    server.script(CLIP, Reply(status=503), Reply(reset_at=-1), Reply(status=429))
    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, Reply(status=500), Reply(reset_at=20))
        assert await source.read_range(HEAD, HEAD + 100) == DATA[HEAD : HEAD + 100]


@pytest.mark.usefixtures("without_waits")
async def test_a_refused_connection_is_unavailable() -> None:
    """Nobody listens: the error is a ConnectionError too."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        source = HttpSource(f"http://127.0.0.1:{unused.getsockname()[1]}/clip.mp4", attempts=2)
        with pytest.raises(SourceUnavailableError) as caught:
            await source.open()
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.usefixtures("without_waits")
async def test_an_unknown_host_is_unavailable() -> None:
    """A name that no resolver knows is named as such."""
    with pytest.raises(SourceUnavailableError, match="host"):
        await HttpSource("http://no-such-host.invalid/clip.mp4", attempts=2).open()


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize("reply", [Reply(stall_at=100), Reply(delay_seconds=30)], ids=["body", "head"])
async def test_a_silent_server_times_out(server: RunningServer, reply: Reply) -> None:
    """No wait is longer than the timeout, in the head or in the body."""
    async with HttpSource(server.url(CLIP), read_timeout_seconds=0.1, attempts=2) as source:
        server.script(CLIP, reply, reply)
        with pytest.raises(SourceTimeoutError) as caught:
            await source.read_range(HEAD, HEAD + 1000)
    assert isinstance(caught.value, TimeoutError)
    assert len(server.requests) == 3


async def test_credentials_stay_with_their_origin(server: RunningServer, other: RunningServer) -> None:
    """Headers and auth go along a redirect within the origin, and to no other."""
    server.redirect("/elsewhere", other.url(CLIP))
    server.redirect("/here", CLIP)
    headers = {"x-api-key": "hush", "Cookie": "token=hush"}
    for path in ("/here", "/elsewhere"):
        async with HttpSource(server.url(path), headers=headers, auth=("user", "mystery")) as source:
            assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]
    sent = {"x-api-key": "hush", "cookie": "token=hush", "authorization": "Basic dXNlcjpteXN0ZXJ5"}
    for request in server.requests:
        assert sent.items() <= request.headers.items()
    assert len(other.requests) == 2
    for request in other.requests:
        assert sent.keys().isdisjoint(request.headers)


async def test_user_info_becomes_authorization(server: RunningServer) -> None:
    """A login in the URL is sent as Basic authorization and not shown."""
    url = server.url(CLIP, host="user:mystery@127.0.0.1")
    async with HttpSource(url) as source:
        assert source.name == server.url(CLIP)
    assert server.requests[0].headers["authorization"] == "Basic dXNlcjpteXN0ZXJ5"
    with pytest.raises(ValueError, match="Authorization"):
        HttpSource(url, headers={"authorization": "Bearer hush"})


async def test_a_signed_query_is_sent_as_it_was_written(server: RunningServer) -> None:
    """Quoting in the query is kept, since a signature may cover it."""
    async with HttpSource(server.url(CLIP + "?sig=a%2Fb%3D&x=%7E")):
        pass
    assert server.requests[0].target == CLIP + "?sig=a%2Fb%3D&x=%7E"


async def test_the_target_of_a_redirect_is_remembered_until_it_expires(
    server: RunningServer, other: RunningServer
) -> None:
    """Later ranges go straight to the target; when that refuses, the first address is asked again, once."""
    server.redirect(CLIP, other.url(CLIP))
    async with HttpSource(server.url(CLIP)) as source:
        await source.read_range(HEAD, HEAD + 10)
        assert len(server.requests) == 1
        other.script(CLIP, Reply(status=403))
        assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]
        assert len(server.requests) == 2
        other.script(CLIP, Reply(status=403), Reply(status=403))
        with pytest.raises(SourceAccessError):
            await source.read_range(HEAD, HEAD + 10)
    assert len(server.requests) == 3


@pytest.mark.parametrize("location", ["/loop", "file:///etc/passwd", "rtsp://127.0.0.1/x", "http://"])
async def test_bad_redirects_are_refused(server: RunningServer, location: str) -> None:
    """Redirects end after some, and lead to HTTP only."""
    server.redirect("/loop", location)
    with pytest.raises(SourceAccessError, match="redirect"):
        await HttpSource(server.url("/loop")).open()
    assert len(server.requests) <= 11


async def test_the_given_session_stays_open(server: RunningServer, other: RunningServer) -> None:
    """The caller's session is used, keeps its own credentials to the origin, and is not closed."""
    server.redirect("/elsewhere", other.url(CLIP))
    async with aiohttp.ClientSession(headers={"x-api-key": "hush"}) as session:
        async with HttpSource(server.url("/elsewhere"), session=session) as source:
            await source.read_range(HEAD, HEAD + 10)
        assert not session.closed
        async with session.get(server.url(CLIP)) as response:
            assert response.status == 200
    assert all(request.headers["x-api-key"] == "hush" for request in server.requests)
    assert all("x-api-key" not in request.headers for request in other.requests)
    with pytest.raises(ClosedError):
        await HttpSource(server.url(CLIP), session=session).open()


@pytest.mark.parametrize("reply", [Reply(ignore_range=True), Reply(ignore_range=True, chunked=True)])
async def test_a_server_without_ranges_is_read_once(
    server: RunningServer, reply: Reply, tmp_path: Path
) -> None:
    """Its body is spooled from the one request; any range can be read in any order; the file goes."""
    server.script(CLIP, reply)
    async with HttpSource(server.url(CLIP), spool_directory=tmp_path) as source:
        assert source.size in {None, len(DATA)}
        tail, head = await asyncio.gather(source.read_range(299_000, 300_000), source.read_range(0, 10))
        assert (tail, head) == (DATA[299_000:], DATA[:10])
    assert len(server.requests) == 1
    assert names_in(tmp_path) == []


async def test_spooled_bytes_are_readable_as_they_come(server: RunningServer) -> None:
    """What has come is read while the rest stalls; closing then ends the wait and leaves no task."""
    before = asyncio.all_tasks()
    server.script(CLIP, Reply(ignore_range=True, chunked=True, stall_at=100_000))
    source = HttpSource(server.url(CLIP))
    await source.open()
    assert await source.read_range(0, 100_000) == DATA[:100_000]
    assert source.size is None
    waiting = asyncio.create_task(source.read_range(100_000, 100_001))
    await asyncio.sleep(0)
    await source.aclose()
    with pytest.raises(ClosedError):
        await waiting
    assert asyncio.all_tasks() == before


async def test_closing_before_the_spool_fills_leaves_no_response(server: RunningServer) -> None:
    """Closing right after opening closes the one response; an unclosed one would warn when collected."""
    server.script(CLIP, Reply(ignore_range=True, stall_at=1000))
    source = HttpSource(server.url(CLIP))
    await source.open()
    await source.aclose()
    del source
    gc.collect()


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_spool_is_bounded(server: RunningServer, chunked: bool) -> None:
    """A body longer than allowed is an error, on opening where the length is told."""
    server.script(CLIP, Reply(ignore_range=True, chunked=chunked))
    source = HttpSource(server.url(CLIP), max_spool_bytes=len(DATA) - 1)
    with pytest.raises(SourceLimitError):
        async with source:
            await source.read_range(len(DATA) - 1, len(DATA))
    await source.aclose()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_cut_body_is_no_shorter_file(server: RunningServer, chunked: bool) -> None:
    """A spooled body that ends early is an error for what is missing, not the end of the file."""
    server.script(CLIP, Reply(ignore_range=True, chunked=chunked, truncate_at=1000))
    async with HttpSource(server.url(CLIP)) as source:
        with pytest.raises(ShortReadError):
            await source.read_range(990, 1010)


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize(
    "served",
    [
        Served(DATA, default=Reply(status=403)),
        Served(DATA, default=Reply(status=500)),
        Served(DATA, default=Reply(reset_at=-1)),
        Served(DATA, default=Reply(delay_seconds=30)),
        Served(DATA, default=Reply(truncate_at=10)),
        Served(DATA, default=Reply(headers={"Content-Range": "nonsense"})),
        Served(DATA, default=Reply(status=302, headers={"Location": "ftp://a:hush@b/?s=mystery"})),
        Served(DATA, default=Reply(status=302, headers={"Location": "http://127.0.0.1:1/?s=mystery"})),
    ],
    ids=["refused", "broken", "reset", "slow", "cut", "malformed", "redirected", "redirected to nobody"],
)
async def test_no_error_or_log_line_tells_a_secret(
    server: RunningServer, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the traceback with its causes nor a log record holds user info, query or headers."""
    caplog.set_level(logging.DEBUG)
    server.serve("/clip", b"")
    vars(server.serve("/clip", DATA)).update(vars(served))
    url = server.url("/clip?sig=hush", host="user:mystery@127.0.0.1")
    source = HttpSource(url, headers={"x-api-key": "open-sesame"}, read_timeout_seconds=0.1, attempts=2)
    with pytest.raises(AsyncFramesError) as caught:
        await source.open()
    told = "".join(traceback.format_exception(caught.value)) + repr(source)
    told += "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert not [secret for secret in SECRETS if secret in told]


async def test_a_connection_timeout_tells_no_secret() -> None:
    """The text that aiohttp has for it holds the whole URL; ours must not."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())
            source = HttpSource(
                f"http://127.0.0.1:{full.getsockname()[1]}/clip.mp4?sig=hush",
                connect_timeout_seconds=0.1,
                read_timeout_seconds=0.1,
                attempts=1,
            )
            with pytest.raises(SourceTimeoutError) as caught:
                await source.open()
    assert "hush" not in "".join(traceback.format_exception(caught.value))


async def test_cancelling_a_read_leaves_nothing(server: RunningServer) -> None:
    """A cancelled read raises CancelledError as it is, and the source goes on."""
    before = asyncio.all_tasks()
    async with HttpSource(server.url(CLIP)) as source:
        server.script(CLIP, Reply(stall_at=100))
        read = asyncio.create_task(source.read_range(HEAD, HEAD + 1000))
        await asyncio.to_thread(server.wait_for_requests, 2)
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        assert await source.read_range(HEAD, HEAD + 1000) == DATA[HEAD : HEAD + 1000]
    assert asyncio.all_tasks() == before


async def test_a_failed_opening_can_be_repeated(server: RunningServer) -> None:
    """An opening that failed holds nothing, and the next one tries again."""
    server.script(CLIP, Reply(status=404))
    source = HttpSource(server.url(CLIP))
    with pytest.raises(SourceNotFoundError):
        await source.open()
    await source.open()
    assert source.size == len(DATA)
    await source.aclose()


async def test_a_reader_closes_during_a_stalled_read(server: RunningServer) -> None:
    """Closing the byte reader over HTTP in the middle of a body returns and leaves no task."""
    before = asyncio.all_tasks()
    cached = CachedSource(HttpSource(server.url(CLIP)))
    await cached.open()
    server.script(CLIP, Reply(stall_at=10))
    read = asyncio.create_task(cached.read_range(HEAD, HEAD + 10))
    await asyncio.to_thread(server.wait_for_requests, 2)
    await cached.aclose()
    with pytest.raises(ClosedError):
        await read
    assert asyncio.all_tasks() == before
