"""Bounds how far FFmpeg reads without finding anything.

Parsers of raw streams collect bytes until the next start code, demuxers search everything up to
the next element, and a packet is read at the length that it claims. In a file with a hole, or of
another format, that takes gigabytes of memory and minutes of CPU time.
"""

from __future__ import annotations

from asyncframes.errors import CorruptMediaError

MOST_BYTES = 64 * 1024 * 1024
"""Most bytes of a raw stream in which no picture begins, and most zeros in a row in any file."""

LARGEST_PACKET = 128 * 1024 * 1024
"""Most bytes of one packet. An uncompressed picture of 8192x4320 takes less."""

_START_CODE, _START_OF_IMAGE = b"\0\0\1", b"\xff\xd8"
_MARKERS = dict.fromkeys(("h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1"), _START_CODE)
_MARKERS["mjpeg"] = _START_OF_IMAGE


class ReadGuard:
    """Watches what FFmpeg reads, and raises when it has read too far without finding anything.

    Parameters
    ----------
    buffer_bytes
        Size of FFmpeg's buffer. Longer reads are for packets only.
    source_name
        Name of the source, for errors.
    """

    def __init__(self, buffer_bytes: int, source_name: str) -> None:
        self._buffer_bytes = buffer_bytes
        self._source_name = source_name
        self._marker: bytes | None = None
        self._position = -1
        self._tail = b""
        self._unmarked = self._zeros = self._packet = 0

    def expect(self, demuxer: str) -> None:
        """Look for the bytes that begin each picture, if `demuxer` reads a raw stream."""
        self._marker = _MARKERS.get(demuxer)
        self._unmarked = 0

    def see(self, position: int, data: bytes, *, asked: int) -> None:
        """Record a read.

        Raises
        ------
        CorruptMediaError
            FFmpeg reads too far: no picture begins, there are only zeros, or a packet is too long.
        """
        if position != self._position:
            self._tail, self._unmarked, self._zeros, self._packet = b"", 0, 0, 0
        self._position = position + len(data)
        if asked > self._buffer_bytes:
            self._zeros = 0
            self._packet += len(data)
        else:
            self._packet = 0
            self._zeros = 0 if _is_picture_data(data) else self._zeros + len(data)
        self._look_for_marker(data)
        if self._unmarked > MOST_BYTES:
            raise self._error("no picture begins in {} of this raw stream", self._unmarked)
        if self._zeros > MOST_BYTES:
            raise self._error("there is nothing but zeros in {}", self._zeros)
        if self._packet > LARGEST_PACKET:
            raise self._error("a packet claims more than {}", self._packet)

    def _look_for_marker(self, data: bytes) -> None:
        if self._marker is not None:
            found = self._marker in self._tail + data
            self._unmarked = 0 if found else self._unmarked + len(data)
            self._tail = data[-2:]

    def _error(self, what: str, count: int) -> CorruptMediaError:
        stretch = f"{count} bytes up to byte {self._position}"
        return CorruptMediaError(what.format(stretch), source=self._source_name)


def _is_picture_data(data: bytes) -> bool:
    return bool(data) and (data[0] or data[-1] or data.count(0) != len(data)) != 0
