"""Ways to read a file through fsspec."""

from __future__ import annotations

import asyncio
import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast

from asyncframes._model.quoting import shortened
from asyncframes._runtime.threads import in_thread, reading_executor
from asyncframes.errors import MissingExtraError, SourceAddressError
from asyncframes.sources._files import PositionalFile, Seekable
from asyncframes.sources._names import public_name


class Reader(ABC):
    """An open file, with one way to read it."""

    @abstractmethod
    async def info(self) -> Mapping[str, Any]:
        """Return what fsspec knows of the file."""

    @abstractmethod
    async def read(self, start: int, stop: int) -> bytes:
        """Read a range. The result may be shorter."""

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to release
        """Release the file."""


class _Native(Reader):
    """Reads through an asynchronous filesystem on the running event loop."""

    def __init__(self, filesystem: Any, path: str, *, own: bool) -> None:
        self._filesystem = filesystem
        self._path = path
        self._own = own

    async def info(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", await self._filesystem._info(self._path))

    async def read(self, start: int, stop: int) -> bytes:
        try:
            return bytes(await self._filesystem._cat_file(self._path, start=start, end=stop))
        except Exception as exc:
            if getattr(exc, "status", None) == 416:
                return b""
            raise

    async def aclose(self) -> None:
        session = getattr(self._filesystem, "_session", None) if self._own else None
        if session is not None and inspect.iscoroutinefunction(getattr(session, "close", None)):
            await session.close()


class _Shared(Reader):
    """Reads through the blocking calls of an asynchronous filesystem, in several threads at once."""

    def __init__(self, filesystem: Any, path: str) -> None:
        self._filesystem = filesystem
        self._path = path

    async def info(self) -> Mapping[str, Any]:
        return cast(
            "Mapping[str, Any]", await in_thread(reading_executor(), self._filesystem.info, self._path)
        )

    async def read(self, start: int, stop: int) -> bytes:
        return bytes(
            await in_thread(reading_executor(), self._filesystem.cat_file, self._path, start=start, end=stop)
        )


class _OpenFile(Reader):
    """Reads one open file, one range at a time: a member of an archive is not unpacked for each range."""

    def __init__(self, filesystem: Any, path: str, file: Seekable) -> None:
        self._filesystem = filesystem
        self._path = path
        self._file = PositionalFile(file)

    async def info(self) -> Mapping[str, Any]:
        info = dict(await in_thread(reading_executor(), self._filesystem.info, self._path))
        return info | {"size": await in_thread(reading_executor(), self._file.size)}

    async def read(self, start: int, stop: int) -> bytes:
        return await in_thread(reading_executor(), self._file.read_at, start, stop)

    async def aclose(self) -> None:
        await in_thread(reading_executor(), self._file.leave)


class Opener(ABC):
    """Opens the file that the user named.

    Attributes
    ----------
    name
        Name of the file, without secrets.
    """

    name: str

    @abstractmethod
    async def open(self) -> Reader:
        """Open the file on the running event loop."""


class _UrlOpener(Opener):
    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.name = "::".join(public_name(part) for part in url.split("::"))
        self._url = url
        self._options = options

    async def open(self) -> Reader:
        import fsspec
        from fsspec.core import url_to_fs

        kind = await in_thread(reading_executor(), self._filesystem_class)
        if "::" in self._url or not kind.async_impl:
            filesystem, path = await in_thread(reading_executor(), url_to_fs, self._url, **self._options)
            return await _opened(filesystem, path)
        options = {**kind._get_kwargs_from_urls(self._url), **self._options}
        filesystem = fsspec.filesystem(
            fsspec.core.split_protocol(self._url)[0],
            **options,
            asynchronous=True,
            loop=asyncio.get_running_loop(),
            skip_instance_cache=True,
        )
        return _Native(filesystem, kind._strip_protocol(self._url), own=True)

    def _filesystem_class(self) -> Any:
        import fsspec

        protocol = self._url.partition("://")[0].partition("::")[0]
        try:
            return fsspec.get_filesystem_class(protocol)
        except ImportError as exc:
            raise MissingExtraError(
                f"fsspec cannot open {protocol}://: {shortened(str(exc))}", extra="fsspec"
            ) from exc
        except ValueError as exc:
            raise SourceAddressError(f"fsspec does not know {shortened(protocol, longest=40)}://") from exc


class _PathOpener(Opener):
    def __init__(self, filesystem: Any, path: str) -> None:
        self.name = public_name(path)
        self._filesystem = filesystem
        self._path = path

    async def open(self) -> Reader:
        return await _opened(self._filesystem, self._path)


def make_opener(file: Any, path: str | None, options: dict[str, Any]) -> Opener:
    """Choose the opener for the arguments of `FsspecSource`, without I/O.

    Raises
    ------
    ValueError
        The arguments cannot be combined.
    """
    if isinstance(file, str):
        if path is not None:
            raise ValueError(
                "path cannot be combined with a URL: expected a filesystem, or the path inside the URL"
            )
        return _UrlOpener(file, options)
    if options:
        raise ValueError(
            "storage options cannot be combined with a filesystem or an open file: expected a URL"
        )
    if path is not None:
        return _PathOpener(file, path)
    if not (hasattr(file, "fs") and hasattr(file, "path")):
        raise ValueError("path is missing: expected the path of a file in the filesystem")
    if getattr(file, "compression", None):
        raise ValueError("the open file decompresses its bytes: open it with compression=None")
    return _PathOpener(file.fs, file.path)


async def _opened(filesystem: Any, path: str) -> Reader:
    if filesystem.async_impl:
        if filesystem.asynchronous:
            return _Native(filesystem, path, own=False)
        return _Shared(filesystem, path)
    return _OpenFile(filesystem, path, await _open_file(filesystem, path))


async def _open_file(filesystem: Any, path: str) -> Seekable:
    """Open a file in a thread. If cancelled, the thread closes the file once it is open."""
    abandoned = threading.Event()

    def open_it() -> Seekable:
        # Without fsspec's own read-ahead: the cache over this source reads ahead.
        file: Seekable = filesystem.open(path, "rb", cache_type="none")
        if abandoned.is_set():
            file.close()
        return file

    try:
        return await in_thread(reading_executor(), open_it)
    except asyncio.CancelledError:
        abandoned.set()
        raise
