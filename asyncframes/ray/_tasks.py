"""A read task: a synchronous generator of blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

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
            make = self._arrays if self._reading.encode is None else self._files
            yield from make(video, piece, select)

    def _arrays(self, video: sync.Video, piece: Piece, select: dict[str, Any]) -> Iterator[pa.Table]:
        for batch in video.batches(self._at_once(video), **select, **self._reading.picture):
            yield self._blocks.of_batch(batch, piece.entry)

    def _files(self, video: sync.Video, piece: Piece, select: dict[str, Any]) -> Iterator[pa.Table]:
        at_once = self._at_once(video)
        frames = video.frames(**select, **self._reading.picture, queue_maxsize=at_once)
        while files := [*islice(self._encoded(frames), at_once)]:
            facts = [frame for frame, _ in files]
            images = np.empty((len(facts), 0), np.uint8)
            batch = make_batch(facts, images, video.info, None, self._reading.rendering.image_format)
            yield self._blocks.of_frames(batch, [file for _, file in files], piece.entry)

    def _encoded(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, bytes]]:
        for frame in frames:
            yield replace(frame, image=_NO_IMAGE), self._blocks.encoded(frame)

    def _at_once(self, video: sync.Video) -> int:
        """Return how many frames to decode at once."""
        fitting = _BATCH_BYTES // image_bytes(video.info, self._reading.rendering)
        return max(1, min(fitting, self._block_rows or _MOST_AT_ONCE, _MOST_AT_ONCE))


def joined(
    tables: Iterable[pa.Table], *, most_bytes: int, most_rows: int | None
) -> Iterator[pa.Table]:
    """Join small tables to blocks of a size, without copying.

    Ray copies what it joins or splits itself: so a block has just more than `most_bytes`, which it takes
    for whole.
    """
    waiting: list[pa.Table] = []
    size = rows = 0
    for table in tables:
        if not table.num_rows:
            continue
        if waiting and most_rows is not None and rows + table.num_rows > most_rows:
            yield pa.concat_tables(waiting)
            waiting, size, rows = [], 0, 0
        waiting.append(table)
        size, rows = size + table.nbytes, rows + table.num_rows
        if size > most_bytes or rows == most_rows:
            yield pa.concat_tables(waiting)
            waiting, size, rows = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)
