"""A bound on how far FFmpeg reads on where nothing is found.

Parsers of raw streams collect bytes until the next start code, demuxers look for the
next element through whatever lies between, and a packet is as long as it claims to be:
gigabytes of memory and minutes of CPU where a file has a hole or is something else.
"""

from __future__ import annotations

from asyncframes.errors import CorruptMediaError

MOST_BYTES = 64 * 1024 * 1024
"""Bytes without a picture's beginning in a raw stream, or of zeros between what a demuxer looks for."""

LARGEST_PACKET = 128 * 1024 * 1024
"""Bytes of one packet: an uncompressed picture of 8192x4320 takes less."""

_START_CODE, _START_OF_IMAGE = b"\0\0\1", b"\xff\xd8"
_MARKERS = dict.fromkeys(("h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1"), _START_CODE)
_MARKERS["mjpeg"] = _START_OF_IMAGE


class ReadGuard:
    """Watches what FFmpeg reads of a file, and raises where that leads nowhere.

    Parameters
    ----------
    buffer_bytes
        What FFmpeg reads at a time; longer reads are of packets alone.
    """

    def __init__(self, buffer_bytes: int, source_name: str) -> None:
        self._buffer_bytes = buffer_bytes
        self._source_name = source_name
        self._marker: bytes | None = None
        self._position = -1
        self._tail = b""
        self._unmarked = self._zeros = self._packet = 0

    def expect(self, demuxer: str) -> None:
        """Look from now on for what begins each picture in a raw stream of this kind."""
        self._marker = _MARKERS.get(demuxer)
        self._unmarked = 0

    def see(self, position: int, data: bytes, *, asked: int) -> None:
        """Take note of a read.

        Raises
        ------
        CorruptMediaError
            It was one too many.
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
