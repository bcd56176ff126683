"""Lists the packets of an MP4/MOV track from its sample tables, and compares them with FFmpeg's index.

ISO/IEC 14496-12, 8.6.1.2 ``stts`` (how long), 8.6.1.3 ``ctts`` (how much later it is shown), 8.6.2 ``stss``
(keyframes), 8.7.3.2 ``stsz`` (bytes), 8.7.4 ``stsc`` and 8.7.5 ``stco``, ``co64`` (where), 8.6.6 ``elst``
(edits). FFmpeg keeps the same index with edits applied, but reading it takes up to thirty times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
from av.index import IndexEntries
from av.video.stream import VideoStream
from numpy.typing import NDArray

from asyncframes._media.checked import Fields, MalformedError
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.mp4.boxes import LONGEST_MOOV, MOST_NESTED, boxes_in, boxes_of
from asyncframes._model.table import Int64Array, Packets

_CONTAINERS = {b"edts", b"mdia", b"minf", b"stbl"}
_TABLES = {b"elst", b"stts", b"ctts", b"stss", b"stps", b"stsz", b"stsc", b"stco", b"co64"}

# Tables that name further keyframes. If a track has one, its packets are listed by demuxing.
_MORE_KEYFRAMES = {b"stps", b"sbgp rap "}

# FFmpeg treats composition offsets and durations beyond these limits as damage.
_LARGEST_OFFSET = 1 << 28
_LONGEST_DURATION = 1 << 31

# Up to here a time plus all durations of any table still fits 64 bits.
_LATEST_BEGINNING = 1 << 61

# Entries of FFmpeg's index to compare: this many at each end, where edits cut, and as many in between.
_COMPARED = 64

# Flags of FFmpeg's index entries.
_KEYFRAME, _DISCARD = 1, 2


def packets_by_index(file: MediaFile, stream: VideoStream, first: Packets) -> Packets | None:
    """List the packets of a track whose header FFmpeg has read.

    Parameters
    ----------
    first
        The first packets as the demuxer gives them, to compare with.

    Returns
    -------
    Packets or None
        ``None`` if the tables do not describe the samples that FFmpeg lists, some samples
        are missing, or the compared packets differ.
    """
    try:
        return _packets_by_index(file, stream, first)
    except MalformedError:
        return None


def _packets_by_index(file: MediaFile, stream: VideoStream, first: Packets) -> Packets | None:
    entries = stream.index_entries
    tables = _tables_of(file, stream.id)
    if tables is None or not len(first) or not len(entries):
        return None
    # Sums of larger times would wrap around and give wrong times.
    if max(abs(entries[0].timestamp), abs(int(first.pts[0]))) > _LATEST_BEGINNING:
        return None
    listed = _listed(tables, len(entries), dts=entries[0].timestamp, pts=int(first.pts[0]))
    if listed is None or not _is_there(listed, file.size) or not listed.begin_with(first):
        return None
    return listed if _agree(listed, entries) else None


def _listed(tables: Mapping[bytes, bytes], count: int, *, dts: int, pts: int) -> Packets | None:
    """Make packets from the tables, the first at these times; ``None`` if the tables are invalid."""
    durations = _runs(tables.get(b"stts"), count, _LONGEST_DURATION)
    offsets: Int64Array | None = np.zeros(count, np.int64)
    if b"ctts" in tables:
        offsets = _runs(tables[b"ctts"], count, _LARGEST_OFFSET)
    sizes = _sizes(tables.get(b"stsz"), count)
    # FFmpeg repairs negative durations, and edits cut or repeat samples. Its index then differs from these.
    if durations is None or offsets is None or sizes is None or np.any(durations < 0) or _is_edited(tables):
        return None
    positions = _positions(tables, sizes)
    keyframes = _keyframes(tables, count)
    if positions is None or keyframes is None:
        return None
    # FFmpeg shifts all times by the edit list. The first packet it outputs shows by how much.
    ticks = np.cumsum(durations) - durations + dts
    return Packets(
        pts=ticks + offsets + (pts - dts - int(offsets[0])),
        dts=ticks,
        position=positions,
        size=sizes,
        duration=durations,
        is_keyframe=keyframes,
        is_discard=np.zeros(count, np.bool_),
    )


def _agree(packets: Packets, entries: IndexEntries) -> bool:
    """Whether FFmpeg's index agrees on the packets at both ends and on some in between."""
    # Each entry costs a call into PyAV, so reading all entries of a long film would take seconds.
    count = len(packets)
    between = range(_COMPARED, count - _COMPARED, max(1, count // _COMPARED))
    keyframes = np.flatnonzero(packets.is_keyframe)[:: max(1, count // _COMPARED)].tolist()
    ends = chain(range(min(_COMPARED, count)), range(max(0, count - _COMPARED), count))
    places = [*dict.fromkeys(chain(ends, between, keyframes))]
    told = [
        (entry.timestamp, entry.pos, entry.size, entry.flags & (_KEYFRAME | _DISCARD))
        for entry in map(entries.__getitem__, places)
    ]
    rows = np.array(places)
    columns = packets.dts, packets.position, packets.size, packets.is_keyframe
    return told == [*zip(*(column[rows].tolist() for column in columns), strict=True)]


def _is_there(packets: Packets, file_size: int | None) -> bool:
    """Whether no packet is empty (the demuxer skips those) or cut off by the end of the file."""
    ends = packets.position + packets.size
    return bool(np.all(packets.size > 0)) and (file_size is None or int(ends.max()) <= file_size)


def _tables_of(file: MediaFile, track: int) -> dict[bytes, bytes] | None:
    moov = next((box for box in boxes_of(file) if box.kind == b"moov"), None)
    if moov is None:
        return None
    if moov.end - moov.body > LONGEST_MOOV:
        return None
    data = file.read_at(moov.body, moov.end - moov.body)
    return next((found for found in _tracks(data) if found.pop(b"tkhd", None) == _number(track)), None)


def _number(track: int) -> bytes:
    # FFmpeg stores the track number as a signed integer, the file as an unsigned one.
    return (track & 0xFFFFFFFF).to_bytes(4, "big")


def _tracks(moov: bytes) -> Iterator[dict[bytes, bytes]]:
    """Yield the tables of each track, with its number under ``tkhd``."""
    for track in boxes_in(moov):
        if track.kind == b"trak":
            yield dict(_tables(moov[track.body : track.end]))


def _tables(data: bytes, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    for box in boxes_in(data) if depth < MOST_NESTED else ():
        payload = data[box.body : box.end]
        if box.kind in _CONTAINERS:
            yield from _tables(payload, depth + 1)
        elif box.kind == b"tkhd":
            # Version 1 has 64-bit times before the track number.
            number = 20 if payload[:1] == b"\1" else 12
            yield box.kind, payload[number : number + 4]
        elif box.kind == b"sbgp":
            # Groups have many purposes, named by a type. Those of type "rap " name keyframes.
            yield b"sbgp " + payload[4:8], payload
        elif box.kind in _TABLES:
            yield box.kind, payload


def _is_edited(tables: Mapping[bytes, bytes]) -> bool:
    """Whether an edit list does more than set the start of the track."""
    edits = tables.get(b"elst")
    if edits is None:
        return False
    # Empty edits, with media time -1, only delay the track.
    long = edits[:1] == b"\1"
    columns = _columns(edits, *(">u8", ">i8") if long else (">u4", ">i4"), ">i2", ">i2")
    return columns is None or int(np.count_nonzero(columns[1] >= 0)) > 1


def _columns(table: bytes | None, *kinds: str) -> list[Int64Array] | None:
    """Read a table that starts with its length; ``None`` if it is absent."""
    if table is None:
        return None
    fields = Fields(table)
    (count,) = fields.take(">4xI")
    return fields.rows(count, *kinds)


def _runs(table: bytes | None, samples: int, bound: int) -> Int64Array | None:
    """Expand a table of (sample count, value) runs; ``None`` if it is invalid."""
    runs = _columns(table, ">i4", ">i4")
    if runs is None:
        return None
    # FFmpeg has one entry for each sample. Other counts mean that it repaired the track.
    counts, values = runs
    if np.any(counts < 0) or counts.sum() != samples or np.any(np.abs(values) >= bound):
        return None
    return np.repeat(values, counts)


def _sizes(table: bytes | None, samples: int) -> Int64Array | None:
    if table is None or len(table) < 12 or int.from_bytes(table[8:12], "big") != samples:
        return None
    # A size other than 0 applies to all samples, and no table follows.
    if each := int.from_bytes(table[4:8], "big"):
        return np.full(samples, each, np.int64)
    columns = _columns(table[4:], ">u4")
    return None if columns is None else columns[0]


def _positions(tables: Mapping[bytes, bytes], sizes: Int64Array) -> Int64Array | None:
    """Return the position of each sample; the samples of a chunk are contiguous."""
    chunks = _columns(tables.get(b"stco"), ">u4") or _columns(tables.get(b"co64"), ">i8")
    runs = _columns(tables.get(b"stsc"), ">u4", ">u4", ">u4")
    if chunks is None or runs is None or not len(runs[0]):
        return None
    firsts, each, _ = runs
    # A run of chunks ends where the next one starts. The last ends with the list of chunks.
    lengths = np.diff(firsts, append=len(chunks[0]) + 1)
    # Products of larger numbers would overflow and give wrong positions.
    if np.any(each > len(sizes)) or firsts[0] != 1 or np.any(lengths < 0):
        return None
    if np.sum(lengths * each) != len(sizes):
        return None
    in_chunk = np.repeat(each, lengths)
    # A chunk may be empty. It then has a position, but no first sample.
    filled = in_chunk > 0
    # If all samples were contiguous, each would begin at `before`. A chunk shifts all of its samples alike.
    before = np.cumsum(sizes) - sizes
    first_samples = (np.cumsum(in_chunk) - in_chunk)[filled]
    shifts = chunks[0][filled] - before[first_samples]
    positions: Int64Array = before + np.repeat(shifts, in_chunk[filled])
    return positions


def _keyframes(tables: Mapping[bytes, bytes], samples: int) -> NDArray[np.bool_] | None:
    if not _MORE_KEYFRAMES.isdisjoint(tables):
        return None
    # Without the table, every sample is a keyframe.
    if b"stss" not in tables:
        return np.ones(samples, np.bool_)
    numbers = _columns(tables[b"stss"], ">u4")
    # FFmpeg interprets an empty table differently, so leave it to the demuxer.
    if numbers is None or not len(numbers[0]) or numbers[0].min() < 1 or numbers[0].max() > samples:
        return None
    flags = np.zeros(samples, np.bool_)
    flags[numbers[0] - 1] = True
    return flags
