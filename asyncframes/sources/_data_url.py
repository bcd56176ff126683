"""Bytes in a data: URL (RFC 2397)."""

from __future__ import annotations

import asyncio
import binascii
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from asyncframes._policy.policy import Policy
from asyncframes._runtime.threads import in_thread, shared_executor
from asyncframes.abc import StreamSource
from asyncframes.errors import NotPicklableError, SourceAddressError, SourceLimitError
from asyncframes.sources._limits import ByteLimit

MOST_CHARACTERS = 128 * 1024**2
"""Longest URL that is decoded."""

# Browsers write recordings as "video/webm;codecs=vp8,opus;base64,", although RFC 2397 ends the header at the
# first comma. A file may be called "data:x", so a header is needed to make a URL of it.
_TYPE = r"(?:[\w.+-]{1,80}/[\w.+-]{1,80})?"
_HEADER = re.compile(
    rf"data:{_TYPE}(?:(?:;[^;]{{0,200}}){{0,9}};[ ]?(base64)[ ]*,|(?:;[^;,]{{1,200}}){{0,9}},)", re.IGNORECASE
)
_LONGEST_HEADER = 2048
_LONGEST_PATH = 4096

_CHUNK = 1024 * 1024
_SPACE = b" \t\n\f\r"
_PERCENT = ord("%")
_DIGITS = np.full(256, 255, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_DIGITS[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def is_data_url(text: str) -> bool:
    """Whether text is a data: URL, rather than the path of a file that begins like one."""
    is_too_long = len(text) > _LONGEST_PATH and text[:5].lower() == "data:"
    return is_too_long or _HEADER.match(text, 0, _LONGEST_HEADER) is not None


def name_of_data_url(text: str) -> str:
    """Return what errors and logs call a data: URL, which they never quote."""
    return f"a data: URL of {len(text)} characters"


class DataUrlSource(StreamSource):
    """The bytes in a data: URL, which are decoded in a thread when the source is opened.

    Parameters
    ----------
    url
        The URL; base64 or percent-encoded. Its media type is ignored.

    Raises
    ------
    SourceLimitError
        The URL is too long.
    """

    def __init__(self, url: str) -> None:
        self._name = name_of_data_url(url)
        if len(url) > MOST_CHARACTERS:
            raise SourceLimitError(
                f"the URL is too long: expected at most {MOST_CHARACTERS} characters; pass the bytes instead",
                source=self._name,
            )
        self._url = url
        self._longest = ByteLimit()
        self._data: bytes | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"DataUrlSource({self._name})"

    def __reduce__(self) -> tuple[Any, ...]:
        url = self._url
        if self._data is not None or self._closed:
            raise NotPicklableError(
                f"{self!r} has been opened: pickle a source before it is opened, or make another one"
            )
        return type(self), (url,)

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int | None:
        return None if self._data is None else len(self._data)

    @property
    def _schemes(self) -> tuple[str, ...]:
        return ("data",)

    def _limit(self, policy: Policy) -> None:
        self._longest = self._longest.limited_by(policy)

    async def open(self) -> None:
        async with self._opening:
            self.check_open()
            if self._data is None:
                data = await in_thread(shared_executor(), self._decoded, self._url)
                self.check_open()
                # In this order, because another thread may be in `local_file`.
                self._data = data
                self._url = ""

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        return (self._data or b"")[start:stop]

    def local_file(self) -> BinaryIO | None:
        self.check_open()
        url, data = self._url, self._data
        return io.BytesIO(self._decoded(url) if data is None else data)

    async def aclose(self) -> None:
        await super().aclose()
        self._data, self._url = b"", ""

    def _decoded(self, url: str) -> bytes:
        try:
            return decoded(url, lambda length: self._longest.check(length, self._name))
        except SourceLimitError:
            raise
        except ValueError as exc:
            raise SourceAddressError(f"the data: URL is malformed: {exc}", source=self._name) from None


def decoded(url: str, check: Callable[[int], None] = lambda _length: None) -> bytes:
    """Return the bytes in a data: URL, a chunk at a time so that other threads get their turn.

    Parameters
    ----------
    url
        The URL.
    check
        Called with the number of bytes after each chunk. It may raise.

    Raises
    ------
    ValueError
        It is malformed. The text quotes nothing of it.
    """
    header = _HEADER.match(url, 0, _LONGEST_HEADER)
    if header is None:
        raise ValueError("expected data:, a media type or none, and a comma")
    pieces = _unescaped(url, header.end())
    return _joined(_from_base64(pieces) if header[1] else pieces, check)


def _joined(pieces: Iterable[bytes], check: Callable[[int], None]) -> bytes:
    data, length = list[bytes](), 0
    for piece in pieces:
        length += len(piece)
        check(length)
        data.append(piece)
    return b"".join(data)


def _unescaped(url: str, start: int) -> Iterator[bytes]:
    """Decode percent-encoding up to the fragment."""
    fragment = url.find("#", start)
    end = len(url) if fragment < 0 else fragment
    while start < end:
        stop = min(start + _CHUNK, end)
        if stop < end and (escape := url.rfind("%", stop - 2, stop)) >= 0:
            stop = escape
        try:
            piece = url[start:stop].encode("ascii")
        except UnicodeEncodeError:
            raise ValueError("expected ASCII characters only") from None
        yield _without_escapes(piece) if b"%" in piece else piece
        start = stop


def _without_escapes(piece: bytes) -> bytes:
    data = np.frombuffer(piece, np.uint8).copy()
    escapes = np.flatnonzero(data == _PERCENT)
    digits = _DIGITS[np.take(data, [escapes + 1, escapes + 2], mode="clip")]
    if escapes[-1] + 2 >= len(data) or np.any(digits > 15):
        raise ValueError("expected two hexadecimal digits after each %")
    data[escapes] = digits[0] * 16 + digits[1]
    kept = np.ones(len(data), bool)
    kept[escapes + 1] = kept[escapes + 2] = False
    return data[kept].tobytes()


def _from_base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decode base64 with any white space, and with or without padding.

    Yields
    ------
    bytes
        The data of one piece.
    """
    rest = b""
    for piece in pieces:
        rest += piece.translate(None, _SPACE)
        # The last characters may be padding, which is allowed at the end alone.
        whole = max(0, len(rest) - 4) // 4 * 4
        if b"=" in rest[:whole]:
            raise ValueError("expected padding at the end of the base64 only")
        yield _strict(rest[:whole])
        rest = rest[whole:]
    bare = rest.rstrip(b"=")
    if len(rest) - len(bare) > 2 or len(bare) % 4 == 1:
        raise ValueError("the base64 breaks off")
    yield _strict(bare + b"=" * (-len(bare) % 4))


def _strict(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise ValueError("expected the characters of base64") from None
