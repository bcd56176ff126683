"""Frames as image files in one directory, each whole or not there at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import get_args

from asyncframes._model.quoting import quoted
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import Frame, Image, ImageFormat, ImageWriter, Overwrite
from asyncframes.abc import FrameWriter
from asyncframes.errors import FrameWriteError
from asyncframes.writers._encoders import encoder_for
from asyncframes.writers._files import FrameFile, file_names, prepare_directory, reason_of, write_error
from asyncframes.writers._fill import fill_by_callback, fill_by_encoder
from asyncframes.writers._manifest import Facts, Manifest, Run
from asyncframes.writers._names import NameTemplate

__all__ = ["DirectoryWriter"]


class DirectoryWriter(FrameWriter):
    """Stores each frame as an image file.

    A frame is encoded in a thread and written under a hidden temporary name in
    the same directory; a rename then puts it in place. A failed, cancelled or
    killed run leaves only whole files (a lost power supply is not covered:
    nothing is synced to the disk). Temporaries that a killed run left are
    removed by the next run on the same machine, or elsewhere once they are an
    hour old.

    Parameters
    ----------
    directory
        Made, with its parents, when it is not there.
    ext
        File extension, with or without its dot; see `encoder_for`. With an
        `image_writer`, anything.
    template
        `str.format` template of the file names: ``index`` (needed), ``ext``,
        ``pts`` (ticks) and ``seconds`` are there to use.
    quality, compression_level
        See `encoder_for`.
    overwrite
        Where a frame's file is already there: ``"error"`` raises
        `FrameExistsError`, ``"replace"`` replaces it, ``"skip"`` leaves it
        without encoding the frame, whatever it holds: only `stream_frames_to_dir`
        knows of which video it is. A directory of a killed run is completed by
        ``"skip"``; `existing` tells which frames need not even be decoded.
    image_writer
        Stores images in place of the built-in encoders. It is called with the
        temporary path, which has the right suffix, and must leave the file
        there. A plain function is called in a thread.
    image_format
        Of the frames; the built-in encoders need to know where it is ``"i420"``.
    executor
        Where blocking calls are made; the event loop's default if ``None``.

    Raises
    ------
    ValueError
        An extension that nothing writes, an option that it does not take, or a
        template that does not give each frame its own name in the directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        ext: str = "png",
        template: str = "frame_{index:06d}.{ext}",
        quality: int | None = None,
        compression_level: int | None = None,
        overwrite: Overwrite = "error",
        image_writer: ImageWriter | None = None,
        image_format: ImageFormat = "rgb24",
        executor: Executor | None = None,
    ) -> None:
        if overwrite not in get_args(Overwrite):
            raise ValueError(f"overwrite is one of {', '.join(get_args(Overwrite))}, got {quoted(overwrite)}")
        if image_writer is not None and (quality, compression_level) != (None, None):
            raise ValueError(
                "quality and compression_level are for the built-in encoders, not an image_writer"
            )
        self._names = NameTemplate(template, ext.removeprefix("."))
        self._fill: Callable[[FrameFile, Image], Awaitable[bool]]
        if image_writer is None:
            encoder = encoder_for(
                ext, quality=quality, compression_level=compression_level, image_format=image_format
            )
            self._fill = partial(fill_by_encoder, encoder=encoder, executor=executor)
        else:
            self._fill = partial(fill_by_callback, image_writer=image_writer, executor=executor)
        self._directory = Path(directory).absolute()
        self._overwrite = overwrite
        self._executor = executor
        self._prepared = False
        self._run: Run | None = None
        self._manifest = Manifest()
        self._preparing = asyncio.Lock()

    async def prepare(self) -> None:
        """Make the directory now, rather than with the first `write`.

        Raises
        ------
        FrameWriteError
            It cannot be made.
        """
        try:
            await self._prepare()
        except OSError as exc:
            raise self._directory_error("not usable", exc) from exc

    async def existing(self, indices: Iterable[int]) -> set[int]:
        """Tell which of these frames have their file already.

        Costs one listing of the directory. Where the template uses ``pts`` or
        ``seconds`` an index does not give the name, and the answer is empty.

        Raises
        ------
        FrameWriteError
            The directory cannot be read.
        """
        if self._names.needs_pts:
            return set()
        try:
            return await in_thread(self._executor, self._existing, indices)
        except FrameWriteError:
            raise
        except OSError as exc:
            raise self._directory_error("not readable", exc) from exc

    async def _expect(self, facts: Facts) -> None:
        """Keep no files from here on but those that the directory says were made in this way."""
        self._run = Run(self._names.naming, facts)
        try:
            self._manifest = await in_thread(self._executor, Manifest.load, self._directory)
        except OSError as exc:
            raise self._directory_error("not readable", exc) from exc

    async def _claim(self) -> None:
        """Write down in the directory how the frames that follow are made."""
        if self._run is not None:
            try:
                claim = in_thread(self._executor, Manifest.claim, self._directory, self._run)
                self._manifest = await run_to_completion(claim)
            except OSError as exc:
                raise self._directory_error("not usable", exc) from exc

    def path_for(self, index: int) -> str:
        """Give the absolute path of a frame's file, whether it is there or not.

        Raises
        ------
        ValueError
            The template uses ``pts`` or ``seconds``.
        """
        return str(self._directory / self._names.name(index))

    async def write(self, frame: Frame) -> str:
        """Store one frame; see `FrameWriter.write`."""
        path = self._path_of(frame)
        try:
            await self._prepare()
            # Temporary names need facts of the process, which are read when the directory is prepared.
            file = FrameFile.at(path, index=frame.index, overwrite=self._overwrite, prove=self._prove)
            await self._store(file, frame.image)
        except FrameWriteError:
            raise
        except OSError as exc:
            raise write_error(frame.index, path, reason_of(exc)) from exc
        return str(path)

    async def _prepare(self) -> None:
        async with self._preparing:
            if not self._prepared:
                await in_thread(self._executor, prepare_directory, self._directory)
                self._prepared = True

    async def _store(self, file: FrameFile, image: Image) -> None:
        try:
            if await self._fill(file, image):
                await run_to_completion(in_thread(self._executor, file.publish))
        except BaseException:
            await run_to_completion(in_thread(self._executor, file.discard))
            raise

    def _existing(self, indices: Iterable[int]) -> set[int]:
        stored = file_names(self._directory)
        found = {index for index in indices if self._names.name(index) in stored}
        for index in sorted(found):
            self._prove(index, self._directory / self._names.name(index))
        return found

    def _prove(self, index: int, path: Path) -> None:
        if self._run is not None:
            self._manifest.check(self._run, path, index=index)

    def _path_of(self, frame: Frame) -> Path:
        try:
            return self._directory / self._names.name_of(frame)
        except ValueError as exc:
            raise FrameWriteError(f"frame {frame.index} not stored: {exc}", index=frame.index) from exc

    def _directory_error(self, what: str, exc: OSError) -> FrameWriteError:
        message = f"directory {self._directory} is {what}: {reason_of(exc)}"
        return FrameWriteError(message, path=str(self._directory))
