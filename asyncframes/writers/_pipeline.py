"""Frames into a writer, several writes at once, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from inspect import isawaitable

from asyncframes._types import Frame, ProgressCallback
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

    A frame is pulled only when a worker is free, so no more than
    `max_write_workers` of them are held. `frames` is closed in the end,
    whatever happened; the writer is not.

    Parameters
    ----------
    frames
        Any async iterable of frames.
    writer
        Takes the frames, in the order that they come.
    max_write_workers
        How many writes may be in flight.
    progress_cb
        Called with 1 on the event loop after each frame is stored, once at a
        time; may be a coroutine function.

    Returns
    -------
    list[str]
        What `writer` said of each frame, in the order that the frames came.

    Raises
    ------
    FrameWriteError
        A frame could not be stored. Nothing more is pulled, and the writes in
        flight are cancelled.
    Exception
        What `frames` or `progress_cb` raised, as it is, once the frames pulled
        before it are stored.
    """
    if max_write_workers < 1:
        raise ValueError(f"max_write_workers is at least 1, got {max_write_workers}")
    iterator = aiter(frames)
    try:
        return await _Run(writer, max_write_workers, progress_cb).all_of(iterator)
    finally:
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()


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
        self._puller: asyncio.Task[None]

    async def all_of(self, frames: AsyncIterator[Frame]) -> list[str]:
        """Store them all; the first failure is raised alone, when no task is left."""
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                self._puller = group.create_task(self._pull(frames, group))
        try:
            return self._outcome()
        finally:
            self._failure = None  # its traceback leads back here and holds a frame

    async def _pull(self, frames: AsyncIterator[Frame], group: asyncio.TaskGroup) -> None:
        try:
            while True:
                await self._free.acquire()
                frame = await anext(frames)
                self._paths.append(None)
                group.create_task(self._store(len(self._paths) - 1, frame))
                del frame  # it would stay alive while the next one is awaited
        except StopAsyncIteration:
            self._exhausted = True
        except Exception as exc:  # noqa: BLE001 - raised when the writes in flight are done
            self._fail(exc)

    async def _store(self, position: int, frame: Frame) -> None:
        try:
            self._paths[position] = await self._writer.write(frame)
            del frame  # its memory is not held for the callback
            async with self._reporting:
                await self._report()
        except asyncio.CancelledError:
            self._puller.cancel()  # a writer's own cancellation too: the group takes no notice of it
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
        except Exception as exc:  # noqa: BLE001 - raised when the writes in flight are done
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
            raise asyncio.CancelledError("the frames or the writer were cancelled from within")
        return paths
