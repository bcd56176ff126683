"""Header fields of hostile servers: whatever they hold, the outcome is the bytes or an error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from asyncframes.errors import (
    AsyncFramesError,
    RangeNotSupportedError,
    SourceAccessError,
    SourceAddressError,
    SourceError,
    SourceUnavailableError,
)
from asyncframes.sources import HttpSource
from asyncframes.sources._http.address import parse_url, redirected
from asyncframes.sources._http.reply import Version, content_length, content_range, parse_retry_after
from asyncframes.supervisely import SuperviselyServer, SuperviselySource
from tests.support.marks import grid
from tests.support.servers.web import Reply, RunningServer, retries_at_once

CLIP = "/clip.mp4"
DATA = bytes(200_000)
HUGE = "9" * 5000

NUMBERS = ["", "-1", "1e9", "0x10", "+5", " 7", "1 2", "٣", "²", str(2**63), str(2**64), "1" * 30, HUGE]
LOCATIONS = [
    "http://h:99999/",
    "http://h:-1/",
    "http://h:x/",
    "http://" + "a" * 64 + ".com/",
    "http://a..b/",
    "http://.../",
    "http://xn--/",
    "http://xn--a/",
    "http://xn--\xfc/",
    "http://[bad/",
    "http://[::1/",
    "//[x",
    "http://%00/",
    "http://a b/",
    "http://" + "a." * 200,
    "ftp://h/",
    "file:///etc/passwd",
    "data:,x",
    "javascript:1",
    "http:///x",
    "//h:99999",
    "http://" + "\xfc" * 70 + "/",
    "http://u:p@[x/",
    "http://1.2.3.4:0x50/",
]


@asynccontextmanager
async def raw_server(*replies: bytes) -> AsyncIterator[str]:
    """Send these bytes, in turn, as replies; the last one from then on."""
    turns = list(replies)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(turns.pop(0) if len(turns) > 1 else turns[0])
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}{CLIP}"


def reply(status: int, fields: bytes, body: bytes = b"1234") -> bytes:
    return b"HTTP/1.1 %d Status\r\n" % status + fields + b"\r\n\r\n" + body


async def outcome(url: str) -> AsyncFramesError | None:
    """Open and read; what is raised must be ours."""
    with retries_at_once():
        source = HttpSource(url, attempts=2, range_timeout_seconds=5, max_spool_bytes=10_000)
        try:
            async with source:
                await source.read_range(0, 1)
        except AsyncFramesError as exc:
            return exc
        finally:
            await source.aclose()
    return None


FIELDS = [
    b"Content-Length",
    b"Content-Range",
    b"Retry-After",
    b"Location",
    b"ETag",
    b"Last-Modified",
    b"Content-Encoding",
    b"Transfer-Encoding",
    b"Set-Cookie",
    b"Content-Type",
    b"Connection",
    b"Date",
    b"WWW-Authenticate",
    b"Age",
]
VALUES = [
    b"",
    b"\xff\xfe",
    b'"\xe9"',
    b"-1",
    b"9" * 5000,
    b"bytes 0-%b/%b" % (b"9" * 5000, b"9" * 5000),
    b"bytes 0-3/%d" % 2**63,
    b"bytes 0-3/%d" % (2**63 - 1),
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Fri, 31 Dec 9999 23:59:59 -2359",
    b"a=b; domain=..; expires=Thu, 99 Foo 99999 99:99:99 GMT; max-age=9e9",
    b"http://h:99999/",
    b"http://xn--a/",
    b"//[",
    b"charset=\xff; boundary=",
    b"gzip, br, \x01",
    b"\x7f",
    b"%",
    b'"' * 300,
]

STATUSES = [200, 206, 302, 416, 503]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("field", "status"),
    grid(
        FIELDS, STATUSES, fast=lambda field, status: status == STATUSES[FIELDS.index(field) % len(STATUSES)]
    ),
)
async def test_any_value_of_any_field(status: int, field: bytes) -> None:
    """Each field with each impossible value, under each kind of status, is the bytes or a named error."""
    place = b"" if field == b"Content-Range" else b"Content-Range: bytes 0-3/4\r\n"
    length = b"" if field in {b"Content-Length", b"Transfer-Encoding"} else b"Content-Length: 4\r\n"
    for value in VALUES:
        async with raw_server(reply(status, place + length + field + b": " + value)) as url:
            error = await outcome(url)
        assert error is None or len(str(error)) < 600, value


@pytest.mark.anyio
@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n\r\n",
        b"\0" * 100,
        b"HTTP/9.9 206 x\r\n\r\n",
        b"HTTP/1.1 999999999 x\r\n\r\n",
        b"HTTP/1.1 -5 x\r\n\r\n",
        b"HTTP/1.1 206\r\n: x\r\n\r\n",
        b"HTTP/1.1 206 OK\r\n x\r\n\r\n",
        b"HTTP/1.1 206 OK\r\n" + b"a: b\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 206 OK\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_http(head: bytes) -> None:
    """A reply that is no reply is a named error."""
    async with raw_server(head) as url:
        assert isinstance(await outcome(url), SourceError)


REPLIES = [
    reply(206, b'Content-Range: bytes 0-99/100\r\nContent-Length: 100\r\nETag: "v1"', bytes(100)),
    reply(200, b"Content-Length: 100\r\nContent-Type: video/mp4", bytes(100)),
    reply(
        200, b"Transfer-Encoding: chunked\r\nSet-Cookie: a=b; domain=x", b"64\r\n%b\r\n0\r\n\r\n" % bytes(100)
    ),
    reply(302, b"Location: http://127.0.0.1:9/a/b?c=d#e\r\nContent-Length: 0", b""),
    reply(503, b"Retry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\nContent-Length: 0", b""),
    reply(416, b"Content-Range: bytes */0\r\nContent-Length: 0", b""),
]
PIECES = [
    b"\r\n",
    b"\0",
    b"\xff",
    b"9" * 30,
    b"-1",
    b"xn--",
    b"..",
    b"[",
    b"]",
    b"@",
    b":99999",
    b"%",
    b'"',
    b";",
    b"\t",
]


def mutated(original: bytes, chance: Random) -> bytes:
    """Flip, insert, drop and repeat some bytes."""
    data = bytearray(original)
    for _ in range(chance.randint(1, 6)):
        place, other = chance.randrange(len(data)), chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                data[place:place] = chance.choice(PIECES)
            case 2:
                data[place:place] = data[other : other + 20]
            case _:
                del data[place : min(place + chance.randint(1, 8), len(data) - 20)]
    return bytes(data)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(4))
async def test_mutated_replies(seed: int) -> None:
    """Replies that differ from good ones in some bytes."""
    chance = Random(seed)
    for original in REPLIES * 8:
        async with raw_server(mutated(original, chance)) as url:
            error = await outcome(url)
        assert error is None or len(str(error)) < 1000


@pytest.mark.anyio
@pytest.mark.parametrize("size", [str(2**63), "9" * 30, HUGE])
async def test_a_size_that_no_file_has(size: str) -> None:
    """The place of the body is not believed where the file would be longer than files can be."""
    fields = f"Content-Length: 4\r\nContent-Range: bytes 0-3/{size}".encode()
    async with raw_server(reply(206, fields)) as url:
        assert isinstance(await outcome(url), RangeNotSupportedError)


@pytest.mark.anyio
@pytest.mark.parametrize("location", LOCATIONS)
async def test_a_redirect_that_cannot_be_followed(location: str) -> None:
    """The port, the host or the scheme is impossible: the server's fault, and named as such."""
    async with raw_server(reply(302, b"Content-Length: 4\r\nLocation: " + location.encode())) as url:
        error = await outcome(url)
    assert isinstance(error, SourceAccessError)
    assert "redirects" in str(error)


@pytest.mark.anyio
async def test_a_redirect_of_raw_bytes_is_followed() -> None:
    """What is not UTF-8 in it is quoted byte by byte, as browsers do."""
    with RunningServer() as server:
        server.serve("/n%E9.mp4", DATA)
        async with raw_server(reply(302, f"Location: {server.url('')}/n".encode() + b"\xe9.mp4")) as url:
            assert await outcome(url) is None


@pytest.mark.anyio
@pytest.mark.parametrize("etag", ['"a\xe9"', '"' + "x" * 3000 + '"', '"a"b"', '"a\tb"'])
async def test_an_etag_that_cannot_be_sent_back(etag: str) -> None:
    """It pins the file by comparison alone."""
    with RunningServer() as server:
        server.serve(CLIP, DATA, etag=etag)
        async with HttpSource(server.url(CLIP)) as source:
            assert await source.read_range(100_000, 100_010) == bytes(10)
    assert "if-match" not in server.requests[1].headers


@pytest.mark.anyio
@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Thu, 32 Foo 2026",
        "1 Jan",
        "\xff",
        HUGE,
        "-5",
    ],
)
async def test_a_retry_after_that_is_no_time(date: str) -> None:
    """A year that no clock reaches changes nothing about the error."""
    fields = b"Content-Length: 4\r\nRetry-After: " + date.encode("latin-1")
    async with raw_server(reply(503, fields)) as url:
        assert isinstance(await outcome(url), SourceUnavailableError)


def test_retry_after() -> None:
    """Seconds and dates are read, a date that has passed is now."""
    later = datetime.now(UTC) + timedelta(hours=1)
    assert parse_retry_after("7") == 7
    assert 3500 < (parse_retry_after(format_datetime(later, usegmt=True)) or 0) <= 3600
    assert parse_retry_after("Mon, 01 Jan 0001 00:00:00 GMT") == 0
    assert parse_retry_after("soon") is None
    assert parse_retry_after(None) is None


@given(st.text() | st.sampled_from(NUMBERS) | st.from_regex(r"bytes [0-9]+-[0-9]+/[0-9]+"))
def test_parsers_raise_our_errors_alone(text: str) -> None:
    """Any text at all in any field that is read."""
    with suppress(RangeNotSupportedError):
        place = content_range({"Content-Range": text}, name="a")
        assert all(value is None or 0 <= value < 2**63 for value in (place.start, place.stop, place.size))
    length = content_length({"Content-Length": text})
    assert length is None or 0 <= length < 2**63
    seconds = parse_retry_after(text)
    assert seconds is None or seconds >= 0
    Version(text, text).conditions()


@given(
    st.text()
    | st.sampled_from(LOCATIONS)
    | st.text(alphabet="htp:/[]@.%-0189axn\xfc\udcff?#").map("http:".__add__)
)
def test_addresses_are_usable_or_refused(text: str) -> None:
    """What passes has a host that can be looked up and a port, and the rest is one error."""
    with suppress(SourceAddressError):
        url = parse_url(text)
        assert url.host
        assert 0 <= (url.port or 0) <= 65535
    with suppress(SourceAccessError):
        assert redirected(URL("http://home/a?b"), text, name="a").host


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x?hush",
        "clip.mp4",
        "/a/b.mp4",
        "http://",
        "https:///x",
        "http://[bad/",
        "http://h:99999/",
        "http://a..b/",
        "http://xn--a/",
        "http://" + "a" * 64 + "/",
        "",
        "data:video/mp4;base64,AAAA",
    ],
)
async def test_other_addresses_are_refused(url: str) -> None:
    """What `HttpSource` cannot open is a named error that is a `ValueError` too, and tells no query."""
    with pytest.raises(SourceAddressError) as caught:
        HttpSource(url)
    assert isinstance(caught.value, ValueError)
    assert "hush" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"fullStorageUrl": "http://[bad"}',
        b"\xff\xfe",
        b"9" * 5000,
        b'{"fullStorageUrl": 5}',
        b"null",
    ],
    ids=["deep", "address", "bytes", "number", "type", "null"],
)
async def test_what_a_platform_says_of_a_video(body: bytes) -> None:
    """JSON of a hostile server is a named error."""
    with RunningServer() as server:
        server.serve("/public/api/v3/videos.info", body)
        with pytest.raises(AsyncFramesError):
            await SuperviselySource(SuperviselyServer(server.url(""), "tok3n"), 1).open()
        server.serve(
            "/public/api/v3/videos.info", b"", default=Reply(status=302, headers={"Location": "//["})
        )
        with pytest.raises(SourceAccessError, match="a malformed address"):
            await SuperviselyServer(server.url(""), "tok3n").video_info(1)


@pytest.mark.parametrize(
    "bounds",
    [
        {"range_timeout_seconds": 0},
        {"read_timeout_seconds": float("nan")},
        {"min_bytes_per_second": -1},
        {"max_retry_after_seconds": -1},
        {"attempts": 0},
        {"spool_timeout_seconds": 1e30},
        {"max_spool_bytes": -1},
    ],
)
def test_impossible_bounds_are_refused(bounds: dict[str, float]) -> None:
    """A bound that nothing can keep is a `ValueError` that names it."""
    with pytest.raises(ValueError, match=next(iter(bounds))):
        HttpSource("http://host/a.mp4", **bounds)  # type: ignore[arg-type]  # any of them
