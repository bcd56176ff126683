"""Servers that take for ever: each exchange ends by a deadline, by its rate, and by the number of replies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asyncframes.errors import (
    RangeNotSupportedError,
    ShortReadError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import HttpSource
from asyncframes.sources._http.pace import Pace, Rate
from asyncframes.sources._retries import Retries, may_pass
from asyncframes.supervisely import SuperviselyServer
from tests.support.servers.web import Reply, RunningServer, retries_at_once

pytestmark = pytest.mark.anyio

HEAD = 64 * 1024
DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))
CLIP = "/clip.mp4"


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve(CLIP, DATA)
    return server


@asynccontextmanager
async def raw_server(reply: bytes, forever: bytes = b"", *, every: float = 0.0) -> AsyncIterator[str]:
    """Answer any request with these bytes, then send some more until the other side has gone."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            while forever:
                writer.write(forever)
                await writer.drain()
                await asyncio.sleep(every)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/clip.mp4"


def clock() -> float:
    return asyncio.get_running_loop().time()


async def test_one_byte_a_reply_is_given_up(server: RunningServer) -> None:
    """A range is not put together of thousands of replies, and the error says what the server does."""
    server.serve(CLIP, DATA, default=Reply(most_bytes=1))
    async with HttpSource(server.url(CLIP)) as source:
        with pytest.raises(RangeNotSupportedError, match="parts of a few bytes"):
            await source.read_range(10, 20_000)
    assert len(server.requests) < 25


async def test_large_parts_may_be_many(server: RunningServer) -> None:
    """A server that answers every range with its first 8 KiB is put up with."""
    server.serve(CLIP, DATA, default=Reply(most_bytes=8192))
    async with HttpSource(server.url(CLIP)) as source:
        assert await source.read_range(HEAD, len(DATA)) == DATA[HEAD:]
    assert len(server.requests) > 20


@pytest.mark.parametrize("ignore_range", [False, True], ids=["range", "whole"])
async def test_a_trickle_is_given_up_by_its_rate(server: RunningServer, ignore_range: bool) -> None:
    """A server that is never silent and brings next to nothing is left long before the deadline."""
    trickle = Reply(trickle_seconds=0.02, ignore_range=ignore_range)
    server.script(CLIP, *[trickle] if ignore_range else [Reply(), trickle])
    async with HttpSource(server.url(CLIP), read_timeout_seconds=0.3, attempts=1) as source:
        with pytest.raises(SourceTimeoutError, match="min_bytes_per_second=1024"):
            await source.read_range(HEAD, HEAD + 10_000)


async def test_any_rate_can_be_accepted(server: RunningServer) -> None:
    """With 0 a trickle goes on as long as it is not silent."""
    async with HttpSource(server.url(CLIP), read_timeout_seconds=0.1, min_bytes_per_second=0) as source:
        server.script(CLIP, Reply(trickle_seconds=0.01))
        assert await source.read_range(HEAD, HEAD + 40) == DATA[HEAD : HEAD + 40]


async def test_a_slow_receiver_is_not_the_servers_fault() -> None:
    """Only the time spent waiting for the server counts against it."""

    async def part() -> bytes:
        return b"12345"

    pace = Pace(Rate(min_bytes_per_second=1000, window_seconds=0.05), name="a")
    for _ in range(5):
        assert await pace.next(part()) == b"12345"
        await asyncio.sleep(0.03)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(b"", id="chunked"),
        pytest.param(b"Content-Length: 9000000000000000\r\n", id="long", marks=pytest.mark.slow),
    ],
)
async def test_a_body_that_never_ends_meets_the_deadline(size: bytes) -> None:
    """A 200 without an end is read up to what is asked for, and no longer than a range may take."""
    head = b"HTTP/1.1 200 OK\r\n" + size + b"\r\n"
    async with (
        raw_server(head, bytes(4096), every=0.01) as url,
        HttpSource(url, range_timeout_seconds=1.0, max_spool_bytes=2**60) as source,
    ):
        assert await source.read_range(0, 10_000) == bytes(10_000)
        with pytest.raises(SourceTimeoutError):
            await source.read_range(10**12, 10**12 + 10)


async def test_a_spool_that_never_ends_meets_its_own_deadline() -> None:
    """Nobody waits for bytes for longer than the whole file may take."""
    async with (
        raw_server(b"HTTP/1.1 200 OK\r\n\r\n", bytes(4096), every=0.01) as url,
        HttpSource(url, spool_timeout_seconds=0.5) as source,
    ):
        with pytest.raises(SourceTimeoutError, match=r"spool_timeout_seconds=0\.5"):
            await source.read_range(10**9, 10**9 + 10)


@pytest.mark.parametrize(
    ("reply", "forever"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 206 Partial Content\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 206 Partial Content\r\nx: ", b"y"),
        (b"HTTP/1.1 206 Partial", b" "),
    ],
    ids=["continue", "headers", "header", "status"],
)
async def test_a_head_that_never_ends_meets_the_deadline(reply: bytes, forever: bytes) -> None:
    """Headers without an end are an error of ours too."""
    async with raw_server(reply, forever, every=0.001) as url:
        began = clock()
        with pytest.raises(SourceError):
            await HttpSource(url, range_timeout_seconds=0.4, attempts=2).open()
        assert clock() - began < 20


async def test_retry_after_is_honoured(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    """The wait before the next attempt is what the server asked for."""
    server.script(CLIP, Reply(status=503, headers={"Retry-After": "0"}))
    async with HttpSource(server.url(CLIP)):
        pass
    assert "starts in 0.0 s" in caplog.text


@pytest.mark.parametrize("asked", ["100000", "31", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_long_retry_after_is_not_waited_for(server: RunningServer, asked: str) -> None:
    """A server that asks for more time than it is given is not asked again; the error holds the time."""
    server.serve(CLIP, DATA, default=Reply(status=503, headers={"Retry-After": asked}))
    began = clock()
    with pytest.raises(SourceUnavailableError, match="503") as caught, retries_at_once():
        await HttpSource(server.url(CLIP)).open()
    assert clock() - began < 20
    if len(asked) < 400:  # no number of seconds that anybody would mean
        assert len(server.requests) == 1
        assert (caught.value.retry_after_seconds or 0) > 30
        assert "asks for a retry in" in str(caught.value)


async def test_no_wait_reaches_past_the_deadline(server: RunningServer) -> None:
    """Where the time of a range is over before the next attempt could begin, the error comes at once."""
    server.serve(CLIP, DATA, default=Reply(status=503, headers={"Retry-After": "25"}))
    began = clock()
    with pytest.raises(SourceUnavailableError, match="503"):
        await HttpSource(server.url(CLIP), range_timeout_seconds=20).open()
    assert clock() - began < 15


def test_what_may_pass() -> None:
    """What the network and the server do is tried again, what the address is never."""
    assert may_pass(SourceUnavailableError("busy"))
    assert may_pass(SourceTimeoutError("slow"))
    assert may_pass(ShortReadError("cut"))
    assert not may_pass(SourceNotFoundError("gone"))
    with pytest.raises(ValueError, match="attempts=0"):
        Retries(attempts=0, max_retry_after_seconds=1, name="a")


async def test_retries_are_logged(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    """Each one with the source's name, the attempt, the reason and the wait, and without a secret."""
    caplog.set_level(logging.DEBUG)
    server.script(CLIP, Reply(status=503), Reply(truncate_at=10))
    url = server.url(CLIP + "?signature=hush", host="user:mystery@127.0.0.1")
    with retries_at_once():
        async with HttpSource(url, headers={"x-api-key": "open-sesame"}, attempts=5):
            pass
    records = [record for record in caplog.records if record.name == "asyncframes"]
    texts = [record.getMessage() for record in records]
    assert [record.levelname for record in records] == ["WARNING", "WARNING"]
    assert texts[0] == (
        f"{server.url(CLIP)}: attempt 1 of 5 failed: the server answered 503; "
        "the next attempt starts in 0.0 s"
    )
    assert vars(records[0]).items() >= {"attempt": 1, "wait_seconds": 0.0, "source": server.url(CLIP)}.items()
    assert "attempt 2 of 5 failed: bytes 0-65536 were requested, but only 10 arrived" in texts[1]
    told = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert not [secret for secret in ("hush", "mystery", "open-sesame") if secret in told]
    assert not [record for record in caplog.records if record.name == "stamina"]


async def test_the_look_up_of_a_video_is_retried_in_the_log(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The question about a video is tried again as its bytes are, and not after a long wait asked for."""
    path = "/public/api/v3/videos.info"
    server.serve(path, b"{}")
    server.script(path, Reply(status=503))
    with retries_at_once():
        await SuperviselyServer(server.url(""), "tok3n").video_info(1)
    assert "attempt 1 of 4 failed: the server answered 503" in caplog.text
    server.script(path, Reply(status=503, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceUnavailableError):
        await SuperviselyServer(server.url(""), "tok3n").video_info(1)
    assert "tok3n" not in caplog.text
