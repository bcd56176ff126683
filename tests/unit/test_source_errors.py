"""What lies below a source may raise anything; what comes out of the source is ours."""

from __future__ import annotations

import asyncio
import io
import threading
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    RangeNotSupportedError,
    SourceAddressError,
    SourceError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import (
    CachedSource,
    FileObjectSource,
    ForwardSource,
    FsspecSource,
    HttpSource,
    LocalSource,
    MemorySource,
    ObjectStoreSource,
    resolve_source,
)
from tests.support.servers.s3 import ACCESS
from tests.support.servers.web import Reply, RunningServer

pytestmark = pytest.mark.anyio

FOREIGN = [
    ValueError("no"),
    TypeError("no"),
    OverflowError("no"),
    IndexError("no"),
    zlib.error("no"),
    EOFError("no"),
    RuntimeError("https://user:hush@host/?sig=hush"),
    OSError(5, "no"),
    MemoryError("no"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
]


class BrokenFile(io.BytesIO):
    """A file whose reads fail as they are told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"1234")
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        raise self._error


class BrokenFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Knows one file, and fails to read it."""

    protocol = "broken"
    cachable = False
    error: Exception = ValueError()
    size: Any = 4

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self.size, "type": "file"}

    def _open(self, *_: Any, **__: Any) -> Any:
        return BrokenFile(self.error)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_a_file_object_that_fails(error: Exception) -> None:
    """The object is the caller's, the error is ours, and it tells no address."""
    async with FileObjectSource(BrokenFile(error)) as source:
        with pytest.raises(AsyncFramesError) as caught:
            await source.read_range(0, 4)
    assert "hush" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_a_filesystem_that_fails(error: Exception) -> None:
    """The same of what fsspec opens."""
    filesystem = BrokenFileSystem()
    filesystem.error = error
    async with FsspecSource(filesystem, "/a") as source:
        with pytest.raises(AsyncFramesError) as caught:
            await source.read_range(0, 4)
    assert "hush" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "error", [*FOREIGN, asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
async def test_a_sender_that_fails(error: BaseException) -> None:
    """A stream that breaks off is never taken for one that ended, however it breaks off."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"1234"
        raise error

    async with ForwardSource(upload()) as source:
        assert await source.read_range(0, 4) == b"1234"
        for _ in range(2):
            with pytest.raises((AsyncFramesError, TypeError)):
                await source.read_range(0, 5)


async def test_a_sender_that_fails_on_closing(caplog: pytest.LogCaptureFixture) -> None:
    """Its own clean-up is its own affair, and said in the log."""

    async def upload() -> AsyncIterator[bytes]:
        try:
            yield b"1234"
            yield b"5678"
        finally:
            raise RuntimeError("https://user:hush@host/")

    async with ForwardSource(upload()) as source:
        assert await source.read_range(0, 4) == b"1234"
    assert "could not be closed: RuntimeError" in caplog.text
    assert "hush" not in caplog.text
    with pytest.raises(ClosedError):
        await source.open()


@pytest.mark.parametrize("piece", [5, "text", None, [1, 2]])
async def test_a_sender_of_something_else(piece: Any) -> None:
    """What is no bytes is a wrong type, and named."""

    async def upload() -> AsyncIterator[Any]:
        yield piece

    async with ForwardSource(upload()) as source:
        with pytest.raises(TypeError, match="expected bytes"):
            await source.read_range(0, 5)


async def test_a_file_object_that_gives_too_much() -> None:
    """A read that brings more than it was asked for is not trusted."""

    class Generous(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b"123456789"

    async with FileObjectSource(Generous(b"1234")) as source:
        with pytest.raises(SourceError):
            await source.read_range(0, 4)


@pytest.mark.parametrize("size", [None, "4", -1, 4.0])
async def test_a_filesystem_that_does_not_know_the_size(size: Any) -> None:
    """A size that is no number of bytes is none; an open file tells its own."""
    filesystem = BrokenFileSystem()
    filesystem.size = size
    async with FsspecSource(filesystem, "/a") as source:
        assert source.size == 4


@pytest.mark.parametrize("url", ["nope://host/a.mp4", "nope" * 500 + "://x"])
async def test_a_protocol_that_fsspec_does_not_know(url: str) -> None:
    """It is an address that cannot be opened, and the text is short."""
    with pytest.raises(SourceAddressError, match="fsspec does not know nope") as caught:
        await FsspecSource(url).open()
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400


async def test_ftp_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme that nothing installed opens is a named error that is a `ValueError` too."""
    monkeypatch.setattr("asyncframes.sources._registry.is_fsspec_scheme", lambda scheme: False)
    with pytest.raises(SourceAddressError, match="no source opens ftp:// URLs"):
        resolve_source("ftp://user:hush@host/a.mp4")


@pytest.mark.parametrize("data", [5, "text", None, [1]])
async def test_memory_takes_bytes_alone(data: Any) -> None:
    """A number is not a number of zeros."""
    with pytest.raises(TypeError, match="expected bytes, bytearray or memoryview"):
        MemorySource(data)


@pytest.mark.parametrize("given", [io.BytesIO(b"1234"), "file"])
async def test_a_file_that_is_closed_already(given: Any, tmp_path: Path) -> None:
    """A closed file object is refused by name when it is given, not when it is read."""
    if given == "file":
        (tmp_path / "a").write_bytes(b"1234")
        given = (tmp_path / "a").open("rb")
    given.close()
    with pytest.raises(ClosedError):
        resolve_source(given)
    with fsspec.open(f"file://{tmp_path}/b", "wb") as file:
        file.write(b"1")
    async with LocalSource(tmp_path / "b") as source:
        assert source.size == 1


async def test_an_object_that_never_ends() -> None:
    """Of a body that is longer than its range no more is kept than that, and it is an error."""
    with RunningServer() as server:
        data = bytes(300_000)
        server.serve("/bucket/a.mp4", data)
        async with ObjectStoreSource("s3://bucket/a.mp4", endpoint=server.url(""), **ACCESS) as source:
            head = {"Content-Range": "bytes 100000-100009/300000"}
            server.script("/bucket/a.mp4", Reply(headers=head, body=bytes(4 * 10**7)))
            with pytest.raises(RangeNotSupportedError):
                await source.read_range(100_000, 100_010)
            assert await source.read_range(100_000, 100_010) == bytes(10)
    assert server.bytes_sent < 2 * 10**7


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-9/99999999999999999999999999"},
        {"Content-Range": "bytes 0-9/9223372036854775808"},
        {"Content-Range": "bytes 0-9/-1"},
        {"Last-Modified": "Fri, 31 Dec 99999 23:59:59 GMT"},
        {"Last-Modified": "\xff"},
        {"ETag": "\xff"},
        {"Content-Length": "99999999999999999999"},
    ],
)
async def test_hostile_fields_of_an_object_store(headers: dict[str, str]) -> None:
    """Whatever a store says of an object, what comes is its bytes or an error of ours."""
    with RunningServer() as server:
        server.serve("/bucket/a.mp4", bytes(10), default=Reply(headers=headers))
        source = ObjectStoreSource("s3://bucket/a.mp4", endpoint=server.url(""), attempts=1, **ACCESS)
        with suppress(AsyncFramesError):
            async with source:
                assert await source.read_range(0, 10) == bytes(10)
        await source.aclose()


async def test_a_cache_over_what_has_no_known_end() -> None:
    """A range that reaches to the end of the numbers takes as many blocks as there are bytes."""
    with RunningServer() as server:
        server.serve("/a.mp4", bytes(300_000), hides_size=True)
        async with CachedSource(HttpSource(server.url("/a.mp4"))) as source:
            assert await source.read_range(0, 2**64) == bytes(300_000)
    assert len(server.requests) < 20


async def test_unavailable_is_a_connection_error() -> None:
    """Those who know none of our errors catch a broken stream by its builtin base."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"1234"
        raise asyncio.CancelledError

    async with ForwardSource(upload()) as source:
        with pytest.raises(ConnectionError) as caught:
            await source.read_range(0, 5)
    assert isinstance(caught.value, SourceUnavailableError)


class StuckFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Opens or reads for as long as it is told to."""

    protocol = "stuck"
    cachable = False

    def __init__(self, *, opens: bool) -> None:
        super().__init__()
        self.opens = opens
        self.free = threading.Event()
        self.closed = threading.Event()

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": 4, "type": "file"}

    def _open(self, *_: Any, **__: Any) -> Any:
        if not self.opens:
            self.free.wait(20)
        filesystem = self

        class File(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                filesystem.free.wait(20)
                return super().read(size)

            def close(self) -> None:
                super().close()
                filesystem.closed.set()

        return File(b"1234")


@pytest.mark.parametrize("opens", [False, True])
async def test_a_filesystem_that_hangs(opens: bool) -> None:
    """Nobody waits for it longer than a range may take, and the file is closed in the end."""
    filesystem = StuckFileSystem(opens=opens)
    source = FsspecSource(filesystem, "/a", range_timeout_seconds=0.2)
    try:
        with pytest.raises(SourceTimeoutError, match=r"0\.2 s"):
            await source.read_range(0, 4)
        async with asyncio.timeout(10):
            await source.aclose()
        assert not filesystem.closed.is_set()
    finally:
        filesystem.free.set()
    assert await asyncio.to_thread(filesystem.closed.wait, 10)


async def test_a_file_object_that_hangs() -> None:
    """Closing returns while a read hangs; the read closes the object when it comes to its end."""
    filesystem = StuckFileSystem(opens=True)
    source = FileObjectSource(filesystem.open("/a"), close=True)
    await source.open()
    read = asyncio.create_task(source.read_range(0, 4))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await source.aclose()
    assert not filesystem.closed.is_set()
    filesystem.free.set()
    with suppress(ClosedError):
        assert await read == b"1234"
    assert await asyncio.to_thread(filesystem.closed.wait, 10)
