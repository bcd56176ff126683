"""Addresses that FFmpeg opens itself. Each further address in a playlist is checked first."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import av

from asyncframes._media.files.media_files import BridgeFile, MediaFile, wait_for
from asyncframes._model.quoting import shortened
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    SourceAccessError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources._cache.source import CachedSource
from asyncframes.sources._names import scheme_of

if TYPE_CHECKING:
    # Decoding processes import this module, and do without an HTTP client.
    from asyncframes.sources import FFmpegUrlSource

_CACHE_BYTES = 4 * 1024 * 1024
_DEMUXERS = "hls,dash,rtsp,rtp,sdp"

# FFmpeg's HLS and DASH demuxers expect a connection that is kept open to be one of FFmpeg's own. They abort
# the process if it is a file object.
_ONE_CONNECTION_EACH = {"http_persistent": "0", "http_multiple": "0"}


class UrlFile(MediaFile):
    """Everything behind an address: a playlist with its segments, or a live stream."""

    def __init__(self, source: FFmpegUrlSource, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(None, source.name)
        self._source = source
        self._loop = loop
        self._parts: dict[int, _Part] = {}
        self._opening: Future[_Part] | None = None
        self._aborted = False
        self._begun = 0.0

    def target(self) -> tuple[Any, dict[str, Any]]:
        source = self._source
        self._begun = time.monotonic()
        options = dict(source.options)
        how: dict[str, Any] = {"timeout": (source.open_timeout_seconds, source.read_timeout_seconds)}
        if source.over_http:
            options |= _ONE_CONNECTION_EACH
            how["io_open"] = self._open_part
        else:
            options["protocol_whitelist"] = ",".join(source.protocols)
        return source.url, {**how, "format": source.format, "options": options, "more_demuxers": _DEMUXERS}

    def translated(self, exc: Exception) -> AsyncFramesError | None:
        match exc:
            case av.ExitError() | TimeoutError():
                return SourceTimeoutError("no data arrived within the time allowed", source=self.source_name)
            case av.ProtocolNotFoundError() | av.ArgumentError():
                return SourceAccessError(
                    "FFmpeg refuses the address or an option: expected a protocol that protocols= allows",
                    source=self.source_name,
                )
            case av.HTTPNotFoundError() | FileNotFoundError():
                return SourceNotFoundError("there is no such stream", source=self.source_name)
            case PermissionError() | av.HTTPClientError():
                return SourceAccessError("the server refused the request", source=self.source_name)
            case ConnectionError() | BrokenPipeError() | av.HTTPServerError():
                return SourceUnavailableError("the connection failed or broke off", source=self.source_name)
            # FFmpeg's RTSP demuxer raises this when it is interrupted.
            case av.InvalidDataError() if time.monotonic() > self._begun + self._source.open_timeout_seconds:
                return SourceTimeoutError("no data arrived within the time allowed", source=self.source_name)
            case _:
                return None

    def _open_part(self, url: str, _flags: int, options: dict[str, str]) -> _Part:
        """Open a playlist or a segment. FFmpeg calls this in the decode thread."""
        try:
            if self._aborted:
                raise ClosedError(f"reading {shortened(self.source_name)} was cancelled")
            scheme = scheme_of(url)
            if scheme not in {"http", "https"} or scheme not in self._source.protocols:
                raise SourceAccessError(
                    f"it refers to {scheme or 'an address without a scheme'}, which is not among "
                    f"protocols={', '.join(self._source.protocols)}",
                    source=self.source_name,
                )
            part = self._wait_for_part(url, options)
        except BaseException as exc:
            self.note(exc)
            raise
        self._parts[id(part)] = part
        return part

    async def _opened(self, url: str, options: dict[str, str]) -> _Part:
        source = CachedSource(self._source.http(url), cache_bytes=_CACHE_BYTES)
        try:
            await source.open()
        except BaseException:
            await source.aclose()
            raise
        return _Part(self, source, self._loop, options)

    def _wait_for_part(self, url: str, options: dict[str, str]) -> _Part:
        opening = asyncio.run_coroutine_threadsafe(self._opened(url, options), self._loop)
        self._opening = opening
        # `abort` may have come between the check and the assignment.
        if self._aborted:
            opening.cancel()
        try:
            return wait_for(opening, self._source.open_timeout_seconds, self._loop, name=self.source_name)
        finally:
            self._opening = None

    @property
    def read_timeout_seconds(self) -> float:
        """Longest wait for the bytes of a part."""
        return self._source.read_timeout_seconds

    def note(self, exc: BaseException) -> None:
        """Keep the first error of any part, since FFmpeg continues without that part."""
        self.error: BaseException | None = self.error or exc

    def close_part(self, part: _Part) -> None:
        """Release a part that FFmpeg has closed."""
        if self._parts.pop(id(part), None) is not None:
            closing = asyncio.run_coroutine_threadsafe(part.aclose(), self._loop)
            wait_for(closing, self._source.open_timeout_seconds, self._loop, name=self.source_name)

    def _read_at(self, position: int, count: int) -> bytes:
        raise SourceError("an address is not read as a file: FFmpeg reads its parts", source=self.source_name)

    @property
    def is_sequential(self) -> bool:
        return True

    def may_wait(self) -> bool:
        return True

    def abort(self) -> None:
        self._aborted = True
        self.note(ClosedError(f"reading {shortened(self.source_name)} was cancelled"))
        if (opening := self._opening) is not None:
            opening.cancel()
        for part in list(self._parts.values()):
            part.abort()

    async def aclose(self) -> None:
        """Release all parts. Runs on the event loop, once no thread reads any more."""
        self._aborted = True
        while self._parts:
            await self._parts.popitem()[1].aclose()


class _Part(BridgeFile):
    """One playlist or segment."""

    def __init__(
        self,
        whole: UrlFile,
        source: CachedSource,
        loop: asyncio.AbstractEventLoop,
        options: dict[str, str],
    ) -> None:
        super().__init__(source, loop, whole.read_timeout_seconds)
        self._whole = whole
        self._cached = source
        # A segment may be a byte range of a file.
        if (end := int(options.get("end_offset", 0))) > 0:
            self.size: int | None = end if self.size is None else min(self.size, end)
        self.seek(int(options.get("offset", 0)))

    def read(self, count: int) -> bytes:
        try:
            return super().read(count)
        except BaseException as exc:
            self._whole.note(exc)
            raise

    def close(self) -> None:
        """Release the part. FFmpeg calls this."""
        self._whole.close_part(self)

    async def aclose(self) -> None:
        await super().aclose()
        await self._cached.aclose()
