"""A file over bytes that arrive once, with the recent ones kept for demuxers that go back."""

from __future__ import annotations

import asyncio
import io

from asyncframes._media.files.media_files import BUFFER_BYTES, BridgeFile, Readable
from asyncframes._media.files.seek_head import EBML_ID, places_in_seek_head
from asyncframes._media.mp4.boxes import FIRST_BOXES
from asyncframes.errors import CorruptMediaError

# At damage, FFmpeg's demuxers of these containers look for the next intact packet and seek back to it, or
# back to where the damaged one began. If they cannot seek, they lose packets in silence.
_GOING_BACK = (b"FLV", EBML_ID, b"nut/multimedia container")

# Enough to recognise those, and for the seek head that Matroska begins with. FFmpeg probes twice as much.
_HEAD_BYTES = 1024

RECENT_BYTES = 17 * 1024 * 1024
"""Bytes kept: a damaged FLV tag may claim up to 16 MiB, and is only known to be damaged at its end."""

# Bytes kept of an MP4: as many as FFmpeg may have read behind a packet that it cut short.
_BUFFERED_BYTES = 4 * BUFFER_BYTES


def outside_media(source: str) -> CorruptMediaError:
    """Return the error of an MP4 that lists packets outside its media, if its source cannot seek to them."""
    return CorruptMediaError(
        "the MP4 lists a packet outside its media, which cannot be read while the bytes arrive: pass "
        "ForwardSource(stream, keep=True), or store the file first",
        source=source,
    )


class RecentBytes:
    """The latest bytes of a stream.

    Parameters
    ----------
    most
        Number of bytes held at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._data = bytearray()
        self.stop = 0

    def append(self, data: bytes) -> None:
        """Add the bytes that come next, and drop the oldest."""
        self._data += data
        self.stop += len(data)
        del self._data[: max(0, len(self._data) - self.most)]

    def read(self, position: int, count: int) -> bytes:
        """Read at most `count` bytes; ``b""`` if the first is not held."""
        offset = position - (self.stop - len(self._data))
        return bytes(self._data[offset : offset + count]) if offset >= 0 else b""


class ForwardFile(BridgeFile):
    """A file over bytes that arrive once.

    FFmpeg may seek in FLV, Matroska and NUT: back within the latest `RECENT_BYTES`, and forward, over bytes
    that are read nonetheless. In other containers it may not, because it would look for an index at the end.
    Of an MP4, recent bytes are kept for `read_ahead`.
    """

    def __init__(
        self, source: Readable, loop: asyncio.AbstractEventLoop, read_timeout_seconds: float
    ) -> None:
        super().__init__(source, loop, read_timeout_seconds)
        self._recent = RecentBytes(RECENT_BYTES)
        self._goes_back: bool | None = None
        self._keeps_recent = False
        self._listed: frozenset[int] = frozenset()

    @property
    def is_sequential(self) -> bool:
        return True

    @property
    def consumed(self) -> int:
        return max(self._position, self._recent.stop)

    def seekable(self) -> bool:
        if self._goes_back is None:
            head = self.read_at(0, _HEAD_BYTES)
            self._listed = places_in_seek_head(head)
            self._goes_back = head.startswith(_GOING_BACK)
            self._keeps_recent = self._goes_back or head[4:8] in FIRST_BOXES
            if not self._goes_back:
                self._recent.most = _BUFFERED_BYTES
        return self._goes_back

    def read_ahead(self, position: int, count: int) -> bytes:
        """Return bytes from a position where FFmpeg reads on later, or fewer if the source ends.

        Raises
        ------
        CorruptMediaError
            They are more than are kept.
        """
        if count > RECENT_BYTES:
            raise outside_media(self.source_name)
        self._recent.most = max(self._recent.most, count + _BUFFERED_BYTES)
        return self.read_at(position, count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        # Elements that the seek head lists after the media hold no frames. Reading them first would mean
        # waiting for the whole stream.
        if whence == io.SEEK_SET and offset in self._listed and offset > self._recent.stop:
            return -1
        return super().seek(offset, whence)

    def may_wait(self) -> bool:
        position = self._position
        is_held = bool(self._source.cached(position, position + 1) or self._recent.read(position, 1))
        return self._source.size is None and not is_held

    def _read_at(self, position: int, count: int) -> bytes:
        if not self._keeps_recent:
            return super()._read_at(position, count)
        while self._recent.stop < position and self._receive(BUFFER_BYTES):
            pass
        if position == self._recent.stop:
            return self._receive(count)
        # Earlier bytes are with the source while it still keeps them; otherwise it raises a `SourceError`.
        return self._recent.read(position, count) or self._read_outside(position, count)

    def _receive(self, count: int) -> bytes:
        data = super()._read_at(self._recent.stop, count)
        self._recent.append(data)
        return data

    def _read_outside(self, position: int, count: int) -> bytes:
        return super()._read_at(position, count) if position < self._recent.stop else b""
