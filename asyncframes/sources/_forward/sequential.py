"""Sources whose bytes arrive once, and how a decoder reads them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from asyncframes._model.ranges import ByteRange
from asyncframes.abc import Source, StreamSource
from asyncframes.errors import SourceError


class SequentialSource(Source):
    """A source whose bytes arrive once, in order: those already read are gone unless it stores them."""

    @property
    @abstractmethod
    def stores(self) -> bool:
        """Whether all bytes stay readable."""

    @property
    def can_store(self) -> bool:
        """Whether the source can still start to store its bytes."""
        return False

    @abstractmethod
    def store(self, why: str) -> None:
        """Store all bytes from now on.

        Parameters
        ----------
        why
            What needs stored bytes, for the log or the error.

        Raises
        ------
        SourceError
            The source cannot store its bytes, or has dropped some of them.
        """

    async def drop_before(self, position: int) -> None:
        """Drop the bytes before a position, unless the source stores its bytes."""


def dropped(why: str, name: str) -> SourceError:
    """Return the error for a source that is to store its bytes, and has dropped some."""
    return SourceError(
        f"{why}, but the first bytes are gone: make this request before any other, "
        "or pass ForwardSource(stream, keep=True)",
        source=name,
    )


class ForwardBytes(SequentialSource, StreamSource):
    """A sequential source whose bytes a decoder can read as they arrive."""

    @abstractmethod
    async def read_some(self, position: int, count: int) -> bytes:
        """Read the bytes that have arrived from a position on. Wait if there are none.

        Returns
        -------
        bytes
            At most `count` bytes; ``b""`` at the end.

        Raises
        ------
        SourceError
            The sender failed, or the bytes were dropped.
        """

    @abstractmethod
    def arrived(self, start: int, stop: int) -> bytes:
        """Read from the latest piece without waiting, from any thread."""


class ForwardReader:
    """One pass over a forward source, with the methods of a cached source and its cursor."""

    def __init__(self, source: ForwardBytes) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._source.name

    @property
    def size(self) -> int | None:
        """Length in bytes, ``None`` until the end has arrived."""
        return self._source.size

    def cached(self, start: int, stop: int) -> bytes:
        """Read bytes that are in memory, from any thread."""
        return self._source.arrived(start, stop)

    def cursor(self) -> ForwardReader:
        """Return itself: there is only one position."""
        return self

    async def fetch(self, start: int, stop: int) -> bytes:
        """Wait for the first byte, and return the bytes that have arrived."""
        return await self._source.read_some(start, stop - start)

    def touch(self, position: int) -> None:
        """Do nothing: the sender waits for the reader, so nothing is read ahead."""

    def prefetch(self, ranges: Sequence[ByteRange]) -> None:
        """Do nothing; see `touch`."""

    def unlimit(self) -> None:
        """Do nothing; see `touch`."""

    async def aclose(self) -> None:
        """Do nothing: the video closes the source."""
