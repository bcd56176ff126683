"""The base of writers that store many frames in one file: in order, and renamed once complete."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from concurrent.futures import Executor
from pathlib import Path
from typing import Generic, Literal, TypeVar

from asyncframes._frames.frame import Frame
from asyncframes._model.quoting import quoted_option
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes.abc import FrameWriter
from asyncframes.errors import ClosedError, FrameExistsError, FrameWriteError
from asyncframes.writers._files import FrameFile, reason_of

__all__ = ["OrderedWriter", "SinkFile", "check_overwrite"]

T = TypeVar("T")


class SinkFile(FrameFile):
    """A file of many frames; `index` is that of the first one."""

    __slots__ = ()

    def _exists_error(self) -> FrameExistsError:
        message = f"frame {self.index}: {self.path} already exists; pass overwrite='replace' to allow it"
        return FrameExistsError(message, index=self.index, path=str(self.path))


class OrderedWriter(FrameWriter, Generic[T]):
    """Prepares frames concurrently, and stores them one at a time, in the order of their `write` calls.

    After a frame that could not be stored, every later one fails, and the unfinished file is
    removed.
    """

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._last: asyncio.Event | None = None
        self._storing = asyncio.Lock()
        self._failed = False
        self._closed = False

    @abstractmethod
    def _prepare(self, frame: Frame) -> T:
        """Convert a frame to what is stored. Called in a thread, for several frames at once."""

    @abstractmethod
    def _store(self, frame: Frame, prepared: T) -> str:
        """Append a prepared frame, and return where it is. Called in a thread, for one frame at a time."""

    @abstractmethod
    def _finish(self) -> None:
        """Complete the unfinished file and rename it. Called in a thread."""

    @abstractmethod
    def _drop(self) -> None:
        """Remove the unfinished file, if there is one. Called in a thread."""

    @abstractmethod
    def _path_of(self) -> Path:
        """Return the path of the file for the next frame."""

    async def write(self, frame: Frame) -> str:
        """Store one frame after those of earlier `write` calls; see `FrameWriter.write`."""
        # Claim the place before the first await: calls start in the order of their frames.
        before, self._last = self._last, asyncio.Event()
        mine = self._last
        try:
            return await self._in_turn(frame, before)
        except BaseException:
            self._failed = True
            raise
        finally:
            mine.set()

    async def _in_turn(self, frame: Frame, before: asyncio.Event | None) -> str:
        self._refuse_if_ended(frame)
        prepared = await in_thread(self._executor, self._prepared, frame)
        if before is not None:
            await before.wait()
        async with self._storing:
            self._refuse_if_ended(frame)
            try:
                return await run_to_completion(in_thread(self._executor, self._store, frame, prepared))
            except OSError as exc:
                if isinstance(exc, FrameWriteError):
                    raise
                raise self._write_error(frame, reason_of(exc)) from exc

    def _prepared(self, frame: Frame) -> T:
        try:
            return self._prepare(frame)
        except FrameWriteError:
            raise
        except Exception as exc:
            raise self._write_error(frame, str(exc) or type(exc).__name__) from exc

    def _refuse_if_ended(self, frame: Frame) -> None:
        if self._closed:
            raise ClosedError(
                f"frame {frame.index} was not stored: the writer of {self._path_of()} is closed"
            )
        if self._failed:
            raise self._write_error(frame, "an earlier frame was not stored")

    def _write_error(self, frame: Frame, reason: str) -> FrameWriteError:
        path = self._path_of()
        message = f"frame {frame.index} was not stored at {path}: {reason}"
        return FrameWriteError(message, index=frame.index, path=str(path))

    async def aclose(self) -> None:
        """Wait for pending writes, then rename the file to its final path. A second call does nothing.

        If a frame could not be stored, this is `abort`.

        Raises
        ------
        FrameWriteError
            The file cannot be completed; it is removed.
        """
        if self._last is not None:
            await self._last.wait()
        async with self._storing:
            if self._closed:
                return
            self._closed = True
            path = self._path_of()
            try:
                await run_to_completion(
                    in_thread(self._executor, self._drop if self._failed else self._finish)
                )
            except BaseException as exc:
                await run_to_completion(in_thread(self._executor, self._drop))
                if isinstance(exc, OSError) and not isinstance(exc, FrameWriteError):
                    message = f"{path} was not completed: {reason_of(exc)}"
                    raise FrameWriteError(message, path=str(path)) from exc
                raise

    async def abort(self) -> None:
        """Remove the unfinished file, and refuse further frames."""
        self._failed = True
        await self.aclose()


def check_overwrite(overwrite: Literal["error", "replace"]) -> None:
    """Refuse values that do not apply to a file of many frames."""
    if overwrite not in {"error", "replace"}:
        raise ValueError(
            f"overwrite={quoted_option(overwrite)}: expected 'error' or 'replace' for a file of many frames"
        )
