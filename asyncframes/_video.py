"""`Video`: an open video."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from fractions import Fraction
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from asyncframes._frames.batch import FrameBatch
from asyncframes._frames.frame import Frame
from asyncframes._model.options import (
    BatchOptions,
    FrameOptions,
    SelectionOptions,
    option,
    part_of,
    with_options,
)
from asyncframes._model.rendering import make_rendering
from asyncframes._model.timing import as_float
from asyncframes._requests.batches import batches, one_batch
from asyncframes._requests.pump import single_frame
from asyncframes._requests.request import make_request, select
from asyncframes._requests.single.latest import LatestFrames
from asyncframes._runtime.life import GuardedFrames
from asyncframes._saving_video import SavingVideo
from asyncframes._types import PictureOptions
from asyncframes.sources._limits import check_counts


class Video(SavingVideo):
    """An open video, as `open_video` returns it.

    Requests may run concurrently. As many of them decode at once as there are CPUs, but at
    least 2 and at most 8. The others wait in order. A request whose consumer falls behind
    does not count. Requests that wait for single frames of the same GOP share one decode. In
    a forked child, every call raises `ForkedError`.
    """

    @with_options(SelectionOptions)
    async def indices(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **selection: Unpack[SelectionOptions],
    ) -> NDArray[np.int64]:
        """Return the indices of the frames that `frames` would yield, without decoding them.

        It takes the arguments of `frames` that select frames, and raises the same errors.
        """
        return await self._requests.resolve(select(start, end, step, **selection))

    @with_options(FrameOptions)
    def frames(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **options: Unpack[FrameOptions],
    ) -> AsyncGenerator[Frame, None]:
        """Stream frames.

        Without arguments, all frames are yielded, in presentation order. A range that begins
        at or near frame 0 is decoded from the start. Everything else needs the frame table;
        see `count` for its cost.

        Parameters
        ----------
        start, end
            First and last frame, both inclusive, from 0. Negative numbers count from the end. An
            `end` past the last frame clamps.
        step
            Select every `step`-th frame of the range.
        **options
            Other ways to select (``indices``, ``times``, ``time_range``, ``fps`` with ``max_frames``
            and ``min_frames``, ``num_frames`` with ``short``, ``keyframes``, ``tolerance_seconds``;
            see `SelectionOptions`), how images are made (``image_format``, ``resize`` and more; see
            `PictureOptions`), and ``queue_maxsize`` (see `FrameOptions`).

        Yields
        ------
        Frame
            In presentation order, or in the order requested.

        Raises
        ------
        FrameIndexError
            `start`, an index or a time is outside the video.
        CorruptMediaError
            A frame does not decode, and ``on_corrupt="raise"``.
        SourceError
            Bytes cannot be read.
        ValueError
            The selection or an option is invalid.
        TypeError
            An option is unknown.
        ClosedError
            The video is closed.
        DeadlineError
            The request took longer than the video's ``deadline_seconds``.
        """
        request = make_request(start, end, step, options)
        self._guard.check()
        return self._requests.frames(request)

    @with_options(BatchOptions)
    async def batch(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        **options: Unpack[BatchOptions],
    ) -> FrameBatch:
        """Decode frames into one array.

        Each image is converted and copied once, straight to its place. Peak memory is the batch,
        the codec's own pictures, and frames decoded before their turn (see ``reorder_bytes`` of
        `open_video`). A sequential source, whose frames cannot be counted ahead, takes the
        batch twice.

        Parameters
        ----------
        start, end, step
            As for `frames`.
        **options
            Other ways to select, and how images are made, as for `frames`; ``max_batch_bytes``
            (see `BatchOptions`).

        Returns
        -------
        FrameBatch
            The frames that `frames` would yield, in the same order. None are left out, unless
            ``on_corrupt="skip"``.

        Raises
        ------
        ValueError
            The batch would take more than ``max_batch_bytes``; raised before anything is
            decoded. Or the selection or an option is invalid.
        UnsupportedMediaError
            The frames differ in size: pass ``resize=``.
        AsyncFramesError
            As `frames` does.
        """
        max_bytes = _max_batch_bytes(options)
        request = make_request(start, end, step, part_of(options, FrameOptions))
        self._guard.check()
        return await one_batch(self._requests, request, max_bytes=max_bytes)

    @with_options(BatchOptions)
    def batches(
        self,
        size: int,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        *,
        drop_last: bool = False,
        **options: Unpack[BatchOptions],
    ) -> AsyncGenerator[FrameBatch, None]:
        """Stream frames in arrays of `size` frames.

        At most `size` frames are decoded ahead of the consumer. Peak memory is about three
        batches, in addition to what `batch` takes.

        Parameters
        ----------
        size
            Number of frames in each batch; the last may have fewer.
        start, end, step
            As for `frames`.
        drop_last
            Whether to omit a last batch of fewer frames.
        **options
            As for `batch`.

        Yields
        ------
        FrameBatch
            The frames that `frames` would yield, in the same order.

        Raises
        ------
        ValueError, AsyncFramesError
            As `batch` does.
        """
        check_counts(least=1, size=size)
        max_bytes = _max_batch_bytes(options)
        request = make_request(start, end, step, part_of(options, FrameOptions))
        self._guard.check()
        found = batches(self._requests, request, size=size, drop_last=drop_last, max_bytes=max_bytes)
        return GuardedFrames(found, f"the iterator over {self._requests.input.name}")

    @with_options(PictureOptions)
    async def frame(self, index: int, **picture: Unpack[PictureOptions]) -> Frame:
        """Decode the frame at `index`.

        This seeks to the keyframe at or before the frame, and decodes forward. The cost grows
        with the distance to that keyframe, not with `index`.

        Parameters
        ----------
        index
            Place in presentation order, from 0. Negative numbers count from the end.
        **picture
            How the image is made; see `PictureOptions`.

        Raises
        ------
        FrameIndexError
            `index` is outside the video.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        return await single_frame(self.frames(indices=[index], queue_maxsize=2, **picture), f"frame {index}")

    @with_options(PictureOptions)
    def latest(self, **picture: Unpack[PictureOptions]) -> LatestFrames:
        """Stream the newest frame of a live or arriving source each time that you ask for one.

        Decoding never waits for you: a frame that another has replaced before you ask is dropped
        without being converted, and `LatestFrames.dropped` counts it. A file is decoded as fast
        as possible.

        Parameters
        ----------
        **picture
            How images are made; see `PictureOptions`.

        Yields
        ------
        Frame
            Frames in presentation order, numbered from the beginning of the stream.

        Raises
        ------
        CorruptMediaError
            A frame does not decode and ``on_corrupt="raise"``.
        SourceError
            Bytes cannot be read.
        """
        rendering = make_rendering(**picture)
        self._guard.check()
        return self._requests.latest(rendering)

    async def prefetch(self, indices: Iterable[int]) -> None:
        """Decode frames that `frame` will be asked for, and keep their pictures in memory.

        It returns once they are decoded, so run it in a task of its own. At most half of
        ``picture_cache_bytes`` (see `open_video`) is filled, with the first frames. Damage is
        reported when the frame is requested. With ``seek_mode="approximate"``, it does nothing.

        Parameters
        ----------
        indices
            Frames by index, as for `frames`.

        Raises
        ------
        FrameIndexError
            An index is outside the video.
        SourceError
            Bytes cannot be read.
        """
        await self._requests.prefetch(select(None, None, 1, indices=indices))

    @with_options(PictureOptions)
    async def frame_at(
        self,
        seconds: float | Fraction,
        *,
        tolerance_seconds: float | Fraction = 0,
        **picture: Unpack[PictureOptions],
    ) -> Frame:
        """Decode the frame that is shown at a time.

        Parameters
        ----------
        seconds
            The time, on the same scale as `Frame.pts_seconds`. Not every video begins at 0.
        tolerance_seconds
            See `SelectionOptions`.
        **picture
            How the image is made; see `PictureOptions`.

        Raises
        ------
        FrameIndexError
            No frame is shown at that time.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        frames = self.frames(times=[seconds], tolerance_seconds=tolerance_seconds, queue_maxsize=2, **picture)
        return await single_frame(frames, f"the frame at {as_float(seconds):g} s")


def _max_batch_bytes(options: BatchOptions) -> int:
    """Return the bound of a batch.

    Raises
    ------
    ValueError
        It is less than 1.
    """
    most: int = option(options, "max_batch_bytes")
    check_counts(least=1, max_batch_bytes=most)
    return most
