"""A read task: a synchronous generator of blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from asyncframes import sync
from asyncframes._frames.batch import make_batch
from asyncframes._frames.frame import Frame
from asyncframes._model.options import OpenOptions
from asyncframes._requests.limits import image_bytes
from asyncframes._runtime.portal import lease
from asyncframes.errors import AsyncFramesError
from asyncframes.ray._blocks import Blocks
from asyncframes.ray._options import Reading
from asyncframes.ray._plan import Piece
from asyncframes.sources._picklable import source_to_open

T = TypeVar("T")

_log = logging.getLogger("asyncframes")

# Decoded at once: small against a block, so that the memory of a task is about that of one block.
_BATCH_BYTES = 8 * 1024**2
_MOST_AT_ONCE = 256

_NO_IMAGE = np.empty(0, np.uint8)


class ReadPieces:
    """Reads videos, and parts of videos, one after another.

    Parameters
    ----------
    pieces
        What to read.
    reading
        How.
    blocks
        Makes the tables.
    block_bytes
        About how large a block is.
    block_rows
        Most rows of a block, ``None`` for any number.
    """

    # Ray names tasks in its warnings as functions are named.
    __name__ = "read_videos"

    def __init__(
        self,
        pieces: Sequence[Piece],
        reading: Reading,
        blocks: Blocks,
        *,
        block_bytes: int,
        block_rows: int | None,
    ) -> None:
        self._pieces = pieces
        self._reading = reading
        self._blocks = blocks
        self._block_bytes = block_bytes
        self._block_rows = block_rows

    def __call__(self) -> Iterator[pa.Table]:
        """Yield the blocks."""
        # The loop runs between videos too: each start takes milliseconds.
        held = lease()
        try:
            yield from joined(self._tables(), most_bytes=self._block_bytes, most_rows=self._block_rows)
        finally:
            held.release()

    def _tables(self) -> Iterator[pa.Table]:
        for piece in self._pieces:
            try:
                yield from self._read(piece)
            except AsyncFramesError as exc:
                if self._reading.on_error == "raise":
                    exc.add_note(f"while reading {piece.entry.name}")
                    raise
                if self._reading.on_error == "skip":
                    _log.warning("%s is left out from here on: %s", piece.entry.name, exc)
                else:
                    yield self._blocks.of_error(piece.entry, f"{type(exc).__name__}: {exc}")

    def _read(self, piece: Piece) -> Iterator[pa.Table]:
        options: OpenOptions = {**self._reading.open_options}
        if piece.part is not None:
            options["frame_table"] = piece.part.table()
        with sync.open_video(source_to_open(piece.entry.source), **options) as video:
            select: dict[str, Any] = dict(self._reading.select)
            if piece.indices is not None:
                select = {"indices": piece.indices}
            make = self._arrays if self._reading.on_error == "raise" else self._copied_arrays
            make = make if self._reading.encode is None else self._files
            yield from make(video, piece, select)

    def _arrays(self, video: sync.Video, piece: Piece, select: dict[str, Any]) -> Iterator[pa.Table]:
        for batch in video.batches(self._at_once(video), **select, **self._reading.picture):
            yield self._blocks.of_batch(batch, piece.entry)

    def _copied_arrays(self, video: sync.Video, piece: Piece, select: dict[str, Any]) -> Iterator[pa.Table]:
        # An error costs a batch the frames before it, so these are read one by one.
        frames = self._frames(video, select)
        for group in in_groups(frames, self._at_once(video)):
            for alike in (list(same) for _, same in groupby(group, key=lambda frame: frame.image.shape)):
                images = np.stack([frame.image for frame in alike])
                batch = make_batch(alike, images, video.info, None, self._reading.rendering.image_format)
                yield self._blocks.of_batch(batch, piece.entry)

    def _files(self, video: sync.Video, piece: Piece, select: dict[str, Any]) -> Iterator[pa.Table]:
        encoded = (
            (replace(frame, image=_NO_IMAGE), self._blocks.encoded(frame))
            for frame in self._frames(video, select)
        )
        for group in in_groups(encoded, self._at_once(video)):
            facts = [frame for frame, _ in group]
            images = np.empty((len(facts), 0), np.uint8)
            batch = make_batch(facts, images, video.info, None, self._reading.rendering.image_format)
            yield self._blocks.of_frames(batch, [file for _, file in group], piece.entry)

    def _frames(self, video: sync.Video, select: dict[str, Any]) -> Iterator[Frame]:
        return video.frames(**select, **self._reading.picture, queue_maxsize=self._at_once(video))

    def _at_once(self, video: sync.Video) -> int:
        """Return how many frames to decode at once."""
        fitting = _BATCH_BYTES // image_bytes(video.info, self._reading.rendering)
        return max(1, min(fitting, self._block_rows or _MOST_AT_ONCE, _MOST_AT_ONCE))


def in_groups(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield items in lists. An error is raised after those before it are yielded."""
    group: list[T] = []
    try:
        for item in items:
            group.append(item)
            if len(group) == most:
                yield group
                group = []
    except AsyncFramesError:
        if group:
            yield group
        raise
    if group:
        yield group


def joined(tables: Iterable[pa.Table], *, most_bytes: int, most_rows: int | None) -> Iterator[pa.Table]:
    """Join small tables to blocks of a size, without copying.

    Ray passes on a block of slightly more than its target, and copies to join smaller ones.
    """
    waiting: list[pa.Table] = []
    size = rows = 0
    for table in tables:
        for begin in range(0, table.num_rows, step := most_rows or table.num_rows or 1):
            piece = table.slice(begin, step)
            if most_rows is not None and rows + piece.num_rows > most_rows:
                room = most_rows - rows
                yield pa.concat_tables([*waiting, piece.slice(0, room)])
                waiting, size, rows, piece = [], 0, 0, piece.slice(room)
            waiting.append(piece)
            size, rows = size + piece.nbytes, rows + piece.num_rows
            if size > most_bytes or rows == most_rows:
                yield pa.concat_tables(waiting)
                waiting, size, rows = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)
