"""The two things users implement: where bytes come from, and where frames go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Self

from asyncframes._model.ranges import check_end, check_range
from asyncframes._types import Frame
from asyncframes.errors import ClosedError

__all__ = ["FrameWriter", "StreamSource"]


class StreamSource(ABC):
    """Bytes that can be read by range, asynchronously.

    A source knows nothing of video. Implement `open`, `read_range`, `name` and
    `size`; the rest has defaults. `asyncframes.testing.SourceContract` checks
    an implementation.

    The base remembers that a source was closed: call `check_open` in your own
    `open`, and ``await super().aclose()`` in your own `aclose`.

    One source may serve several readers at once: `read_range` must allow
    concurrent calls.
    """

    _closed = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call the source in errors and logs, without credentials."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Length in bytes, known once `open` has returned; ``None`` if it cannot be known yet."""

    @property
    def validator(self) -> str | None:
        """Something that changes when the bytes do (an ETag, mtime with size), or ``None``.

        Without one, nothing that was learnt of the bytes is remembered for another time.
        """
        return None

    async def open(self) -> None:
        """Learn the facts; calling it again does nothing.

        Raises
        ------
        SourceError
            The bytes cannot be had.
        ClosedError
            The source is closed.
        """
        self.check_open()

    def check_open(self) -> None:
        """Refuse to go on once the source is closed.

        Raises
        ------
        ClosedError
            The source is closed.
        """
        if self._closed:
            raise ClosedError(f"{self!r} is closed")

    @abstractmethod
    async def read_range(self, start: int, stop: int) -> bytes:
        """Read exactly the bytes ``start <= i < stop``.

        Parameters
        ----------
        start, stop
            Half-open byte range inside the source. Where `size` is ``None`` the
            range may reach past the end, and the result is then shorter.

        Returns
        -------
        bytes
            ``stop - start`` bytes.

        Raises
        ------
        SourceError
            The bytes cannot be had; `ShortReadError` when only some came.
        ClosedError
            The source is closed.
        """

    def check_range(self, start: int, stop: int) -> None:
        """Refuse what `read_range` may not be asked for; call it there before anything is read.

        What lies behind a source may reach further than the source does, as the file around a
        member of an archive.

        Parameters
        ----------
        start, stop
            As for `read_range`.

        Raises
        ------
        ValueError
            Unless ``0 <= start <= stop``.
        ShortReadError
            `stop` lies past a `size` that is known.
        """
        check_range(start, stop)
        check_end(start, stop, size=self.size, name=self.name)

    async def prepare_range(self, start: int, stop: int) -> None:
        """Check a range and open the source; the first call in `read_range`.

        Parameters
        ----------
        start, stop
            As for `read_range`.

        Raises
        ------
        ValueError
            Unless ``0 <= start <= stop``.
        ShortReadError
            `stop` lies past a `size` that is known.
        SourceError
            The source cannot be opened.
        ClosedError
            The source is closed.
        """
        check_range(start, stop)
        await self.open()
        check_end(start, stop, size=self.size, name=self.name)

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        """Read a range as `read_range` does, and hand its bytes over in order as they come.

        By default all of them at once. A source whose ranges take their time overrides it, so
        that decoding begins with the first bytes.

        Parameters
        ----------
        start, stop
            As for `read_range`.
        arrived
            Called with one piece after another. Pieces that were handed over stand, whatever
            is raised after them.
        """
        arrived(await self.read_range(start, stop))

    def local_file(self) -> BinaryIO | None:
        """Open an independent blocking file over the same bytes, or return ``None``.

        Decode threads read it directly where there is one, so it must not
        wait on a network. The caller closes it.
        """
        return None

    async def aclose(self) -> None:
        """Release what the source holds; calling it again does nothing."""
        self._closed = True

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class FrameWriter(ABC):
    """Where frames go.

    `asyncframes.write_frames` feeds a writer from any async iterable of frames
    with several `write` calls in flight, so `write` must allow concurrent
    calls; they begin in the order of the frames.

    As an asynchronous context manager a writer is closed in the end, by `abort`
    where the block raises.
    """

    @abstractmethod
    async def write(self, frame: Frame) -> str:
        """Store one frame wholly, or leave nothing.

        Parameters
        ----------
        frame
            The frame; its image may be kept until the call returns.

        Returns
        -------
        str
            Where it is now, an absolute path for files.

        Raises
        ------
        FrameWriteError
            It could not be stored.
        """

    async def aclose(self) -> None:  # noqa: B027 - a writer without a handle has nothing to close
        """Finish what is open; calling it again does nothing."""

    async def abort(self) -> None:
        """Drop what is unfinished, where `aclose` would finish it."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await (self.aclose() if exc_type is None else self.abort())
