"""Limits on the bytes that are fetched from one source."""

from __future__ import annotations

from asyncframes.abc import StreamSource
from asyncframes.errors import SourceLimitError
from asyncframes.sources._limits import ByteLimit

_MOST_PASSES = 64
_MOST_AT_LEAST = 1024**3
_MOST_UNKNOWN = 64 * 1024**3

# An honest video is read once for its header, once for its frame table, and once where that has to be
# decoded. A request reads at most all of it, and again after damage.
_PASSES_TO_OPEN = 3
_PASSES_A_REQUEST = 2
_NEEDED_AT_LEAST = 64 * 1024**2


class FetchLimit:
    """Counts the bytes requested from a source, and refuses too many.

    Parameters
    ----------
    source
        The source.
    max_read_bytes
        The most bytes, ``None`` for many passes over the source.

    Attributes
    ----------
    longest
        The most bytes that the source may have.
    """

    def __init__(self, source: StreamSource, *, max_read_bytes: int | None) -> None:
        self._source = source
        self._max_read_bytes = max_read_bytes
        self.longest: ByteLimit = ByteLimit()
        self._passes: float | None = None
        self._asked = 0

    def allow_only_needed(self) -> None:
        """Allow only as many bytes as an honest video needs."""
        self._passes = _PASSES_TO_OPEN if self._passes is None else self._passes

    def allow_request(self, share: float = 1.0) -> None:
        """Allow what a request for frames needs that reads a share of the source."""
        if self._passes is not None:
            self._passes += _PASSES_A_REQUEST * share

    def count(self, length: int, size: int | None) -> None:
        """Count bytes that are about to be requested.

        Parameters
        ----------
        length
            How many bytes.
        size
            Length of the source, ``None`` while it is unknown.

        Raises
        ------
        SourceLimitError
            They are too many.
        """
        self.longest.check(self._source.size, self._source.name)
        self._asked += length
        most = self._most(size)
        if self._asked > most:
            raise SourceLimitError(
                f"more than max_read_bytes={most} bytes were requested from the source: pass a higher limit",
                source=self._source.name,
                limit="max_read_bytes",
                allowed=most,
                found=self._asked,
            )

    def _most(self, size: int | None) -> int:
        limits = [] if self._max_read_bytes is None else [self._max_read_bytes]
        if self._passes is not None:
            length = self.longest.max_bytes if size is None else size
            needed = None if length is None else _NEEDED_AT_LEAST + int(self._passes * length)
            limits.append(_MOST_UNKNOWN if needed is None else needed)
        return min(limits) if limits else _usual_most(size)


def _usual_most(size: int | None) -> int:
    """Return the default limit: enough for many passes over the source."""
    return _MOST_UNKNOWN if size is None else max(_MOST_AT_LEAST, _MOST_PASSES * size)
