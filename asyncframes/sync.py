"""The same names, signatures and docstrings as `asyncframes`, blocking.

One event loop, in its own thread, serves every caller of the process. It starts for
the first caller and stops after the last. This works in a plain script, in any
thread, and inside a running loop (Jupyter), which is blocked during each call.
Callbacks run in the loop's thread.

The loop soon closes an iterator that you drop before its end; `close` waits until it
is closed. Close every video: the loop closes one that you drop in the same way, with a
`ResourceWarning`. Nothing left open delays the interpreter's exit. A forked child gets
its own loop, and cannot use what its parent opened (`asyncframes.errors.ForkedError`).
"""

from __future__ import annotations

import asyncio
import operator
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, SupportsIndex, TypeVar, cast, overload

from anyio.from_thread import BlockingPortal

from asyncframes import _many, _opening, _streaming, _video
from asyncframes._frames.batch import FrameBatch
from asyncframes._frames.frame import Frame
from asyncframes._isolation.report import IsolationReport
from asyncframes._model.quoting import a_kind
from asyncframes._requests.single import latest
from asyncframes._runtime.deadline import all_left
from asyncframes._runtime.life import is_exiting
from asyncframes._runtime.portal import Lease, lease
from asyncframes._types import VideoInfo
from asyncframes.errors import DeadlineError, NotPicklableError

__all__ = [
    "Video",
    "extract_many",
    "open_video",
    "stream_frames",
    "stream_frames_to_dir",
    "stream_frames_to_writer",
]

P = ParamSpec("P")
T = TypeVar("T")

_END = object()
_STILL_RUNNING_SECONDS = 0.001


def _call(
    portal: BlockingPortal, function: Callable[P, Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
) -> T:
    """Run a coroutine function on the loop. An interrupt of this thread cancels it."""

    async def call() -> T:
        return await function(*args, **kwargs)

    future = portal.start_task_soon(call)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _next(frames: AsyncGenerator[T, None]) -> T | object:
    return await anext(frames, _END)


async def _close(frames: AsyncGenerator[Any, None]) -> None:
    # An interrupted `_next` may still be leaving the generator, and there is nothing to wait on but the flag.
    while getattr(frames, "ag_running", False):  # noqa: ASYNC110
        await asyncio.sleep(_STILL_RUNNING_SECONDS)
    await frames.aclose()


def _give_back(held: Lease, error: BaseException | None = None) -> None:
    """Release a lease after a call that failed, if it did."""
    if isinstance(error, DeadlineError):
        # The loop ends once the thread that did not end in time has.
        held.leave_to_loop(all_left)
    else:
        held.release()


class _Iterator(Generator[T, None, None]):
    """Steps an async generator from outside its loop.

    The loop closes the generator of an iterator that is dropped: the garbage collector may
    drop it in any thread and under any lock, so `__del__` must not wait.
    """

    def __init__(self, frames: AsyncGenerator[T, None]) -> None:
        self._frames = frames
        self._lease: Lease | None = None
        self._ended = False
        self._stepping = threading.Lock()

    def __del__(self) -> None:
        if (held := self._lease) is not None and not is_exiting():
            held.leave_to_loop(partial(_close, self._frames))

    def send(self, value: None, /) -> T:
        """Wait for the next frame."""
        if not self._stepping.acquire(blocking=False):
            raise ValueError("the iterator is already waiting for a frame, in another thread")
        try:
            return self._step()
        finally:
            self._stepping.release()

    def _step(self) -> T:
        if self._ended:
            raise StopIteration
        if self._lease is None:
            # The iterator holds its own lease on the loop, because it may outlive its video.
            self._lease = lease()
            self._lease.hold(self._frames)
        portal = self._lease.portal
        try:
            frame = _call(portal, _next, self._frames)
        except BaseException as exc:
            self._end(exc)
            raise
        if frame is _END:
            self.close()
            raise StopIteration
        return cast("T", frame)

    def throw(self, *error: Any) -> T:
        """Close the iterator, and raise the error."""
        self.close()
        if isinstance(error[0], BaseException):
            raise error[0]
        raise error[0](*error[1:2])

    def close(self) -> None:
        """End the request, and wait until nothing of it is left."""
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        self._ended = True
        held, self._lease = self._lease, None
        if held is None or held.guard.is_forked:
            return
        try:
            _call(held.portal, _close, self._frames)
        finally:
            _give_back(held, error)


class LatestFrames(_Iterator[Frame]):
    """The blocking twin of what `asyncframes.Video.latest` returns."""

    def __init__(self, frames: latest.LatestFrames) -> None:
        super().__init__(frames)
        self._latest = frames

    @property
    def dropped(self) -> int:
        """How many frames were dropped so far because a newer one came before they were asked for."""
        return self._latest.dropped


def _blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make the blocking twin of a coroutine function."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        held = lease()
        try:
            result = _call(held.portal, function, *args, **kwargs)
        except BaseException as exc:
            _give_back(held, exc)
            raise
        held.release()
        return result

    return call


def _iterating(function: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, Generator[T, None, None]]:
    """Make the blocking twin of an async generator function."""

    @wraps(function)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _Iterator(function(*args, **kwargs))

    return iterate


def _blocking_method(
    method: Callable[Concatenate[_video.Video, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Video, P], T]:
    @wraps(method)
    def call(self: Video, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        return _call(self._lease.portal, method, self._video, *args, **kwargs)

    return call


def _iterating_method(
    method: Callable[Concatenate[_video.Video, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Video, P], Generator[T, None, None]]:
    @wraps(method)
    def iterate(self: Video, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        self._check()
        return _Iterator(method(self._video, *args, **kwargs))

    return iterate


def _latest_method(
    method: Callable[Concatenate[_video.Video, P], latest.LatestFrames],
) -> Callable[Concatenate[Video, P], LatestFrames]:
    @wraps(method)
    def iterate(self: Video, /, *args: P.args, **kwargs: P.kwargs) -> LatestFrames:
        async def begin() -> latest.LatestFrames:
            return method(self._video, *args, **kwargs)

        self._check()
        return LatestFrames(_call(self._lease.portal, begin))

    return iterate


class Video:
    """The blocking twin of `asyncframes.Video`, as `open_video` returns it."""

    def __init__(self, held: Lease, video: _video.Video) -> None:
        self._lease = held
        self._video = video
        self._closed = False
        held.hold(video)

    def __del__(self) -> None:
        if not self._closed and not is_exiting() and not self._lease.guard.is_forked:
            self._lease.leave_to_loop(self._video.aclose)
            if (name := self._video._unclosed()) is not None:
                warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=1)

    def __repr__(self) -> str:
        return f"<sync.Video {self._video._described()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise NotPicklableError(
            f"{self!r} belongs to this process: pass the source and the options to the other process, "
            "and open the video there"
        )

    @property
    def info(self) -> VideoInfo:
        """Facts about the video from its header and first picture."""
        return self._video.info

    @property
    def isolation(self) -> IsolationReport:
        """What separates the decoder from the program; see ``isolation`` of `Policy`."""
        return self._video.isolation

    @property
    def bytes_read(self) -> int:
        """Number of bytes fetched so far; reads of local files are not counted."""
        return self._video.bytes_read

    @property
    def range_requests(self) -> int:
        """Number of byte ranges fetched so far."""
        return self._video.range_requests

    # `Final` lets checkers that rely on annotations alone infer the types of the twins.
    count: Final = _blocking_method(_video.Video.count)
    frame_table: Final = _blocking_method(_video.Video.frame_table)
    indices: Final = _blocking_method(_video.Video.indices)
    frames: Final = _iterating_method(_video.Video.frames)
    batch: Final = _blocking_method(_video.Video.batch)
    batches: Final = _iterating_method(_video.Video.batches)
    frame: Final = _blocking_method(_video.Video.frame)
    frame_at: Final = _blocking_method(_video.Video.frame_at)
    latest: Final = _latest_method(_video.Video.latest)
    prefetch: Final = _blocking_method(_video.Video.prefetch)
    contact_sheet: Final = _blocking_method(_video.Video.contact_sheet)
    save: Final = _blocking_method(_video.Video.save)
    write: Final = _blocking_method(_video.Video.write)

    def __len__(self) -> int:
        """Return the exact number of frames; see `count`."""
        return self.count()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    @overload
    def __getitem__(self, key: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, key: slice) -> FrameBatch: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Frame | FrameBatch:
        """Return a frame by its index, or the frames of a slice.

        A slice follows Python's rules, unlike `frames`: its end is exclusive, and ``video[::-1]``
        runs backward.

        Raises
        ------
        FrameIndexError
            The index is outside the video; it is an `IndexError` too.
        TypeError
            It is neither an integer nor a slice.
        """
        if isinstance(key, slice):
            return self.batch(indices=range(*key.indices(len(self))))
        try:
            index = operator.index(key)
        except TypeError:
            raise TypeError(
                f"video[{a_kind(key)}]: expected an integer or a slice; batch(indices=…) takes several"
            ) from None
        return self.frame(index)

    def _check(self) -> None:
        """Raise if the video is closed, or belongs to the parent of this process.

        Raises
        ------
        ForkedError
            This is a forked child.
        ClosedError
            The video is closed. Its loop may have ended, so that nothing else would say so.
        """
        self._video._guard.check()
        self._video._requests._refuse_if_closed()

    def _leave_open(self) -> None:
        """Do not warn if the video is dropped, or the process ends, while it is open."""
        self._video._may_stay_open = True

    def close(self) -> None:
        """End every request and release the source. A second call does nothing.

        Nor does a call in a forked child: the open video belongs to the parent.
        """
        if self._closed or self._lease.guard.is_forked:
            return
        self._closed = True
        try:
            _call(self._lease.portal, self._video.aclose)
        finally:
            self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _opener(function: Callable[P, _opening.VideoOpener]) -> Callable[P, Video]:
    @wraps(function)
    def open_blocking(*args: P.args, **kwargs: P.kwargs) -> Video:
        async def opened() -> _video.Video:
            return await function(*args, **kwargs)

        held = lease()
        try:
            return Video(held, _call(held.portal, opened))
        except BaseException as exc:
            _give_back(held, exc)
            raise

    return open_blocking


open_video: Final = _opener(_opening.open_video)
stream_frames: Final = _iterating(_streaming.stream_frames)
extract_many: Final = _iterating(_many.extract_many)
stream_frames_to_dir: Final = _blocking(_streaming.stream_frames_to_dir)
stream_frames_to_writer: Final = _blocking(_streaming.stream_frames_to_writer)
