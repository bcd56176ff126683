"""Facts about a video: what it is, and its frame table."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.table import FrameTable
from asyncframes._types import VideoInfo
from asyncframes.errors import FrameIndexError
from asyncframes.web._query import Query
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

MOST_ROWS = 10_000
MOST_KEYFRAMES = 100_000
ARROW = "application/vnd.apache.arrow.stream"


async def info(ask: Ask) -> Reply:
    """Answer with what the video is."""
    Query(ask.request)
    table = await table_of(ask)
    about = ask.video.info
    video_id = ask.opened.video_id
    duration = await asyncio.to_thread(_shown_seconds, table)
    return ask.json(
        {
            "id": video_id,
            "title": video_id.rpartition("/")[2],
            "frame_count": len(table),
            "width": about.width,
            "height": about.height,
            "codec": about.codec,
            "container": about.container,
            "pixel_format": about.pixel_format,
            "duration_seconds": about.duration_seconds_from_header if duration is None else duration,
            "average_rate": None if about.average_rate is None else float(about.average_rate),
            "size_bytes": about.size_bytes,
            "colour": _colour(about),
            "is_provisional": table.is_provisional,
            "validator": ask.opened.version,
            "allows_original": ask.limits.allow_original,
        }
    )


async def table(ask: Ask) -> Reply:
    """Answer with rows of the frame table."""
    query = Query(ask.request, "from", "to")
    rows = await table_of(ask)
    first, last = _bounds(query, len(rows))
    last = min(last, first + MOST_ROWS - 1)
    columns = await asyncio.to_thread(_columns, rows, first, last)
    wants_arrow = ARROW in ask.request.headers.get("accept", "")
    if wants_arrow and (arrow := await asyncio.to_thread(_as_arrow, columns)):
        reply = ask.content(arrow, ARROW)
    else:
        lists = {name: _listed(column) for name, column in columns.items()}
        reply = ask.json({"from": first, "to": last, **lists})
    reply.headers["Vary"] = "Accept"
    return reply


async def keyframes(ask: Ask) -> Reply:
    """Answer with the indices of keyframes, and with that of the first one for which there was no room."""
    query = Query(ask.request, "from", "to")
    rows = await table_of(ask)
    first, last = _bounds(query, len(rows))
    found = first + np.flatnonzero(rows.is_keyframe[first : last + 1])
    following = int(found[MOST_KEYFRAMES]) if len(found) > MOST_KEYFRAMES else None
    return ask.json(
        {
            "from": first,
            "to": last if following is None else following - 1,
            "index": found[:MOST_KEYFRAMES].tolist(),
            "next": following,
        }
    )


async def stats(ask: Ask) -> Reply:
    """Answer with what was fetched so far."""
    Query(ask.request)
    reply = ask.json({"bytes_fetched": ask.video.bytes_read, "range_requests": ask.video.range_requests})
    reply.headers["Cache-Control"] = "no-store"
    return reply


async def table_of(ask: Ask) -> FrameTable:
    """Return the frame table, which may have to be built."""
    async with ask.site.turns.turn():
        return await ask.video.frame_table()


def _bounds(query: Query, length: int) -> tuple[int, int]:
    """Return the first and last row, both inclusive.

    Raises
    ------
    FrameIndexError
        The first row is not in the table.
    ValueError
        A bound is invalid.
    """
    first = query.integer("from", least=0) or 0
    last = query.integer("to", least=0)
    if last is not None and last < first:
        raise ValueError(f"to={last} is before from={first}: expected from <= to, both inclusive")
    if first and first >= length:
        raise FrameIndexError(f"from={first} is out of range: the video has {length} frames", length=length)
    return first, length - 1 if last is None else min(last, length - 1)


def _columns(table: FrameTable, first: int, last: int) -> dict[str, NDArray[Any]]:
    rows = slice(first, last + 1)
    index = np.arange(len(table))
    before = np.maximum.accumulate(np.where(table.is_keyframe, index, -1)) if len(table) else index
    return {
        "index": index[rows],
        "pts_seconds": table.pts_seconds[rows],
        "duration_seconds": table.duration_seconds[rows],
        "is_keyframe": table.is_keyframe[rows],
        "keyframe_before": before[rows],
    }


def _listed(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    return values if column.dtype.kind != "f" else [None if value != value else value for value in values]


def _as_arrow(columns: dict[str, NDArray[Any]]) -> bytes | None:
    """Return columns as a stream of Arrow; ``None`` without pyarrow."""
    try:
        import pyarrow as arrow
    except ImportError:
        return None
    arrays = {
        name: arrow.array(column, mask=np.isnan(column) if column.dtype.kind == "f" else None)
        for name, column in columns.items()
    }
    batch = arrow.RecordBatch.from_pydict(arrays)
    sink = BytesIO()
    with arrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _shown_seconds(table: FrameTable) -> float | None:
    seconds = float(table.duration_seconds.sum())
    return None if seconds != seconds else seconds


def _colour(about: VideoInfo) -> dict[str, str | None]:
    return {
        "matrix": about.color_matrix,
        "range": None if about.color_range == "unspecified" else about.color_range,
        "primaries": _code(about.color_primaries),
        "transfer": _code(about.color_transfer),
        "hdr": about.hdr,
    }


def _code(number: int) -> str | None:
    """Return a code point of ITU-T H.273 as text; ``None`` for unspecified."""
    return None if number == 2 else str(number)
