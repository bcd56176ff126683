"""Chooses the source for what the user passes."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import AsyncIterable, Callable, Iterator
from importlib.metadata import entry_points
from mmap import mmap
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from asyncframes._model.quoting import a_kind, quoted_option, shortened
from asyncframes._policy.policy import Policy
from asyncframes.abc import StreamSource
from asyncframes.errors import SourceAddressError
from asyncframes.sources._admission import admit, admit_schemes
from asyncframes.sources._data_url import DataUrlSource, is_data_url
from asyncframes.sources._descriptor import from_descriptor
from asyncframes.sources._ffmpeg_url import FFMPEG_SCHEMES, FFmpegUrlSource
from asyncframes.sources._fileobj import FileObjectSource, can_seek
from asyncframes.sources._forward.arrival import ByteStream
from asyncframes.sources._forward.source import ForwardSource
from asyncframes.sources._fsspec.source import FsspecSource, is_fsspec_scheme, schemes_of_chain
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._local import LocalSource
from asyncframes.sources._memory import BytesLike, MemorySource, is_buffer
from asyncframes.sources._names import ParsedUrl, name_of, text_of
from asyncframes.sources._object_store.source import ObjectStoreSource

SourceLike: TypeAlias = (
    str
    | ParsedUrl
    | os.PathLike[str]
    | BytesLike
    | BinaryIO
    | mmap
    | int
    | ByteStream
    | StreamSource
    | FFmpegUrlSource
)
"""Everything that `resolve_source` accepts."""

SourceFactory: TypeAlias = Callable[[str], StreamSource | FFmpegUrlSource]
"""Makes a source from a whole URL, without I/O."""

_ENTRY_POINTS = "asyncframes.sources"
# A scheme has two letters or more, because "C:" starts a path. "://" is required, because "a:b.mp4" may be a
# file's name.
_CHAIN = re.compile(r"[a-z]{2,}::[^/]*://")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://|(file):", re.IGNORECASE)


def resolve_source(source: SourceLike) -> StreamSource | FFmpegUrlSource:
    """Make a source from anything that `open_video` accepts; a source is returned unchanged.

    Parameters
    ----------
    source
        A URL, parsed or not, a path, bytes or another buffer of bytes, a binary file
        object, an open file descriptor, an asynchronous iterable or an iterator of bytes,
        an open fsspec file, a `StreamSource` or an `FFmpegUrlSource`.

    Raises
    ------
    TypeError
        `source` is none of these.
    SourceAddressError
        No source type is registered for the scheme of the URL, or the address is invalid.
    """
    match source:
        case StreamSource() | FFmpegUrlSource():
            return source
        case bytes() | bytearray() | memoryview():
            return MemorySource(source)
        case int() if not isinstance(source, bool):
            return from_descriptor(source)
        case str():
            return _from_text(source)
        case os.PathLike():
            return LocalSource(source)
        case AsyncIterable():
            return ForwardSource(source)
        case _ if hasattr(source, "read"):
            return _from_file(source)
        case _ if hasattr(source, "fs") and hasattr(source, "path"):  # the result of fsspec.open
            return FsspecSource(source)
        case _ if is_buffer(source):
            return MemorySource(source)
        case Iterator():
            return ForwardSource(source)
        case _ if (text := text_of(source)) is not None:
            return _from_text(text)
    raise TypeError(f"source is {a_kind(source)}: expected a URL, path, bytes, binary file or StreamSource")


def admitted_source(source: SourceLike, policy: Policy) -> StreamSource | FFmpegUrlSource:
    """Make a source as `resolve_source` does, if a policy allows it.

    Raises
    ------
    TypeError, SourceAddressError
        As `resolve_source` does.
    PolicyAccessError
        The policy does not allow it. Nothing has been opened or looked up.
    ValueError
        The policy allows a scheme that no source opens.
    """
    for scheme in sorted(policy.schemes or ()):
        if not is_known_scheme(scheme):
            raise ValueError(f"schemes: no source opens {quoted_option(scheme)} addresses")
    if (text := text_of(source)) is not None:
        admit_schemes(schemes_of_text(text), policy.schemes, name=name_of(text))
    elif isinstance(source, int):
        admit_schemes(("file",), policy.schemes, name=name_of(source))
    made = resolve_source(source)
    admit(made, policy)
    return made


def register_scheme(scheme: str, factory: SourceFactory) -> None:
    """Open URLs of a scheme with a factory from now on, in place of any other.

    A package can do the same with an entry point in the group
    ``asyncframes.sources``, named after the scheme and loaded on first use.

    Parameters
    ----------
    scheme
        Scheme of the URLs, of two characters or more, in any case.
    factory
        Makes the source.

    Raises
    ------
    ValueError
        `scheme` cannot be the scheme of a URL.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        raise ValueError(
            f"scheme={quoted_option(scheme)} is invalid: expected the scheme of a URL, such as 'ftp'"
        )
    _factories[scheme.lower()] = factory


def schemes_of_text(text: str) -> tuple[str, ...]:
    """Return the schemes that text stands for if it is a source: ``"file"`` for a path."""
    match = _URL.match(text)
    if match is None and _CHAIN.match(text):
        return schemes_of_chain(text)
    if match is None:
        return ("data",) if is_data_url(text) else ("file",)
    scheme = (match[1] or match[2]).lower()
    return (scheme,) if scheme in _factories else schemes_of_chain(text)


def is_known_scheme(scheme: str) -> bool:
    """Return whether some source opens addresses of a scheme."""
    if scheme in {*_factories, *_OTHER_SCHEMES} or is_fsspec_scheme(scheme):
        return True
    return scheme in entry_points(group=_ENTRY_POINTS).names


def _from_text(text: str) -> StreamSource | FFmpegUrlSource:
    match = _URL.match(text)
    if match is None and _CHAIN.match(text):
        return FsspecSource(text)
    if match is None and is_data_url(text):
        return DataUrlSource(text)
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
    if scheme in FFMPEG_SCHEMES:
        raise SourceAddressError(
            f"{scheme}:// URLs are opened by FFmpeg itself, and only where that is asked for: "
            "pass FFmpegUrlSource(url)"
        )
    known = ", ".join(sorted({*_factories, *offered.names}))
    raise SourceAddressError(
        f"no source opens {shortened(scheme, longest=40)}:// URLs: expected one of {known}, "
        "or one of fsspec's with fsspec installed"
    )


def _from_file_url(url: str) -> StreamSource:
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise SourceAddressError("the file: URL is malformed") from exc
    if parts.netloc not in {"", "localhost"}:
        raise SourceAddressError("the file: URL names another host: expected none, or localhost")
    return LocalSource(url2pathname(parts.path))


# Schemes of sources that no text stands for.
_OTHER_SCHEMES = {"data", "supervisely", *FFMPEG_SCHEMES}

_factories: dict[str, SourceFactory] = {
    "file": _from_file_url,
    "http": HttpSource,
    "https": HttpSource,
    "s3": ObjectStoreSource,
    "gs": ObjectStoreSource,
    "az": ObjectStoreSource,
}
