"""The same names, signatures and docstrings as `asyncframes`, blocking.

One event loop, in a thread of its own, serves every caller of the process; it
is started for the first and stopped after the last. That works in a plain
script, in any thread, and inside a running loop (Jupyter), which then stands
still for the length of each call. Callbacks run in that thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from types import AsyncGeneratorType, TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from anyio.from_thread import BlockingPortal, BlockingPortalProvider

from asyncframes import _many, _opening, _streaming, _to_writer, _video
from asyncframes._types import VideoInfo

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
_portals = BlockingPortalProvider("asyncio")
_open: set[AsyncGenerator[Any, None]] = set()


def _call(
    portal: BlockingPortal, function: Callable[P, Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
) -> T:
    """Run a coroutine function; an interrupt of this thread cancels it."""

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


async def _thread() -> int:
    return threading.get_ident()


async def _close(frames: AsyncGenerator[Any, None]) -> None:
    # An interrupted `_next` may still be on its way out of the generator, and nothing tells when it is.
    while cast("AsyncGeneratorType[Any, None]", frames).ag_running:  # noqa: ASYNC110
        await asyncio.sleep(_STILL_RUNNING_SECONDS)
    await frames.aclose()


def _iterate(frames: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    # An iterator keeps the loop running by itself: it may be closed after its video was.
    portal = _portals.__enter__()
    loop_thread = _call(portal, _thread)
    # Were it collected together with the iterator, the loop and the iterator would both close it.
    _open.add(frames)
    try:
        while (frame := _call(portal, _next, frames)) is not _END:
            yield cast("T", frame)
            del frame
    finally:
        if threading.get_ident() == loop_thread:
            # The garbage collector came by there, and the loop cannot wait for itself.
            threading.Thread(target=_finish, args=(portal, frames), name="asyncframes close").start()
        else:
            _finish(portal, frames)


def _finish(portal: BlockingPortal, frames: AsyncGenerator[Any, None]) -> None:
    try:
        _call(portal, _close, frames)
    finally:
        _open.discard(frames)
        _portals.__exit__(None, None, None)


def _blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make the blocking twin of a coroutine function."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with _portals as portal:
            return _call(portal, function, *args, **kwargs)

    return call


def _iterating(function: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, Generator[T, None, None]]:
    """Make the blocking twin of an async generator function."""

    @wraps(function)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _iterate(function(*args, **kwargs))

    return iterate


def _blocking_method(
    method: Callable[Concatenate[_video.Video, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Video, P], T]:
    @wraps(method)
    def call(self: Video, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _call(self._portal, method, self._video, *args, **kwargs)

    return call


def _iterating_method(
    method: Callable[Concatenate[_video.Video, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Video, P], Generator[T, None, None]]:
    @wraps(method)
    def iterate(self: Video, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _iterate(method(self._video, *args, **kwargs))

    return iterate


class Video:
    """The blocking twin of `asyncframes.Video`; made by `open_video`."""

    def __init__(self, portal: BlockingPortal, video: _video.Video) -> None:
        self._portal = portal
        self._video = video
        self._closed = False

    @property
    def info(self) -> VideoInfo:
        """What the header and the first picture say."""
        return self._video.info

    @property
    def bytes_read(self) -> int:
        """How many bytes were fetched so far; files on disk are read past this count."""
        return self._video.bytes_read

    @property
    def range_requests(self) -> int:
        """How many byte ranges were fetched so far."""
        return self._video.range_requests

    count = _blocking_method(_video.Video.count)
    frame_table = _blocking_method(_video.Video.frame_table)
    indices = _blocking_method(_video.Video.indices)
    frames = _iterating_method(_video.Video.frames)
    frame = _blocking_method(_video.Video.frame)
    frame_at = _blocking_method(_video.Video.frame_at)

    def close(self) -> None:
        """End every request and release the source; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            _call(self._portal, self._video.aclose)
        finally:
            _portals.__exit__(None, None, None)

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

        portal = _portals.__enter__()
        try:
            return Video(portal, _call(portal, opened))
        except BaseException:
            _portals.__exit__(None, None, None)
            raise

    return open_blocking


open_video = _opener(_opening.open_video)
stream_frames = _iterating(_streaming.stream_frames)
extract_many = _iterating(_many.extract_many)
stream_frames_to_dir = _blocking(_streaming.stream_frames_to_dir)
stream_frames_to_writer = _blocking(_to_writer.stream_frames_to_writer)
