"""Decoded pictures that stay in memory for later requests, within one bound for the whole process.

A decoder's pictures are not kept, but copies of them. A decoder takes its pictures from a pool,
and the pool keeps the memory of those that are freed for as long as the decoder or any one of
its pictures exists. A few kept pictures would hold the memory of hundreds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TypeAlias

import av
from av.video.frame import VideoFrame

from asyncframes._media.codec.pictures import Picture
from asyncframes._media.image.filters import filtered, make_chain
from asyncframes._model.table import FrameTable, Packets
from asyncframes._runtime.life import on_fork, watch

_Key: TypeAlias = tuple["KeptPictures", int]


class _Process:
    """The pictures of all videos, least recently used first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pictures: OrderedDict[_Key, tuple[Picture, int]] = OrderedDict()
        self.total = 0
        watch(self)

    def drop(self, key: _Key) -> None:
        """Drop a picture. The caller holds the lock."""
        _, size = self.pictures.pop(key)
        key[0].rows.discard(key[1])
        self.total -= size


_process = _Process()


def _in_child() -> None:
    # The pictures of the parent are never freed here, and its lock may be held by a thread that is not here.
    global _process
    _process = _Process()


on_fork(_in_child)


def kept_bytes() -> int:
    """Return the bytes of all pictures that are kept in this process."""
    process = _process
    with process.lock:
        return process.total


class KeptPictures:
    """The pictures that are kept of one video, by the index of their frame.

    Parameters
    ----------
    most_bytes
        Drop the least recently used pictures of the process until all, with a new one,
        take no more than this.

    Attributes
    ----------
    rows
        The frames whose pictures are kept. Threads change it.
    """

    def __init__(self, most_bytes: int) -> None:
        self.rows: set[int] = set()
        self._most_bytes = most_bytes
        self._packets: Packets | None = None
        self._picture_bytes = 0
        self._closed = False

    def put(self, table: FrameTable, row: int, picture: Picture) -> None:
        """Keep a copy of a picture, unless it alone exceeds the bound; any thread."""
        if self.get(table, row) is not None or _size_of(picture) > self._most_bytes:
            return
        try:
            copy = _copy_of(picture)
        except av.FFmpegError:
            # There is no memory for it, for instance. Then its frame is decoded again.
            return
        size = _size_of(copy)
        process = _process
        with process.lock:
            if self._closed:
                return
            self._picture_bytes = size
            if self._packets is not table.packets:
                # Another table may number the frames differently.
                self._clear(process)
                self._packets = table.packets
            if row in self.rows:
                process.drop((self, row))
            process.pictures[self, row] = copy, size
            self.rows.add(row)
            process.total += size
            while process.total > self._most_bytes:
                process.drop(next(iter(process.pictures)))

    def get(self, table: FrameTable, row: int) -> Picture | None:
        """Return a picture, and count it as used; any thread."""
        process = _process
        with process.lock:
            found = process.pictures.get((self, row)) if self._packets is table.packets else None
            if found is None:
                return None
            process.pictures.move_to_end((self, row))
            return found[0]

    def fitting(self, picture_bytes: int) -> int:
        """Return how many pictures the bound holds.

        Parameters
        ----------
        picture_bytes
            Expected size of one, for as long as none was kept.
        """
        return self._most_bytes // max(self._picture_bytes or picture_bytes, 1)

    def clear(self) -> None:
        """Drop all pictures of this video."""
        process = _process
        with process.lock:
            self._clear(process)

    def close(self) -> None:
        """Drop all pictures of this video, and keep no more."""
        self._closed = True
        self.clear()

    def _clear(self, process: _Process) -> None:
        for row in list(self.rows):
            process.drop((self, row))


def _size_of(picture: Picture) -> int:
    return sum(_bytes_of(frame) for frame in (picture.frame, picture.alpha) if frame is not None)


def _bytes_of(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)


def _copy_of(picture: Picture) -> Picture:
    alpha = None if picture.alpha is None else _frame_copy_of(picture.alpha)
    return replace(picture, frame=_frame_copy_of(picture.frame), alpha=alpha)


def _frame_copy_of(frame: VideoFrame) -> VideoFrame:
    """Copy a frame with all its properties into memory of its own."""
    # PyAV copies the memory of a frame only if another frame uses it too. This filter returns such a frame.
    shared = filtered(make_chain(frame, ("null", {}), tells_colors=False), frame)
    shared.make_writable()
    return shared
