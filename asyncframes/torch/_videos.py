"""The videos of a dataset: checked in the parent, opened in the process that reads them."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from asyncframes import sync
from asyncframes._model.options import OpenOptions, part_of
from asyncframes._model.quoting import quoted_option
from asyncframes._model.rendering import make_rendering
from asyncframes._model.table import FrameTable
from asyncframes._opening import open_video
from asyncframes._policy.processes import most_processes
from asyncframes._runtime.life import is_exiting
from asyncframes._runtime.portal import Lease, lease
from asyncframes._types import PictureOptions
from asyncframes.errors import SourceChangedError
from asyncframes.sources import SourceLike
from asyncframes.sources._picklable import picklable_sources, source_to_open
from asyncframes.torch._options import LoadingOptions
from asyncframes.torch._tensors import Layout, check_layout


class Videos:
    """The sources of a dataset, and how they are opened and read.

    Parameters
    ----------
    sources
        What `open_video` accepts, except streams, open files and descriptors: these belong
        to one process.
    options
        How they are opened and read.

    Attributes
    ----------
    layout, picture
        How images become tensors.

    Raises
    ------
    NotPicklableError
        A source belongs to this process.
    SourceAddressError
        A path, or the first URL of a scheme, is invalid. Other URLs are checked when they are
        opened.
    TypeError, ValueError
        An argument or an option is invalid.
    """

    def __init__(self, sources: Iterable[SourceLike], options: LoadingOptions) -> None:
        if isinstance(sources, (str, bytes, os.PathLike)):
            raise TypeError("videos is one source: expected a sequence of sources")
        self._sources: Sequence[SourceLike] = picklable_sources(sources)
        frame_tables = options.get("frame_tables")
        self._tables = None if frame_tables is None else list(frame_tables)
        if self._tables is not None and len(self._tables) != len(self._sources):
            raise ValueError(
                f"frame_tables has {len(self._tables)} entries: expected one for each of the "
                f"{len(self._sources)} videos"
            )
        # A worker decodes beside others, so codec threads of its own gain nothing.
        self._options: OpenOptions = {"threads": 1, **(options.get("open_options") or {})}
        self.layout: Layout = options.get("layout", "NCHW")
        check_layout(self.layout)
        self.picture: PictureOptions = part_of(options, PictureOptions)
        # Wrong options are refused here, and not by each worker.
        open_video(b"", **self._options).__reduce__()
        made = make_rendering(**self.picture).image_format
        if made not in _FORMATS:
            raise ValueError(f"image_format={quoted_option(made)}: expected one of {', '.join(_FORMATS)}")

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def most_processes(self) -> int | None:
        """How many videos can be open at once if each has a process; ``None`` if none has."""
        return most_processes(self._options)

    @property
    def need_tables(self) -> bool:
        """Whether frames are found by frame tables."""
        return self._options.get("seek_mode", "exact") == "exact"

    def open(self, number: int, table: FrameTable | None = None) -> sync.Video:
        """Open a video in this process. It closes itself when it is dropped."""
        if table is None and self._tables is not None:
            table = self._tables[number]
        options: OpenOptions = {**self._options} if table is None else {**self._options, "frame_table": table}
        video = sync.open_video(source_to_open(self._sources[number]), **options)
        video._leave_open()
        return video


# A row takes about 100 bytes.
_MOST_ROWS = 512 * 1024

_FORMATS = ("rgb24", "bgr24", "gray", "rgba")


class LoopHold:
    """Keeps the event loop of `asyncframes.sync` running between videos: each start takes milliseconds."""

    def __init__(self) -> None:
        self._lease: Lease | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return LoopHold, ()

    def __del__(self) -> None:
        # The garbage collector may call this in any thread, so it must not wait.
        if self._lease is not None and not is_exiting():
            self._lease.leave_to_loop(_nothing)

    def hold(self) -> None:
        """Start the loop of this process if necessary."""
        if self._lease is None or self._lease.guard.is_forked:
            self._lease = lease()

    def release(self) -> None:
        """Let the loop end, and wait until it has unless a video needs it."""
        held, self._lease = self._lease, None
        if held is not None and not held.guard.is_forked:
            held.release()


async def _nothing() -> None:
    """Close nothing."""


class OpenVideos:
    """Videos that this process holds open, the least recently used of which is closed for another.

    The frame tables of closed ones are remembered within a bound, so that they are not built
    again.

    Parameters
    ----------
    videos
        The videos.
    most
        Most videos to hold open.
    """

    def __init__(self, videos: Videos, most: int) -> None:
        self._videos = videos
        self._most = most
        self._process = os.getpid()
        self._loop = LoopHold()
        self._open: OrderedDict[int, sync.Video] = OrderedDict()
        self._tables: OrderedDict[int, FrameTable] = OrderedDict()
        self._rows = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenVideos, (self._videos, self._most)

    def get(self, number: int) -> sync.Video:
        """Return an open video."""
        if self._process != os.getpid():
            # They are the parent's, and closing them here does nothing.
            self._open.clear()
            self._process = os.getpid()
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        self._loop.hold()
        while len(self._open) >= self._most:
            self._close(*self._open.popitem(last=False))
        self._open[number] = self._opened(number)
        return self._open[number]

    def drop(self, number: int) -> None:
        """Forget a video that failed, so that it is opened again when it is next needed."""
        self._forget(number)
        if (video := self._open.pop(number, None)) is not None:
            video.close()

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._close(*self._open.popitem())
        self._loop.release()

    def _opened(self, number: int) -> sync.Video:
        if (table := self._tables.get(number)) is not None:
            try:
                return self._videos.open(number, table)
            except SourceChangedError:
                self._forget(number)
        return self._videos.open(number)

    def _close(self, number: int, video: sync.Video) -> None:
        try:
            if self._videos.need_tables:
                self._remember(number, video.frame_table())
        finally:
            video.close()

    def _remember(self, number: int, table: FrameTable) -> None:
        self._forget(number)
        self._tables[number] = table
        self._rows += len(table)
        while self._rows > _MOST_ROWS:
            self._forget(next(iter(self._tables)))

    def _forget(self, number: int) -> None:
        if (table := self._tables.pop(number, None)) is not None:
            self._rows -= len(table)
