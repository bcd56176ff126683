"""A file on an HTTP server, read by range, or spooled if the server has no ranges."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from asyncframes._model.quoting import quoted
from asyncframes._model.ranges import Arrivals, ContentRange, exactly
from asyncframes._policy.hosts import PUBLIC, Hosts
from asyncframes._policy.policy import Policy
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.tasks import begin
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    RangeNotSupportedError,
    SourceTimeoutError,
)
from asyncframes.sources._http.client import HttpClient
from asyncframes.sources._http.credentials import HeadersLike
from asyncframes.sources._http.pace import Pace, Parts, Rate
from asyncframes.sources._http.reach import Reach
from asyncframes.sources._http.reply import (
    Version,
    changed,
    check_place,
    check_whole,
    content_length,
    content_range,
)
from asyncframes.sources._http.sessions import ClientSessions, refuse_session
from asyncframes.sources._limits import ByteLimit, check_counts, check_seconds, within
from asyncframes.sources._retries import Retries
from asyncframes.sources._spool import Spool

T = TypeVar("T")

_HEAD_BYTES = 64 * 1024


class HttpSource(OneProcess, StreamSource):
    """A file on an HTTP server.

    All requests are GET requests, so addresses signed for GET work. The first reply pins
    the version of the file: if the file changes later, reads raise `SourceChangedError`
    and never mix versions. If the server ignores ranges, the whole file is spooled once
    to a temporary file.

    Parameters
    ----------
    url
        ``http`` or ``https``.
    session
        Used for all requests and never closed. By default the source makes a session
        when it is opened and closes it again.
    headers, auth, cookies
        Sent to the origin of `url`, and not to other origins after a redirect.
        `headers` may be a function that returns them, plain or asynchronous. It is
        called again for each retry, and once per request after a reply with status 401.
        `auth` is a login and a password, or `aiohttp.BasicAuth`.
    read_timeout_seconds, connect_timeout_seconds
        Longest silence of the server, and longest wait for a connection.
    range_timeout_seconds
        Longest time for one range: connections, retries, the waits between them, and
        the wait until a spooled file has arrived that far.
    min_bytes_per_second
        Lowest rate of a body, over each `read_timeout_seconds` spent waiting for it. A
        slower body counts as a timeout; 0 accepts any rate.
    attempts
        Most attempts for a request, including the first. Each retry is logged as a
        warning of the logger ``asyncframes``.
    max_retry_after_seconds
        Longest wait that a server may ask for with `Retry-After`. If it asks for more,
        the request fails; the error's `retry_after_seconds` holds the wait.
    max_spool_bytes
        Longest file to spool from a server without ranges.
    spool_timeout_seconds
        Longest time for such a file to arrive.
    spool_directory
        Directory of its temporary file; ``None`` for the system's.
    trust_env
        Whether to use the proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY``, …).
        A `session` decides for itself.
    allow_private
        ``False`` refuses connections to private, loopback, link-local and other
        addresses that are not public, whatever name or redirect leads there. Use it in
        services that open their users' addresses. The source then uses no proxy.

    Raises
    ------
    SourceAddressError
        `url` is not an http or https URL, or its host or port is invalid.
    ValueError
        A limit is out of range, or two options set the same credentials.
    """

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        headers: HeadersLike | None = None,
        auth: aiohttp.BasicAuth | tuple[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        read_timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 10.0,
        range_timeout_seconds: float = 120.0,
        min_bytes_per_second: float = 1024.0,
        attempts: int = 4,
        max_retry_after_seconds: float = 30.0,
        max_spool_bytes: int = 8 * 1024**3,
        spool_timeout_seconds: float = 1800.0,
        spool_directory: str | os.PathLike[str] | None = None,
        trust_env: bool = True,
        allow_private: bool = True,
    ) -> None:
        check_seconds(
            read_timeout_seconds=read_timeout_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            range_timeout_seconds=range_timeout_seconds,
            spool_timeout_seconds=spool_timeout_seconds,
        )
        check_counts(
            least=0,
            min_bytes_per_second=min_bytes_per_second,
            max_retry_after_seconds=max_retry_after_seconds,
            max_spool_bytes=max_spool_bytes,
        )
        reach = Reach(hosts=() if allow_private else (Hosts([PUBLIC]),))
        self._client = HttpClient(
            url,
            sessions=ClientSessions(session, trust_env=trust_env, reach=reach),
            headers=headers,
            auth=auth,
            cookies=cookies,
            timeout=aiohttp.ClientTimeout(
                total=None,
                # Includes the wait for a free connection of a busy session.
                connect=connect_timeout_seconds + read_timeout_seconds,
                sock_connect=connect_timeout_seconds,
                sock_read=read_timeout_seconds,
            ),
        )
        self._retries = Retries(
            attempts=attempts, max_retry_after_seconds=max_retry_after_seconds, name=self.name
        )
        self._range_timeout_seconds = range_timeout_seconds
        self._rate = Rate(min_bytes_per_second=min_bytes_per_second, window_seconds=read_timeout_seconds)
        self._spool_limit = ByteLimit(max_spool_bytes, "max_spool_bytes")
        self._spool_timeout_seconds = spool_timeout_seconds
        self._spool_directory = spool_directory
        self._version: Version | None = None
        self._size: int | None = None
        self._head = b""
        self._spool: Spool | None = None
        self._spooling: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"HttpSource({quoted(self.name)})"

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_session(self._arguments[1].get("session"), self, "pass headers=, auth= or cookies= instead")
        return super().__reduce__()

    @property
    def name(self) -> str:
        return self._client.name

    @property
    def _schemes(self) -> tuple[str, ...]:
        return (self._client.scheme,)

    def _limit(self, policy: Policy) -> None:
        self._client.narrow(policy)
        self._rate = self._rate.limited_by(policy)
        self._spool_limit = self._spool_limit.limited_by(policy)

    @property
    def size(self) -> int | None:
        if self._size is None and self._spool is not None:
            return self._spool.size
        return self._size

    @property
    def validator(self) -> str | None:
        return None if self._version is None else self._version.text

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if self._version is not None:
                return
            try:
                await self._in_time(lambda deadline: self._retrying(self._probe, deadline))
            except BaseException:
                await self._client.close_session()
                raise

    async def read_range(self, start: int, stop: int) -> bytes:
        received = bytearray()
        await self.receive_range(start, stop, received.extend)
        return bytes(received)

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        await self.prepare_range(start, stop)
        if self._spool is not None:
            spool = self._spool
            arrived(await self._in_time(lambda _: self._read_spool(spool, start, stop)))
        elif stop <= len(self._head):
            arrived(self._head[start:stop])
        else:
            arrivals = Arrivals(start, arrived)
            await self._in_time(lambda deadline: self._receive_all(arrivals, stop, deadline))

    async def _receive_all(self, arrivals: Arrivals, stop: int, deadline: float) -> None:
        if head := self._head[arrivals.position :]:
            arrivals.add(head)
        parts = Parts(name=self.name)
        while (start := arrivals.position) < stop:
            if not await self._retrying(lambda: self._receive(arrivals, stop), deadline):
                break
            if arrivals.position < stop:
                parts.add(arrivals.position - start)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        self._closed = True
        if self._spooling is not None:
            self._spooling.cancel()
            await asyncio.wait([self._spooling])
        if self._spool is not None:
            await self._spool.aclose()
        self._head = b""
        await self._client.aclose()

    async def _in_time(self, exchange: Callable[[float], Awaitable[T]]) -> T:
        """Run an exchange within the time for one range. It gets the deadline on the loop's clock."""
        deadline = asyncio.get_running_loop().time() + self._range_timeout_seconds
        return await within(self._range_timeout_seconds, exchange(deadline), name=self.name)

    async def _retrying(self, exchange: Callable[[], Awaitable[T]], deadline: float) -> T:
        async def attempted(attempt: int) -> T:
            self.check_open()
            if attempt > 1:
                self._client.outdate_credentials()
            return await exchange()

        return await self._retries.run(attempted, deadline=deadline)

    def _pace(self) -> Pace:
        return Pace(self._rate, name=self.name)

    async def _probe(self) -> None:
        response = await self._client.get(_range_headers(0, _HEAD_BYTES))
        version = Version.of(response.headers)
        if response.status == 200:
            await self._start_spool(response)
        else:
            async with response:
                self._head = await self._first_bytes(response)
        self._version = version

    async def _first_bytes(self, response: aiohttp.ClientResponse) -> bytes:
        content = content_range(response.headers, name=self.name)
        received = bytearray()
        if response.status == 416 and not content.size:
            self._size = 0
            return b""
        stop = check_place(content, 0, _HEAD_BYTES, name=self.name)
        await self._client.read_body(response, Arrivals(0, received.extend), stop, self._pace())
        self._size = content.size
        return bytes(received)

    async def _receive(self, arrivals: Arrivals, stop: int) -> bool:
        """Request the bytes that have not arrived; tell whether the source has bytes there."""
        assert self._version is not None  # noqa: S101 - narrows for the type checker
        position = arrivals.position
        headers = _range_headers(position, stop) | self._version.conditions()
        async with await self._client.get(headers) as response:
            content = self._same_version(response, self._version)
            if response.status == 416:
                self._size = content.size
                return False
            place = check_place(content, position, stop, name=self.name)
            await self._client.read_body(response, arrivals, place, self._pace())
            self._size = content.size if self._size is None else self._size
            return True

    def _same_version(self, response: aiohttp.ClientResponse, version: Version) -> ContentRange:
        if Version.of(response.headers).differs_from(version):
            raise changed(self.name)
        if response.status == 200:
            raise RangeNotSupportedError(
                "the server sent ranges before, but now sends the whole file", source=self.name
            )
        content = content_range(response.headers, name=self.name)
        if content.size is not None and self._size not in {None, content.size}:
            raise changed(self.name)
        if response.status == 416 and self._size is not None:
            raise RangeNotSupportedError("the server refused a range inside the file", source=self.name)
        return content

    async def _start_spool(self, response: aiohttp.ClientResponse) -> None:
        spool = Spool(name=self.name, limit=self._spool_limit, directory=self._spool_directory)
        try:
            check_whole(response.headers, name=self.name)
            length = content_length(response.headers)
            what = f"the server does not support ranges, and the file's {length} bytes are more than"
            self._spool_limit.check(length, self.name, what)
            await spool.open()
            self.check_open()
        except BaseException:
            response.close()
            await spool.aclose()
            raise
        self._size = length
        self._spool = spool
        self._spooling = begin(self._fill(spool, response), "asyncframes spool")
        # A task that is cancelled before its first step never runs, so it cannot close the response itself.
        self._spooling.add_done_callback(lambda _: response.close())

    async def _fill(self, spool: Spool, response: aiohttp.ClientResponse) -> None:
        pace = self._pace()
        try:
            with self._client.errors():
                async with asyncio.timeout(self._spool_timeout_seconds) as deadline:
                    while part := await pace.next(response.content.readany()):
                        await spool.append(part)
        except Exception as exc:  # noqa: BLE001 - all reads raise it
            spool.fail(self._too_long() if deadline.expired() else exc)
        else:
            spool.finish()

    def _too_long(self) -> SourceTimeoutError:
        return SourceTimeoutError(
            "the server does not support ranges, and the file did not arrive within "
            f"spool_timeout_seconds={self._spool_timeout_seconds:g}",
            source=self.name,
        )

    async def _read_spool(self, spool: Spool, start: int, stop: int) -> bytes:
        data = await spool.read(start, stop)
        return data if self._size is None else exactly(data, start, stop, name=self.name)


def _range_headers(start: int, stop: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
