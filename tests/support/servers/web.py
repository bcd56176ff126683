"""A loopback HTTP server that tells what it was asked and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from asyncframes.sources import _retries

_PIECE_BYTES = 16 * 1024
_OTHER_BYTES = bytes(range(255, -1, -1))
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "Range Not Satisfiable"}


@dataclass
class Request:
    """What the server was asked, and what it sent of the body so far."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    bytes_sent: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def byte_range(self) -> tuple[int, int] | None:
        """Half-open; ``None`` without a closed `Range`."""
        first, dash, last = self.headers.get("range", "").removeprefix("bytes=").partition("-")
        return (int(first), int(last) + 1) if dash and last else None

    @property
    def open_range_start(self) -> int | None:
        """Where a `Range` begins that has no end, as FFmpeg sends it."""
        first, dash, last = self.headers.get("range", "").removeprefix("bytes=").partition("-")
        return int(first) if dash and first and not last else None


@dataclass
class Reply:
    """How one request is answered; by default as a good server would.

    Attributes
    ----------
    status
        Instead of the right one; 400 and above come without the file.
    headers
        Put over the right ones; ``None`` takes one away.
    body
        Instead of the file.
    ignore_range
        Send the whole file with 200.
    chunked
        Send no `Content-Length`.
    delay_seconds
        Before the head.
    stall_at
        After so many bytes of the body, wait for `RunningServer.release`.
    truncate_at
        After so many bytes of the body, end the connection.
    reset_at
        After so many bytes of the body, reset the connection; -1 for before the head.
    garbled
        Send other bytes of the same length.
    trickle_seconds
        Between one byte of the body and the next.
    most_bytes
        Answer a range with so many of its first bytes.
    endless
        After the body, send zeros until the other side has gone.
    version
        Of the protocol; the connection of an HTTP/1.0 reply is closed after it.
    """

    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    ignore_range: bool = False
    chunked: bool = False
    delay_seconds: float = 0.0
    stall_at: int | None = None
    truncate_at: int | None = None
    reset_at: int | None = None
    garbled: bool = False
    trickle_seconds: float | None = None
    most_bytes: int | None = None
    endless: bool = False
    version: str = "HTTP/1.1"


@dataclass
class Served:
    """A file the server has.

    Attributes
    ----------
    hides_size
        Say ``*`` for the size in `Content-Range`.
    required
        Headers a request must carry, else 401.
    default
        How requests are answered that no script covers.
    """

    data: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = "Mon, 02 Nov 2026 10:00:00 GMT"
    content_type: str = "video/mp4"
    hides_size: bool = False
    required: dict[str, str] = field(default_factory=dict)
    default: Reply = field(default_factory=Reply)
    script: deque[Reply] = field(default_factory=deque)


class RunningServer:
    """The server, on a thread and a loop of its own; a context manager, plain and asynchronous.

    Attributes
    ----------
    requests
        Every request, in order of arrival.
    """

    port: int
    _loop: asyncio.AbstractEventLoop

    def __init__(self, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self.requests: list[Request] = []
        self._files: dict[str, Served] = {}
        self._ready = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="test-server")

    @property
    def bytes_sent(self) -> int:
        """Bytes of bodies, over all requests."""
        return sum(request.bytes_sent for request in self.requests)

    def url(self, path: str, *, host: str | None = None) -> str:
        own = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host or own}:{self.port}{path}"

    def serve(self, path: str, data: bytes, **facts: Any) -> Served:
        """Put a file at a path; returns it, to be changed at will."""
        served = self._files[path] = Served(data, **facts)
        return served

    def script(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for a path so; later ones by its default."""
        self._files[path].script.extend(replies)

    def redirect(self, path: str, location: str, *, status: int = 302) -> Served:
        """Send whoever asks for a path elsewhere."""
        return self.serve(path, b"", default=Reply(status=status, headers={"Location": location}, body=b""))

    def served(self, request: Request) -> Served | None:
        """Find what answers a request, ``None`` for 404."""
        return self._files.get(request.path)

    def release(self) -> None:
        """Let everything that stalls go on, and nothing stall again."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_for_requests(self, count: int) -> None:
        """Block until so many requests have come."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.requests) >= count, timeout=10)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *exc_info: Any) -> None:
        await asyncio.to_thread(self.__exit__, *exc_info)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._released = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(self._accepted, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        for listening in server.sockets:
            self._loop.remove_reader(listening)
        await _some_turns()  # a closed server could make no connection of what it has accepted
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # closing would wait for those who read no more
        await _some_turns()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = self._loop.create_task(self._connected(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may carry another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, target, headers, body)
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
        served = self.served(request)
        if served is None:
            served = Served(b"", default=Reply(status=404, body=b"nothing here"))
        reply = served.script.popleft() if served.script else served.default
        await asyncio.sleep(reply.delay_seconds)
        if reply.reset_at == -1:
            return _reset(writer)
        status, sent, payload = _compose(request, served, reply)
        writer.write(_head(status, sent, version=reply.version))
        goes_on = await self._send_body(request, reply, payload, writer)
        return goes_on and reply.version != "HTTP/1.0"

    async def _send_body(
        self, request: Request, reply: Reply, body: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        if request.method == "HEAD":
            return True
        cuts = {cut for cut in (reply.stall_at, reply.truncate_at, reply.reset_at) if cut is not None}
        piece_bytes = _PIECE_BYTES if reply.trickle_seconds is None else 1
        edges = sorted(
            {*range(0, len(body), piece_bytes), len(body), *(cut for cut in cuts if cut < len(body))}
        )
        position = 0
        for edge in edges:
            piece, position = body[position:edge], edge
            await self._send_piece(request, reply, piece, writer)
            if reply.trickle_seconds is not None:
                await asyncio.sleep(reply.trickle_seconds)
            if edge == reply.stall_at:
                await self._released.wait()
            if edge == reply.truncate_at:
                return False
            if edge == reply.reset_at:
                await asyncio.sleep(0.02)  # what was sent should arrive before the reset does
                return _reset(writer)
        while reply.endless:
            await self._send_piece(request, reply, bytes(_PIECE_BYTES), writer)
            await asyncio.sleep(0.001)
        if reply.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _send_piece(
        self, request: Request, reply: Reply, piece: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if not piece:
            return
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece)
        await writer.drain()
        request.bytes_sent += len(piece)


def _compose(request: Request, served: Served, reply: Reply) -> tuple[int, dict[str, str], bytes]:
    status, sent, body = _right_answer(request, served, reply)
    if reply.status is not None:
        status = reply.status
        body = b"" if status >= 400 else body
    if reply.body is not None:
        body = reply.body
    if reply.garbled:
        body = body.translate(_OTHER_BYTES)
    if reply.chunked:
        sent["Transfer-Encoding"] = "chunked"
    else:
        sent["Content-Length"] = str(len(body))
    for name, value in reply.headers.items():
        sent.pop(name, None)
        if value is not None:
            sent[name] = value
    return status, sent, body


def _right_answer(request: Request, served: Served, reply: Reply) -> tuple[int, dict[str, str], bytes]:
    facts = {"Content-Type": served.content_type, "ETag": served.etag, "Last-Modified": served.last_modified}
    sent = {name: value for name, value in facts.items() if value is not None}
    if any(request.headers.get(name.lower()) != value for name, value in served.required.items()):
        return 401, {}, b""
    if request.headers.get("if-match", served.etag) != served.etag:
        return 412, sent, b""
    size = len(served.data)
    total = "*" if served.hides_size else size
    start, stop = request.byte_range or (request.open_range_start, size)
    if reply.ignore_range or start is None:
        return 200, sent, served.data
    if start >= size:
        return 416, sent | {"Content-Range": f"bytes */{total}"}, b""
    stop = min(stop, size if reply.most_bytes is None else start + reply.most_bytes, size)
    return 206, sent | {"Content-Range": f"bytes {start}-{stop - 1}/{total}"}, served.data[start:stop]


def _head(status: int, headers: Mapping[str, str], *, version: str) -> bytes:
    lines = [f"{version} {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> bool:
    peer: socket.socket = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _some_turns() -> None:
    """Let the loop do what it has begun."""
    for _ in range(5):
        await asyncio.sleep(0)


@contextlib.contextmanager
def retries_at_once() -> Iterator[None]:
    """Try again without a wait, unless the server asks for one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_retries, "backoff_seconds", lambda attempt: 0.0)
        yield
