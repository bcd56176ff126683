"""What a job reads: sources, and for each the columns that its rows carry along."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import ray.data

from asyncframes._model.quoting import quoted_option
from asyncframes._policy.policy import Policy
from asyncframes.errors import SourceError
from asyncframes.sources import SourceLike
from asyncframes.sources._data_url import is_data_url
from asyncframes.sources._directories.listing import absolute, list_videos, with_options
from asyncframes.sources._names import name_of, public_name
from asyncframes.sources._picklable import picklable_sources

Videos: TypeAlias = "SourceLike | Iterable[SourceLike] | pa.Table | ray.data.Dataset"
"""What `read_frames` accepts as its sources."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A video of a job.

    Attributes
    ----------
    source
        What opens it, in any process.
    name
        What errors and the column ``source`` call it, without secrets.
    size
        Its length in bytes, ``None`` if a listing did not tell.
    carried
        One row of other columns, ``None`` for no others.
    """

    source: SourceLike
    name: str
    size: int | None = None
    carried: pa.Table | None = None


def make_entries(
    videos: Videos, *, column: str, options: Mapping[str, Any], policy: Policy | None
) -> list[Entry]:
    """List what a job reads, in order.

    Raises
    ------
    SourceError
        A directory or a pattern has no videos, or cannot be listed.
    NotPicklableError
        A source belongs to this process.
    TypeError, ValueError
        These are no sources, or the table has no such column.
    """
    if isinstance(videos, ray.data.Dataset):
        tables = [*videos.iter_batches(batch_size=None, batch_format="pyarrow")]
        nothing = pa.table({column: pa.nulls(0, pa.string())})
        videos = pa.concat_tables(tables, promote_options="default") if tables else nothing
    if isinstance(videos, pa.Table):
        return _of_table(videos, column, options)
    if isinstance(videos, (bytes, bytearray, memoryview)):
        raise TypeError("sources is one video in memory: expected a list of sources")
    if isinstance(videos, (str, os.PathLike)) or not isinstance(videos, Iterable):
        videos = [videos]
    listed = [
        one
        for source in videos
        for one in (
            _listed(source, options, policy) if isinstance(source, (str, os.PathLike)) else [(source, None)]
        )
    ]
    sources = picklable_sources(source for source, _ in listed)
    return [Entry(source, row_name(source), size) for source, (_, size) in zip(sources, listed, strict=True)]


def row_name(source: SourceLike) -> str:
    """Return the name of a source in rows: whole, but without secrets."""
    if isinstance(source, (str, os.PathLike)):
        text = os.fsdecode(source)
        return name_of(text) if is_data_url(text) else "::".join(map(public_name, text.split("::")))
    return name_of(source)


def _listed(
    source: str | os.PathLike[str], options: Mapping[str, Any], policy: Policy | None
) -> list[tuple[SourceLike, int | None]]:
    text = os.fsdecode(source)
    return [(text, None)] if is_data_url(text) else list_videos(text, options, policy)


def _of_table(table: pa.Table, column: str, options: Mapping[str, Any]) -> list[Entry]:
    """Make an entry of each row of a table.

    Raises
    ------
    SourceError
        A row has no source.
    ValueError
        There is no such column.
    """
    if column not in table.column_names:
        known = ", ".join(table.column_names)
        raise ValueError(f"paths={quoted_option(column)}: expected one of the columns {known}")
    texts = table.column(column).to_pylist()
    for row, text in enumerate(texts):
        if not isinstance(text, (str, bytes)) or not text:
            raise SourceError(
                f"row {row} has no source in the column {quoted_option(column)}: found {text!r:.40}"
            )
    # A slice would be pickled with the whole table, so each row is copied.
    rest = table.drop_columns([column]).combine_chunks()
    sources = picklable_sources(
        with_options(absolute(text), options) if isinstance(text, str) else text for text in texts
    )
    return [
        Entry(source, row_name(source), carried=rest.take([row]) if rest.num_columns else None)
        for row, source in enumerate(sources)
    ]
