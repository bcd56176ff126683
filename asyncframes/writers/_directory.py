"""Frames as image files in one directory. Each file appears only once complete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import get_args

from asyncframes._frames.encoders import encoder_for, without_dot
from asyncframes._frames.frame import Frame
from asyncframes._model.quoting import quoted_option
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import Image, ImageFormat, ImageWriter, Overwrite
from asyncframes.abc import FrameWriter
from asyncframes.errors import FrameWriteError
from asyncframes.writers._files import FrameFile, file_names, prepare_directory, reason_of, write_error
from asyncframes.writers._fill import fill_by_callback, fill_by_encoder
from asyncframes.writers._manifest import Facts, Finished, Manifest, Run
from asyncframes.writers._names import NameTemplate

__all__ = ["DirectoryWriter"]


class DirectoryWriter(FrameWriter):
    """Stores each frame as an image file.

    A frame is encoded in a thread, written to a hidden temporary file in the same
    directory, and then renamed. A failed, cancelled or killed run leaves only complete
    files. A power failure may not, because nothing is synced to the disk. The next run
    on the same machine removes the temporary files of a killed run; a run on another
    machine removes them once they are an hour old.

    Parameters
    ----------
    directory
        Created, with its parents, if it does not exist.
    ext
        File extension, with or without its dot; see `encoder_for`. Any extension if
        there is an `image_writer`.
    template
        `str.format` template of the file names, with the fields ``index`` (required),
        ``ext``, ``pts`` (ticks) and ``seconds``.
    quality, compression_level
        See `encoder_for`.
    overwrite
        What to do if a frame's file already exists: ``"error"`` raises
        `FrameExistsError`, ``"replace"`` replaces it, and ``"skip"`` keeps it,
        whatever its contents, and does not encode the frame. Only
        `stream_frames_to_dir` checks which video it is from. Use ``"skip"`` to complete
        a killed run; `existing` returns the frames that need no decoding at all.
    image_writer
        Stores images in place of the built-in encoders. It is called with the
        temporary path, which has the right suffix, and must create the file there. A
        plain function is called in a thread.
    image_format
        Format of the frames. Required by the built-in encoders for ``"i420"``.
    executor
        Runs blocking calls; ``None`` for the event loop's default executor.

    Raises
    ------
    ValueError
        No encoder writes the extension, the encoder does not accept an option, or the
        template does not give each frame its own name in the directory.
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
            raise ValueError(
                f"overwrite={quoted_option(overwrite)}: expected one of {', '.join(get_args(Overwrite))}"
            )
        if image_writer is not None and (quality, compression_level) != (None, None):
            raise ValueError(
                "quality and compression_level are for the built-in encoders: omit them with image_writer"
            )
        self._names = NameTemplate(template, without_dot(ext))
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
        """Create the directory now, rather than with the first `write`.

        Raises
        ------
        FrameWriteError
            The directory cannot be created.
        """
        try:
            await self._prepare()
        except OSError as exc:
            raise self._directory_error("not usable", exc) from exc

    async def existing(self, indices: Iterable[int]) -> set[int]:
        """Return which of these frames already have a file.

        Lists the directory once. If the template uses ``pts`` or ``seconds``, an index
        does not determine the name, and the result is empty.

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
        """From now on, keep only files that the directory's manifest lists with these facts."""
        self._run = Run(self._names.naming, facts)
        try:
            self._manifest = await in_thread(self._executor, Manifest.load, self._directory)
        except OSError as exc:
            raise self._directory_error("not readable", exc) from exc

    async def _claim(self) -> None:
        """Record in the directory's manifest how the following frames are made."""
        if self._run is not None:
            try:
                claim = in_thread(self._executor, Manifest.claim, self._directory, self._run)
                self._manifest = await run_to_completion(claim)
            except OSError as exc:
                raise self._directory_error("not usable", exc) from exc

    async def _finish(self, request: str, paths: Sequence[str]) -> None:
        """Record in the directory's manifest that a request is finished, and which files it has."""
        if self._run is not None:
            try:
                await in_thread(self._executor, self._record, self._run, request, paths)
            except OSError as exc:
                raise self._directory_error("not usable", exc) from exc

    def path_for(self, index: int) -> str:
        """Return the absolute path of a frame's file, whether it exists or not.

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
            # A temporary name needs facts that `_prepare` has read in a thread, so this does not block.
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

    def _record(self, run: Run, request: str, paths: Sequence[str]) -> None:
        names = tuple(Path(path).name for path in paths)
        Manifest.finish(self._directory, run, Finished(request, names))

    def _prove(self, index: int, path: Path) -> None:
        if self._run is not None:
            self._manifest.check(self._run, path, index=index)

    def _path_of(self, frame: Frame) -> Path:
        try:
            return self._directory / self._names.name_of(frame)
        except ValueError as exc:
            raise FrameWriteError(f"frame {frame.index} was not stored: {exc}", index=frame.index) from exc

    def _directory_error(self, what: str, exc: OSError) -> FrameWriteError:
        message = f"directory {self._directory} is {what}: {reason_of(exc)}"
        return FrameWriteError(message, path=str(self._directory))
