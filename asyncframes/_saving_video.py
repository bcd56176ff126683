"""The part of an open video that stores its frames."""

from __future__ import annotations

import os
from typing import Unpack

from asyncframes._frames.sheet import ContactSheet
from asyncframes._model.options import (
    FrameOptions,
    SaveOptions,
    SheetOptions,
    WriteOptions,
    part_of,
    with_options,
)
from asyncframes._open_video import OpenVideo
from asyncframes._requests.request import make_request
from asyncframes._saving.save import Saving, write
from asyncframes._saving.sheet import SheetRequest
from asyncframes.abc import FrameWriter
from asyncframes.writers._pipeline import check_writer


class SavingVideo(OpenVideo):
    """The part of `Video` that makes files and contact sheets of frames."""

    @with_options(SheetOptions, name="Video.contact_sheet")
    async def contact_sheet(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **options: Unpack[SheetOptions],
    ) -> ContactSheet:
        """Draw frames in one image, each with its index and time.

        Parameters
        ----------
        start, end, step
            As for `frames`.
        **options
            Other ways to select, and how images are made, as for `frames`; ``columns``, ``rows``,
            ``width``, ``title`` and ``progress_cb`` (see `SheetOptions`).

        Returns
        -------
        ContactSheet
            RGB. Notebooks show it, and `ContactSheet.encode` makes a file of it.

        Raises
        ------
        ValueError
            No frame is selected, the sheet would have more than 64 Mi pixels, or an option is
            invalid.
        AsyncFramesError
            As `frames` does.
        """
        request = SheetRequest(start, end, step, options)
        self._guard.check()
        return await request.run(self._requests)

    @with_options(SaveOptions, name="Video.save")
    async def save(
        self,
        output_dir: str | os.PathLike[str],
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **options: Unpack[SaveOptions],
    ) -> list[str]:
        """Write frames as image files.

        Each file appears only once complete. Peak memory is about
        ``(queue_maxsize + max_write_workers + 1) * frame_bytes``, plus the source's cache
        and the codec's own pictures.

        Parameters
        ----------
        output_dir
            Directory for the files. Created if it does not exist.
        start, end, step
            As for `frames`. A frame that is selected twice is written once.
        **options
            What is written and how (see `SaveOptions`), and the options of `frames`.
            ``image_format="bgr24"`` needs an ``image_writer``; ``"rgb48"`` and ``"gray16"``
            need png, npy or raw files; ``"i420"`` needs jpg, npy or raw files. A jpg without
            picture options stores the decoded planes unchanged if JPEG can: 8-bit 4:2:0,
            BT.601, full range.

        Returns
        -------
        list of str
            Absolute paths in frame order, including those of files that already existed.

        Raises
        ------
        FrameWriteError
            A frame could not be stored; `FrameExistsError` if its file already exists,
            `FrameMismatchError` if ``overwrite="skip"`` would keep another video's file.
        AsyncFramesError
            As `frames` does.
        ValueError
            The selection or an option is invalid.
        """
        saving = Saving(output_dir, start, end, step, options)
        self._guard.check()
        return await saving.run(self._requests)

    @with_options(WriteOptions, name="Video.write")
    async def write(
        self,
        writer: FrameWriter,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **options: Unpack[WriteOptions],
    ) -> list[str]:
        """Write frames with a writer, and close it.

        If anything fails, `FrameWriter.abort` closes the writer. To write frames of several
        videos with one writer, use `write_frames`.

        Parameters
        ----------
        writer
            Receives the frames, in the order requested.
        start, end, step, **options
            As for `frames`; see also `WriteOptions`.

        Returns
        -------
        list of str
            What the writer returned for each frame.

        Raises
        ------
        FrameWriteError
            A frame could not be stored.
        AsyncFramesError
            As `frames` does.
        TypeError
            `writer` is not a `FrameWriter`.
        ValueError
            The selection or an option is invalid.
        """
        check_writer(writer)
        request = make_request(start, end, step, part_of(options, FrameOptions))
        self._guard.check()
        async with writer:
            return await write(self._requests, request, writer, options)
