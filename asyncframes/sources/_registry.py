"""From what a user names to the source it means."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import AsyncIterable, Callable
from importlib.metadata import entry_points
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from asyncframes._model.quoting import quoted, shortened
from asyncframes.abc import StreamSource
from asyncframes.errors import SourceAddressError
from asyncframes.sources._fileobj import FileObjectSource, can_seek
from asyncframes.sources._forward.arrival import ByteStream
from asyncframes.sources._forward.source import ForwardSource
from asyncframes.sources._fsspec.source import FsspecSource, is_fsspec_scheme
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._local import LocalSource
from asyncframes.sources._memory import MemorySource
from asyncframes.sources._object_store.source import ObjectStoreSource

SourceLike: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | ByteStream | StreamSource
)
"""Everything that `resolve_source` takes."""

SourceFactory: TypeAlias = Callable[[str], StreamSource]
"""Makes a source of a whole URL; does no I/O."""

_ENTRY_POINTS = "asyncframes.sources"
# Two letters at least: "C:" begins a path. "://" is asked for since a file may be called "a:b.mp4".
_CHAIN = re.compile(r"[a-z]{2,}::[^/]*://")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://|(file):", re.IGNORECASE)
_DATA_URL = re.compile(
    r"data:(?:[\w.+-]{1,80}/[\w.+-]{1,80})?(?:;[\w.+-]{1,80}(?:=[\w.+-]{0,80})?)*,", re.IGNORECASE
)


def resolve_source(source: SourceLike) -> StreamSource:
    """Make a source of whatever names one; a source is passed through.

    Parameters
    ----------
    source
        A URL, a path, bytes, a binary file object, an asynchronous iterable of
        bytes, an open fsspec file or a `StreamSource`.

    Raises
    ------
    TypeError
        It is none of these.
    SourceAddressError
        No source is known for the scheme of the URL, or the one that is cannot open this address.
    """
    match source:
        case StreamSource():
            return source
        case bytes() | bytearray() | memoryview():
            return MemorySource(source)
        case str():
            return _from_text(source)
        case os.PathLike():
            return LocalSource(source)
        case AsyncIterable():
            return ForwardSource(source)
        case _ if hasattr(source, "read"):
            return _from_file(source)
        case _ if hasattr(source, "fs") and hasattr(source, "path"):  # what fsspec.open gives
            return FsspecSource(source)
    raise TypeError(f"a {type(source).__name__} is not a URL, path, bytes, file object or StreamSource")


def register_scheme(scheme: str, factory: SourceFactory) -> None:
    """Have URLs of a scheme opened by a factory, from now on and before any other.

    Packages can do the same with an entry point in the group
    ``asyncframes.sources``, named as the scheme; it is loaded on first use.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        raise ValueError(f"not a URL scheme: {quoted(scheme)}")
    _factories[scheme.lower()] = factory


def _from_text(text: str) -> StreamSource:
    match = _URL.match(text)
    if match is None and _CHAIN.match(text):
        return FsspecSource(text)
    if match is None and _DATA_URL.match(text):
        raise SourceAddressError("a data: URL is not opened: decode it and pass its bytes")
    if match is None:
        return LocalSource(text)
    return _factory((match[1] or match[2]).lower())(text)


def _from_file(file: Any) -> StreamSource:
    if inspect.iscoroutinefunction(file.read) or not can_seek(file):
        return ForwardSource(file)
    return FileObjectSource(file)


def _factory(scheme: str) -> SourceFactory:
    if scheme in _factories:
        return _factories[scheme]
    offered = entry_points(group=_ENTRY_POINTS)
    if scheme in offered.names:
        _factories[scheme] = offered[scheme].load()
        return _factories[scheme]
    if is_fsspec_scheme(scheme):
        return FsspecSource
    known = ", ".join(sorted({*_factories, *offered.names}))
    raise SourceAddressError(
        f"no source is known for {shortened(scheme, longest=40)}:// "
        f"(known: {known}; more with fsspec installed)"
    )


def _from_file_url(url: str) -> StreamSource:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise SourceAddressError("the file: URL cannot be read") from exc
    if parts.netloc not in {"", "localhost"}:
        raise SourceAddressError("a file: URL that names another host cannot be opened")
    return LocalSource(url2pathname(parts.path))


_factories: dict[str, SourceFactory] = {
    "file": _from_file_url,
    "http": HttpSource,
    "https": HttpSource,
    "s3": ObjectStoreSource,
    "gs": ObjectStoreSource,
    "az": ObjectStoreSource,
}
