"""A part of a frame table, for a process that decodes only some frames of a long video."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.archive import pack, unpack
from asyncframes._model.packets import NO_TIMESTAMP, UNKNOWN_SIZE, Int64Array, Packets
from asyncframes._model.table import FrameTable
from asyncframes._model.table_file import (
    Headers,
    TableFacts,
    arrays_of,
    facts_from,
    headers_in,
    packets_in,
    plain_facts,
)

_FORMAT_VERSION = 1

# A seek may aim at one of so many keyframes before the wanted one, and has to recognise where it lands.
_KEYFRAMES_BEFORE = 8

# Headers of fragments up to this many bytes are carried whole: a seek reads those that are missing again.
_MOST_HEADER_BYTES = 1024**2


def can_be_cut(table: FrameTable) -> bool:
    """Whether parts of a table are enough to decode their frames.

    They are not if frames are found by counting from the start: a packet gives several of them, or
    has no time.
    """
    return bool(len(table)) and not table.has_repeats and not np.any(table.packets.pts == NO_TIMESTAMP)


@dataclass(frozen=True, eq=False, repr=False)
class TablePart:
    """The packets that some consecutive frames of a table need, and how many others there are.

    `table` returns a table that numbers all frames and packets as the whole one does. So a decode
    by it is checked as usual, and if it has to read the stream from its start after all, it finds
    the same frames.

    Attributes
    ----------
    begin
        Number of the first packet.
    packets
        The packets.
    row_of
        The frame of each of these packets, -1 if it has none.
    frames, all_packets
        How many frames and packets the whole table has.
    outside
        How many of the packets before and after these are frames, are discarded, and are neither.
    ticks
        Times of the first frame, the last frame before the part, and the last frame of the video.
    last_duration
        Ticks that the last frame of the video is shown for; 0 if unknown.
    facts
        Other fields of the table.
    checksums, is_damaged
        As in the table, for each of these packets that has a frame.
    """

    begin: int
    packets: Packets
    row_of: Int64Array
    frames: int
    all_packets: int
    outside: tuple[tuple[int, int, int], tuple[int, int, int]]
    ticks: tuple[int, int, int]
    last_duration: int
    facts: TableFacts
    headers: Headers
    checksums: Int64Array | None
    is_damaged: NDArray[np.bool_] | None

    def __repr__(self) -> str:
        return f"TablePart({len(self.packets):,} of {self.all_packets:,} packets)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpacked, (self._packed(),)

    @property
    def _rows(self) -> Int64Array:
        return self.row_of[self.row_of >= 0]

    def table(self) -> FrameTable:
        """Return a table that locates the frames of this part. Nothing is known of the others."""
        own = slice(self.begin, self.begin + len(self.packets))
        packets = _Columns(self.all_packets, self.ticks)
        for column in fields(Packets):
            packets.columns[column.name][own] = getattr(self.packets, column.name)
        packet_of = np.full(self.frames, -1, np.int64)
        packet_of[self._rows] = np.flatnonzero(self.row_of >= 0) + self.begin
        rows = np.flatnonzero(packet_of < 0)
        before = self.outside[0][0]
        packet_of[rows[:before]] = packets.place(0, self.outside[0], frames_last=True)
        packet_of[rows[before:]] = packets.place(own.stop, self.outside[1], frames_last=False)
        packets.time_edges(packet_of, own, self.last_duration)
        return FrameTable(
            packets=Packets(**packets.columns),
            packet_of=packet_of,
            headers=self.headers,
            checksums=self._spread(self.checksums),
            is_damaged=self._spread(self.is_damaged),
            **self.facts,
        )

    def _spread(self, values: NDArray[Any] | None) -> NDArray[Any] | None:
        if values is None:
            return None
        spread = np.zeros(self.frames, values.dtype)
        spread[self._rows] = values
        return spread

    def _packed(self) -> bytes:
        plain = {
            **plain_facts(self.facts),
            "numbers": (self.begin, self.frames, self.all_packets, self.last_duration),
            "outside": self.outside,
            "ticks": self.ticks,
        }
        columns = {name: getattr(self, name) for name in ("row_of", "checksums", "is_damaged")}
        return pack(_FORMAT_VERSION, plain, arrays_of(self.packets, columns, self.headers))


def part_of_table(table: FrameTable, first: int, last: int, *, reach: int = 0) -> TablePart:
    """Return the part of a table that locates the frames from `first` to `last`.

    Parameters
    ----------
    table
        A table that `can_be_cut`.
    first, last
        Indices of frames, both inclusive.
    reach
        How many frames before and after a frame determine its image.
    """
    # The frames around tell how long the first and the last one are shown.
    near = np.arange(max(first - reach - 1, 0), min(last + reach + 1, len(table) - 1) + 1)
    start = int(table.starts_for(near).min())
    earlier = table.earlier_starts(start)[:_KEYFRAMES_BEFORE]
    begin = earlier[-1] if len(earlier) == _KEYFRAMES_BEFORE else 0
    stop = int(table.last_packets_for(near).max()) + 1
    rows_of = np.full(len(table.packets), -1, np.int64)
    rows_of[table.packet_of] = np.arange(len(table))
    row_of = rows_of[begin:stop]
    rows = row_of[row_of >= 0]
    known = np.zeros(len(table), np.bool_)
    known[rows] = True
    ticks = np.maximum.accumulate(table.pts)
    before = int(np.count_nonzero(rows_of[:begin] >= 0))
    last_before = int(np.flatnonzero(~known)[before - 1]) if before else 0
    columns = {column.name: getattr(table.packets, column.name)[begin:stop] for column in fields(Packets)}
    return TablePart(
        begin=begin,
        packets=Packets(**columns),
        row_of=row_of,
        frames=len(table),
        all_packets=len(table.packets),
        outside=(_counts(table, rows_of, 0, begin), _counts(table, rows_of, stop, len(table.packets))),
        ticks=(int(table.pts[0]), int(ticks[last_before]), int(ticks[-1])),
        last_duration=int(table.packets.duration[table.packet_of[-1]]),
        facts=TableFacts(
            time_base=table.time_base,
            is_verified=table.is_verified,
            average_rate=table.average_rate,
            false_keyframes=frozenset(one for one in table.false_keyframes if begin <= one < stop),
            identity=table.identity,
        ),
        headers=_headers_of(table, begin, stop),
        checksums=None if table.checksums is None else table.checksums[rows],
        is_damaged=None if table.is_damaged is None else table.is_damaged[rows],
    )


def _counts(table: FrameTable, rows_of: Int64Array, begin: int, stop: int) -> tuple[int, int, int]:
    """Count the packets of a range that are frames, are discarded, and are neither."""
    frames = int(np.count_nonzero(rows_of[begin:stop] >= 0))
    discarded = int(np.count_nonzero(table.packets.is_discard[begin:stop] & (rows_of[begin:stop] < 0)))
    return frames, discarded, stop - begin - frames - discarded


def _headers_of(table: FrameTable, begin: int, stop: int) -> Headers:
    """Return the headers that seeks to these packets need."""
    if sum(len(data) for _, data in table.headers) <= _MOST_HEADER_BYTES:
        return tuple(table.headers)
    positions = table.packets.position[begin:stop]
    start, end = int(positions.min()), int(positions.max())
    # The header of the first fragment comes before its first packet.
    first = max((place for place, _ in table.headers if place <= start), default=0)
    return tuple((place, data) for place, data in table.headers if first <= place <= end)


class _Columns:
    """The columns of all packets of a table, most of which are unknown."""

    def __init__(self, count: int, ticks: tuple[int, int, int]) -> None:
        self._ticks = ticks
        self.columns: dict[str, NDArray[Any]] = {
            "pts": np.full(count, ticks[0], np.int64),
            "dts": np.full(count, NO_TIMESTAMP, np.int64),
            "position": np.full(count, -1, np.int64),
            "size": np.full(count, UNKNOWN_SIZE, np.int64),
            "duration": np.zeros(count, np.int64),
            "is_keyframe": np.zeros(count, np.bool_),
            "is_discard": np.zeros(count, np.bool_),
        }

    def place(self, begin: int, counts: tuple[int, int, int], *, frames_last: bool) -> Int64Array:
        """Mark the unknown packets from `begin` on, and return the numbers of those that are frames."""
        frames, discarded, others = counts
        first = begin + discarded + others if frames_last else begin
        discards = begin if frames_last else begin + frames + others
        self.columns["is_discard"][discards : discards + discarded] = True
        return np.arange(first, first + frames)

    def time_edges(self, packet_of: Int64Array, own: slice, last_duration: int) -> None:
        """Give the frames around the known ones the times that durations and checks refer to."""
        _, before, last = self._ticks
        unknown = np.flatnonzero((packet_of < own.start) | (packet_of >= own.stop))
        earlier = unknown[packet_of[unknown] < own.start]
        self.columns["pts"][own.stop :] = last
        if len(earlier) and earlier[-1] > 0:
            self.columns["pts"][packet_of[earlier[-1]]] = before
        if packet_of[-1] >= own.stop:
            self.columns["duration"][packet_of[-1]] = last_duration


def _unpacked(data: bytes) -> TablePart:
    plain, arrays = unpack(_FORMAT_VERSION, data)
    begin, frames, all_packets, last_duration = plain["numbers"]
    before, after = plain["outside"]
    return TablePart(
        begin=begin,
        packets=packets_in(arrays),
        row_of=arrays["row_of"],
        frames=frames,
        all_packets=all_packets,
        outside=(tuple(before), tuple(after)),
        ticks=tuple(plain["ticks"]),
        last_duration=last_duration,
        facts=facts_from(plain),
        headers=headers_in(arrays),
        checksums=arrays.get("checksums"),
        is_damaged=arrays.get("is_damaged"),
    )
