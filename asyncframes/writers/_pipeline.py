"""Writing frames concurrently, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from inspect import isawaitable
from typing import Any, cast

from asyncframes._frames.frame import Frame
from asyncframes._model.quoting import a_kind
from asyncframes._types import ProgressCallback
from asyncframes.abc import FrameWriter

__all__ = ["write_frames"]


async def write_frames(
    frames: AsyncIterable[Frame],
    writer: FrameWriter,
    *,
    max_write_workers: int = 4,
    progress_cb: ProgressCallback | None = None,
) -> list[str]:
    """Store every frame, up to `max_write_workers` at once.

    A frame is requested only when a worker is free, so at most `max_write_workers` frames
    are in memory. `frames` is always closed at the end; the writer is not.

    Parameters
    ----------
    frames
        Any async iterable of frames.
    writer
        Receives the frames, in the order of `frames`.
    max_write_workers
        Most concurrent writes.
    progress_cb
        Called with 1 on the event loop after each frame is stored, never concurrently;
        may be a coroutine function.

    Returns
    -------
    list[str]
        What `writer` returned for each frame, in the order of `frames`.

    Raises
    ------
    TypeError
        `writer` is not a `FrameWriter`.
    FrameWriteError
        A frame could not be stored. No further frame is requested, and pending writes
        are cancelled.
    Exception
        Whatever `frames` or `progress_cb` raises, unchanged, once the frames already
        requested are stored.
    """
    check_writer(writer)
    if max_write_workers < 1:
        raise ValueError(f"max_write_workers={max_write_workers}: expected 1 or more")
    iterator = aiter(frames)
    try:
        return await _Run(writer, max_write_workers, progress_cb).all_of(iterator)
    finally:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()


def check_writer(writer: FrameWriter) -> None:
    """Raise if what was passed as a writer is none, such as a path.

    Raises
    ------
    TypeError
        It is not a `FrameWriter`.
    """
    if not isinstance(writer, FrameWriter):
        raise TypeError(f"writer is {a_kind(writer)}: expected a FrameWriter, such as NpyWriter(path)")


class _Run:
    """One call of `write_frames`."""

    def __init__(
        self, writer: FrameWriter, max_write_workers: int, progress_cb: ProgressCallback | None
    ) -> None:
        self._writer = writer
        self._free = asyncio.Semaphore(max_write_workers)
        self._progress_cb = progress_cb
        self._reporting = asyncio.Lock()
        self._paths: list[str | None] = []
        self._exhausted = False
        self._failure: Exception | None = None
        self._puller: asyncio.Task[Any]

    async def all_of(self, frames: AsyncIterator[Frame]) -> list[str]:
        """Store all frames. Once every task has ended, raise the first failure, by itself."""
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pull(frames, group))
        try:
            return self._outcome()
        finally:
            self._failure = None  # its traceback references this object, and a frame with it

    async def _pull(self, frames: AsyncIterator[Frame], group: asyncio.TaskGroup) -> None:
        self._puller = cast("asyncio.Task[Any]", asyncio.current_task())
        try:
            while True:
                await self._free.acquire()
                frame = await anext(frames)
                self._paths.append(None)
                group.create_task(self._store(len(self._paths) - 1, frame))
                del frame  # or it stays in memory while the next one is awaited
        except StopAsyncIteration:
            self._exhausted = True
        except Exception as exc:  # noqa: BLE001 - raised once pending writes are done
            self._fail(exc)

    async def _store(self, position: int, frame: Frame) -> None:
        try:
            self._paths[position] = await self._writer.write(frame)
            del frame  # free its memory before the callback
            async with self._reporting:
                await self._report()
        except asyncio.CancelledError:
            self._puller.cancel()  # the group ignores a cancellation that the writer itself raises
            raise
        except Exception as exc:
            self._fail(exc)
            raise
        self._free.release()

    async def _report(self) -> None:
        if self._progress_cb is None:
            return
        try:
            outcome = self._progress_cb(1)
            if isawaitable(outcome):
                await outcome
        except Exception as exc:  # noqa: BLE001 - raised once pending writes are done
            self._fail(exc)
            self._progress_cb = None
            self._puller.cancel()

    def _fail(self, exc: Exception) -> None:
        if self._failure is None:
            self._failure = exc

    def _outcome(self) -> list[str]:
        if self._failure is not None:
            raise self._failure
        paths = [path for path in self._paths if path is not None]
        if not self._exhausted or len(paths) < len(self._paths):
            raise asyncio.CancelledError("the source of the frames or the writer raised CancelledError")
        return paths
