"""Packets of an MP4/MOV track from FFmpeg's index and the sample tables, without a read for each.

FFmpeg keeps of each sample where it lies and when it is decoded, edit lists applied. When it is shown and how
long is in two tables of the header (ISO/IEC 14496-12, 8.6.1.2 ``stts`` and 8.6.1.3 ``ctts``), which count the
same samples as long as no edit leaves some out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

import numpy as np
from av.index import IndexEntries
from av.video.stream import VideoStream

from asyncframes._media._boxes import boxes_in, boxes_of
from asyncframes._media._files import MediaFile
from asyncframes._table import Int64Array, Packets

_FACTS = attrgetter("timestamp", "pos", "size", "flags")

_CONTAINERS = {b"mdia", b"minf", b"stbl"}

# FFmpeg takes composition offsets beyond this for damage, and durations beyond the other.
_LARGEST_OFFSET = 1 << 28
_LONGEST_DURATION = 1 << 31

# More than any film has.
_MOST_SAMPLES = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class SampleTimes:
    """What ``stts`` and ``ctts`` say, a row a sample, in ticks of the track."""

    durations: Int64Array
    offsets: Int64Array


def packets_by_index(file: MediaFile, stream: VideoStream, first: Packets) -> Packets | None:
    """List the packets of a track whose header FFmpeg has read.

    Parameters
    ----------
    first
        The first packets as the demuxer gives them, to compare with.

    Returns
    -------
    Packets or None
        ``None`` where the tables do not speak of the samples that FFmpeg lists, some are
        not there, or the first packets are others.
    """
    times = _sample_times(file, stream.id)
    entries = stream.index_entries
    if times is None or not len(first) or len(entries) != len(times.durations):
        return None
    dts, position, size, flags = _columns(entries)
    pts = dts + times.offsets
    pts += first.pts[0] - pts[0]
    listed = Packets(
        pts=pts,
        dts=dts,
        position=position,
        size=size,
        duration=times.durations,
        is_keyframe=(flags & 1).astype(bool),
        is_discard=(flags & 2).astype(bool),
    )
    return listed if _is_there(listed, file.size) and listed.begin_with(first) else None


def _columns(entries: IndexEntries) -> Iterator[Int64Array]:
    # No tuple is kept: many of them have the garbage collector go over all objects of the process.
    told = chain.from_iterable(map(_FACTS, entries))
    for column in np.fromiter(told, np.int64, 4 * len(entries)).reshape(-1, 4).T:
        yield column.copy()


def _is_there(packets: Packets, file_size: int | None) -> bool:
    """Whether none is empty, which the demuxer leaves out, or cut off by the end of the file."""
    ends = packets.position + packets.size
    return bool(np.all(packets.size > 0)) and (file_size is None or int(ends.max()) <= file_size)


def _sample_times(file: MediaFile, track: int) -> SampleTimes | None:
    moov = next((box for box in boxes_of(file) if box.kind == b"moov"), None)
    if moov is None:
        return None
    data = file.read_at(moov.body, moov.end - moov.body)
    tables = next((found for found in _tracks(data) if found.pop(b"tkhd", None) == _number(track)), None)
    if tables is None or b"stts" not in tables:
        return None
    durations = _runs(tables[b"stts"], _LONGEST_DURATION)
    if durations is None:
        return None
    if b"ctts" not in tables:
        return SampleTimes(durations, np.zeros_like(durations))
    offsets = _runs(tables[b"ctts"], _LARGEST_OFFSET)
    return SampleTimes(durations, offsets) if offsets is not None and len(offsets) == len(durations) else None


def _number(track: int) -> bytes:
    return struct.pack(">I", track)


def _tracks(moov: bytes) -> Iterator[dict[bytes, bytes]]:
    """Yield for each track its number under ``tkhd``, and the tables looked for."""
    for track in boxes_in(moov):
        if track.kind == b"trak":
            yield dict(_tables(moov[track.body : track.end]))


def _tables(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for box in boxes_in(data):
        payload = data[box.body : box.end]
        if box.kind in _CONTAINERS:
            yield from _tables(payload)
        elif box.kind in {b"stts", b"ctts"}:
            yield box.kind, payload
        elif box.kind == b"tkhd":
            number = 20 if payload[:1] == b"\1" else 12
            yield box.kind, payload[number : number + 4]


def _runs(table: bytes, bound: int) -> Int64Array | None:
    """Expand a table of (how many samples, value); ``None`` where it makes no sense."""
    count = int.from_bytes(table[4:8], "big")
    if len(table) < 8 + 8 * count:
        return None
    runs = np.frombuffer(table, ">i4", 2 * count, 8).reshape(-1, 2).astype(np.int64)
    counts, values = runs[:, 0], runs[:, 1]
    if np.any(counts < 0) or counts.sum() > _MOST_SAMPLES or np.any(np.abs(values) >= bound):
        return None
    return np.repeat(values, counts)
