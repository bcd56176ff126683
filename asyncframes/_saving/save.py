"""Saving the frames of a request with a writer, or as image files in one directory."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import replace
from typing import cast

import numpy as np

from asyncframes._frames.encoders import is_jpeg
from asyncframes._model.color import is_as_in_jpeg
from asyncframes._model.options import OpenOptions, SaveOptions, WriteOptions, option
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._model.table import BoolArray, Int64Array
from asyncframes._requests.jobs.plan import each
from asyncframes._requests.request import Request, make_request
from asyncframes._requests.video_requests import VideoRequests
from asyncframes._runtime.threads import in_thread
from asyncframes._saving.finished import finished_paths, key_of
from asyncframes._saving.made_of import made_of
from asyncframes._saving.progress import frames_of_range
from asyncframes._types import ImageFormat, ProgressCallback, VideoInfo
from asyncframes.abc import FrameWriter
from asyncframes.sources import SourceLike
from asyncframes.writers import DirectoryWriter, write_frames


async def write(
    requests: VideoRequests, request: Request, writer: FrameWriter, options: WriteOptions
) -> list[str]:
    """Write frames with an open writer, and return its result for each."""
    return await write_frames(
        requests.frames(request),
        writer,
        max_write_workers=option(options, "max_write_workers"),
        progress_cb=option(options, "progress_cb"),
    )


class Saving:
    """A request whose frames are saved as image files.

    Parameters
    ----------
    output_dir
        Directory for the files.
    start, end, step
        As for `Video.frames`.
    options
        How to select and save frames.
    opening
        The options with which the video is opened, if that is done for this request alone.

    Raises
    ------
    ValueError
        The selection or an option is invalid. Nothing has been opened or written.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        start: int | None,
        end: int | None,
        step: int,
        options: SaveOptions,
        opening: OpenOptions | None = None,
    ) -> None:
        self._output_dir = output_dir
        self._options = options
        self._ext: str = option(options, "ext")
        self._skips = option(options, "overwrite") == "skip"
        self._request = make_request(start, end, step, options)
        image_format = self._request.rendering.image_format
        if image_format == "bgr24" and option(options, "image_writer") is None:
            raise ValueError(
                'image_format="bgr24": expected "rgb24", because the encoders take RGB, or an image_writer'
            )
        self._writer(image_format, None)
        self._chosen: Int64Array | None = None
        self._key = None if opening is None else key_of(self._request, options, opening)
        self._executor: Executor | None = None if opening is None else option(opening, "executor")

    async def finished(self, source: SourceLike) -> list[str] | None:
        """Return all paths if ``overwrite="skip"`` finds them finished, without opening the video."""
        if self._key is None or not self._skips:
            return None
        return await finished_paths(source, self._output_dir, self._key, self._executor)

    async def run(self, requests: VideoRequests, *, progress_cb: ProgressCallback | None = None) -> list[str]:
        """Write the missing files, and return all paths in frame order, including those that existed.

        Parameters
        ----------
        requests
            Requests of the open video.
        progress_cb
            Called instead of the option of that name, for a bar that needs to know `missing`.
        """
        request = self._request
        rendering = replace(request.rendering, image_format=self._stored_format(requests.info))
        writer = self._writer(rendering.image_format, requests.executor)
        await writer.prepare()
        await writer._expect(await made_of(requests, rendering, self._options))
        chosen, is_there = await self._plan(requests, writer)
        await writer._claim()
        selection = request.selection if chosen is None else Selection(indices=chosen[~is_there])
        asked = replace(request, selection=selection, rendering=rendering)
        options = self._options if progress_cb is None else {**self._options, "progress_cb": progress_cb}
        paths = await write(requests, asked, writer, cast("WriteOptions", options))
        if chosen is not None and is_there.any():
            paths = await in_thread(requests.executor, _all_paths, writer, chosen, is_there, paths)
        if self._key is not None:
            await writer._finish(self._key, paths)
        return paths

    async def missing(self, requests: VideoRequests) -> int | None:
        """Count the files to write; ``None`` if only reading the video could tell."""
        if not self._skips and self._request.selection.is_forward:
            return frames_of_range(requests.info, self._request.selection)
        chosen = await self._resolved(requests)
        if not self._skips:
            return len(chosen)
        writer = self._writer(self._request.rendering.image_format, requests.executor)
        return len(chosen) - len(await writer.existing(each(chosen)))

    async def _resolved(self, requests: VideoRequests) -> Int64Array:
        """Resolve the selection, once for both `missing` and `run`."""
        if self._chosen is None:
            self._chosen = await requests.resolve(self._request.selection, distinct=True)
        return self._chosen

    def _writer(self, image_format: ImageFormat, executor: Executor | None) -> DirectoryWriter:
        names = ("ext", "template", "quality", "compression_level", "overwrite", "image_writer")
        options = {name: option(self._options, name) for name in names}
        return DirectoryWriter(self._output_dir, image_format=image_format, executor=executor, **options)

    def _stored_format(self, info: VideoInfo) -> ImageFormat:
        """Choose the format of the images: the decoded planes if JPEG can store them unchanged.

        That requires a request without picture options. Converting the range or the matrix
        of planes would cost as much as converting them to RGB.
        """
        asked = self._request.rendering
        has_encoder = option(self._options, "image_writer") is None and is_jpeg(self._ext)
        if has_encoder and asked == Rendering() and _holds_jpeg_planes(info):
            return "i420"
        return asked.image_format

    async def _plan(
        self, requests: VideoRequests, writer: DirectoryWriter
    ) -> tuple[Int64Array | None, BoolArray]:
        """Return the frames to save, each once and in ascending order, and which of them are on disk.

        The frames are ``None`` for a plain range whose files are all written, which needs no list.
        """
        selection = self._request.selection
        if selection.is_range and not self._skips:
            return None, np.zeros(0, bool)
        chosen = await self._resolved(requests)
        if not self._skips:
            return chosen, np.zeros(len(chosen), bool)
        present = await writer.existing(each(chosen))
        return chosen, await in_thread(requests.executor, _mask, chosen, present)


def _mask(chosen: Int64Array, present: set[int]) -> BoolArray:
    return np.fromiter((index in present for index in each(chosen)), bool, len(chosen))


def _all_paths(
    writer: DirectoryWriter, chosen: Int64Array, is_there: BoolArray, written: list[str]
) -> list[str]:
    # Damaged frames that were skipped have no file.
    stored = set(written)
    paths = zip(map(writer.path_for, each(chosen)), is_there.tolist(), strict=True)
    return [path for path, there in paths if there or path in stored]


def _holds_jpeg_planes(info: VideoInfo) -> bool:
    """Whether JPEG can store the decoded planes unchanged."""
    full = info.color_range == "full" or info.pixel_format.startswith("yuvj")
    even = not info.width % 2 and not info.height % 2
    return even and is_as_in_jpeg(info.pixel_format, info.color_matrix, is_full_range=full)
