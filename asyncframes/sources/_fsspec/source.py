"""A file of one of fsspec's filesystems."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from asyncframes._model.quoting import quoted
from asyncframes._model.ranges import exactly
from asyncframes._runtime.life import OneProcess
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    ClosedError,
    MissingExtraError,
    RangeNotSupportedError,
    SourceAccessError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources._fsspec.readers import Reader, make_opener
from asyncframes.sources._limits import check_seconds, within
from asyncframes.sources._names import harmless_cause

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from fsspec.core import OpenFile

T = TypeVar("T")

_log = logging.getLogger("asyncframes")

# Letters alone, as a part of a chain, are a filesystem.
_ALONE = re.compile("[a-z]+")
_ALIASES = {"local": "file"}

_FINGERPRINTS = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "modified")


class FsspecSource(OneProcess, StreamSource):
    """A file of an fsspec filesystem.

    An asynchronous filesystem is read on the running event loop, several ranges at a
    time; any other in threads, through one open file. fsspec cannot pin a version of a
    file: `validator` describes the file at opening, and a file that is replaced later is
    noticed only by its length.

    Parameters
    ----------
    file
        A URL, which may be chained (``zip://a.mp4::sftp://host/b.zip``), a filesystem,
        or a file opened with `fsspec.open`.
    path
        Path of the file in the filesystem. Only for a filesystem.
    range_timeout_seconds
        Longest time for opening, or for one range. A call of a blocking filesystem that
        takes longer continues in its thread, but is not waited for.
    **storage_options
        Options of fsspec. Only for a URL.

    Raises
    ------
    MissingExtraError
        fsspec, or a package that it needs for this URL, is not installed.
    ValueError
        The arguments cannot be combined.
    """

    def __init__(
        self,
        file: str | AbstractFileSystem | OpenFile,
        path: str | None = None,
        *,
        range_timeout_seconds: float = 120.0,
        **storage_options: Any,
    ) -> None:
        import_fsspec()
        check_seconds(range_timeout_seconds=range_timeout_seconds)
        self._range_timeout_seconds = range_timeout_seconds
        self._opener = make_opener(file, path, storage_options)
        self._needed = _schemes_of(file)
        self._reader: Reader | None = None
        self._size: int | None = None
        self._validator: str | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"FsspecSource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return self._opener.name

    @property
    def _schemes(self) -> tuple[str, ...]:
        return self._needed

    @property
    def _checks_hosts(self) -> bool:
        return not {"http", "https"} & set(self._needed)

    @property
    def size(self) -> int | None:
        return self._size

    @property
    def validator(self) -> str | None:
        return self._validator

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if self._reader is not None:
                return
            reader = await self._calling(self._in_time(self._opener.open()))
            try:
                info = await self._calling(self._in_time(_info_of_file(reader)))
            except BaseException:
                await _closed(reader)
                raise
            size = info.get("size")
            self._size = size if isinstance(size, int) and size >= 0 else None
            found = [info[key] for key in _FINGERPRINTS if info.get(key)]
            self._validator = f"{found[0]}-{self._size}" if found else None
            self._reader = reader

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        if self._reader is None or self._closed:
            raise self._closed_error()
        if start == stop:
            return b""
        data = await self._calling(self._in_time(self._reader.read(start, stop)))
        if len(data) > stop - start:
            raise RangeNotSupportedError(
                f"bytes {start}-{stop} were requested, but {len(data)} arrived", source=self.name
            )
        return data if self._size is None else exactly(data, start, stop, name=self.name)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        async with self._opening:
            self._closed = True
            reader, self._reader = self._reader, None
            if reader is not None:
                await _closed(reader)

    async def _in_time(self, call: Awaitable[T]) -> T:
        return await within(self._range_timeout_seconds, call, name=self.name)

    async def _calling(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except (SourceError, ClosedError, MissingExtraError):
            raise
        except Exception as exc:  # noqa: BLE001 - filesystems raise anything
            cause = harmless_cause(exc)
            if self._closed:
                raise self._closed_error() from cause
            raise _as_source_error(exc, name=self.name) from cause

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"{self!r} is closed")


def import_fsspec() -> None:
    """Check that fsspec is installed.

    Raises
    ------
    MissingExtraError
        fsspec is not installed.
    """
    try:
        import fsspec  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(
            "FsspecSource needs fsspec: pip install 'asyncframes-video[fsspec]'", extra="fsspec"
        ) from exc


def is_fsspec_scheme(scheme: str) -> bool:
    """Return whether fsspec is installed and knows a scheme."""
    try:
        import fsspec
    except ImportError:
        return False
    return scheme in fsspec.available_protocols()


def schemes_of_chain(url: str) -> tuple[str, ...]:
    """Return the schemes of all parts of a URL, which may be chained; ``"file"`` for a path at its end."""
    return tuple(map(_scheme_of_part, url.split("::")))


def _scheme_of_part(part: str) -> str:
    scheme, separator, _ = part.partition("://")
    is_path = not separator and not _ALONE.fullmatch(part)
    return "file" if is_path else _ALIASES.get(scheme.lower(), scheme.lower())


def _schemes_of(file: Any) -> tuple[str, ...]:
    if isinstance(file, str):
        return schemes_of_chain(file)
    protocol = getattr(file, "fs", file).protocol
    scheme = protocol if isinstance(protocol, str) else protocol[0]
    return (_ALIASES.get(scheme, scheme),)


async def _closed(reader: Reader) -> None:
    """Close a reader. A failure is only logged: the bytes read so far are valid."""
    try:
        await reader.aclose()
    except Exception as exc:  # noqa: BLE001 - filesystems raise anything
        _log.warning("an fsspec file could not be closed: %s", type(exc).__name__)


async def _info_of_file(reader: Reader) -> Mapping[str, Any]:
    info = dict(await reader.info())
    if info.get("type") == "directory":
        raise IsADirectoryError
    return info


def _as_source_error(exc: Exception, *, name: str) -> SourceError:
    status = getattr(exc, "status", None)
    match exc:
        case FileNotFoundError() | NotADirectoryError():
            return SourceNotFoundError("there is no such file", source=name)
        case IsADirectoryError():
            return SourceAccessError("the path is a directory: expected a video file", source=name)
        case PermissionError():
            return SourceAccessError("permission to read the file was denied", source=name)
        case TimeoutError():
            return SourceTimeoutError("no bytes arrived within the time limit", source=name)
        case _ if status in {401, 403, 407}:
            return SourceAccessError(f"the server answered {status}", source=name)
        case _:
            reason = getattr(exc, "strerror", None) or type(exc).__name__
            return SourceUnavailableError(f"the filesystem failed: {reason}", source=name)
