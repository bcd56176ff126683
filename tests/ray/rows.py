"""Rows of frames, as tasks of a job make them and as one process does."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncframes as af
from tests.support.streams.clips import clip_bytes

COUNTS = (60, 40, 90, 36, 50, 20)
"""Frames of the clips in the fixture ``folder``, with a keyframe every ten."""

SUFFIXES = {"mp4": ".mp4", "matroska": ".mkv", "mpegts": ".ts"}


def write_clips(folder: Path, counts: Iterable[int], **options: Any) -> list[Path]:
    """Write clips in three containers by turns."""
    made = []
    for number, frames in enumerate(counts):
        container = list(SUFFIXES)[number % 3]
        path = folder / f"{number:04d}{SUFFIXES[container]}"
        path.write_bytes(clip_bytes(frames=frames, container=container, **options))
        made.append(path)
    return made


def paths_in(folder: Path) -> list[Path]:
    """List clips in order."""
    return sorted(folder.iterdir())


def as_value(value: Any) -> Any:
    """Return a value that compares; an image as its shape and checksum, and NaN as ``None``."""
    if hasattr(value, "shape"):
        return value.shape, zlib.crc32(value.tobytes())
    return None if value != value else value


def rows_of_table(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a block."""
    from ray.data.block import BlockAccessor

    return [
        {name: as_value(value) for name, value in row.items()}
        for row in BlockAccessor.for_block(table).iter_rows(public_row_format=True)
    ]


def rows_of_tasks(source: Any, parallelism: int = 8) -> list[dict[str, Any]]:
    """Run the tasks of a datasource one after another, each sent as to another process."""
    rows = []
    for task in source.get_read_tasks(parallelism):
        for block in pickle.loads(pickle.dumps(task))():
            assert task.schema is None or block.schema == task.schema
            rows += rows_of_table(block)
    return rows


def rows_here(path: Path | str, **select: Any) -> list[dict[str, Any]]:
    """Read frames in this process."""
    with af.sync.open_video(path, threads=1) as video:
        return [
            {
                "image": as_value(frame.image),
                "index": frame.index,
                "pts_seconds": frame.pts_seconds,
                "source": str(path),
            }
            for frame in video.frames(**select)
        ]
