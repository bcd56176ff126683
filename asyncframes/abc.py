"""The two things users implement: where bytes come from, and where frames go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Self

from asyncframes._frames.frame import Frame
from asyncframes._model.ranges import check_end, check_range
from asyncframes._policy.policy import Policy
from asyncframes.errors import ClosedError

__all__ = ["FrameWriter", "StreamSource"]


class Source(ABC):
    """What a video is opened from: something with a name that is opened and closed.

    The base remembers that a source is closed: call `check_open` in your own `open`,
    and ``await super().aclose()`` in your own `aclose`.
    """

    _closed = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What errors and logs call the source, without credentials."""

    @property
    def _schemes(self) -> tuple[str, ...]:
        """Schemes that a policy must allow; none for bytes that the caller holds already."""
        return ()

    @property
    def _checks_hosts(self) -> bool:
        """Whether a policy can limit the hosts that the source connects to, if it connects to any."""
        return True

    def _limit(self, policy: Policy) -> None:  # noqa: B027 - most have nothing to limit
        """Respect the limits of a policy from now on, in addition to those of the source."""

    async def open(self) -> None:
        """Connect, and learn the size and the validator. Calling it again does nothing.

        Raises
        ------
        SourceError
            The bytes cannot be read.
        ClosedError
            The source is closed.
        """
        self.check_open()

    def check_open(self) -> None:
        """Raise if the source is closed.

        Raises
        ------
        ClosedError
            The source is closed.
        """
        if self._closed:
            raise ClosedError(f"{self!r} is closed")

    async def aclose(self) -> None:
        """Release what the source holds. Calling it again does nothing."""
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


class StreamSource(Source):
    """Bytes that can be read by range, asynchronously.

    A source knows nothing of video. Implement `open`, `read_range`, `name` and
    `size`; the rest has defaults. `asyncframes.testing.SourceContract` checks
    an implementation.

    The base remembers that a source is closed: call `check_open` in your own
    `open`, and ``await super().aclose()`` in your own `aclose`.

    One source may serve several readers at once: `read_range` must allow
    concurrent calls.
    """

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Length in bytes, known once `open` has returned; ``None`` while it is unknown."""

    @property
    def validator(self) -> str | None:
        """Text that changes when the bytes do, such as an ETag or mtime and size; ``None`` if there is none.

        What is learnt about a source without a validator is not stored between runs.
        """
        return None

    @abstractmethod
    async def read_range(self, start: int, stop: int) -> bytes:
        """Read exactly the bytes ``start <= i < stop``.

        Parameters
        ----------
        start, stop
            Half-open byte range inside the source. If `size` is ``None`` the range may
            reach past the end, and the result is then shorter.

        Returns
        -------
        bytes
            ``stop - start`` bytes.

        Raises
        ------
        SourceError
            The bytes cannot be read; `ShortReadError` if only some of them arrived.
        ClosedError
            The source is closed.
        """

    def check_range(self, start: int, stop: int) -> None:
        """Raise if a range is invalid. Call it first in `read_range`.

        The data behind a source may continue past the source's end: the file around a member of
        an archive does.

        Parameters
        ----------
        start, stop
            As for `read_range`.

        Raises
        ------
        ValueError
            Unless ``0 <= start <= stop``.
        ShortReadError
            `stop` is past the known `size`.
        """
        check_range(start, stop)
        check_end(start, stop, size=self.size, name=self.name)

    async def prepare_range(self, start: int, stop: int) -> None:
        """Check a range and open the source. Call it first in `read_range`.

        Parameters
        ----------
        start, stop
            As for `read_range`.

        Raises
        ------
        ValueError
            Unless ``0 <= start <= stop``.
        ShortReadError
            `stop` is past the known `size`.
        SourceError
            The source cannot be opened.
        ClosedError
            The source is closed.
        """
        check_range(start, stop)
        await self.open()
        check_end(start, stop, size=self.size, name=self.name)

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        """Read a range as `read_range` does, and pass its bytes on in order as they arrive.

        The default passes all bytes on at once. Override it in a source whose ranges take time to
        arrive, so that decoding starts with the first bytes.

        Parameters
        ----------
        start, stop
            As for `read_range`.
        arrived
            Called with each piece. The pieces passed on stay valid even if an error is raised
            after them.
        """
        arrived(await self.read_range(start, stop))

    def local_file(self) -> BinaryIO | None:
        """Open an independent blocking file over the same bytes, or return ``None``.

        Decode threads read it directly, so it must not wait for a network. The
        caller closes it.
        """
        return None


class SourceAround(StreamSource):
    """A source that reads another one, which a policy admits and limits in its place."""

    _source: StreamSource

    @property
    def _schemes(self) -> tuple[str, ...]:
        return self._source._schemes

    @property
    def _checks_hosts(self) -> bool:
        return self._source._checks_hosts

    def _limit(self, policy: Policy) -> None:
        self._source._limit(policy)


class FrameWriter(ABC):
    """Where frames go.

    `asyncframes.write_frames` feeds a writer from any async iterable of frames
    with several `write` calls in flight, so `write` must allow concurrent
    calls; they start in the order of the frames.

    As an asynchronous context manager, a writer is closed at the end of the block: by
    `aclose`, or by `abort` if the block raises.
    """

    @abstractmethod
    async def write(self, frame: Frame) -> str:
        """Store one whole frame, or nothing of it.

        Parameters
        ----------
        frame
            The frame; its image may be used until the call returns.

        Returns
        -------
        str
            Where it was stored; an absolute path for files.

        Raises
        ------
        FrameWriteError
            The frame could not be stored.
        """

    async def aclose(self) -> None:  # noqa: B027 - a writer without a handle has nothing to close
        """Finish what is open. Calling it again does nothing."""

    async def abort(self) -> None:
        """Close without finishing: discard what `aclose` would complete."""
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
