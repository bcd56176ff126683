"""Checks the claims of an MP4 header before FFmpeg allocates memory for them.

ISO/IEC 14496-12: FFmpeg allocates some 40 bytes for each sample that ``stsz`` counts, even if the
file is too short to hold it, and copies samples for each edit of ``elst``. It unrolls ``ctts`` and
``sbgp`` to 4 bytes for each sample that their runs count. It also allocates and clears 8 bytes for
each item that ``iinf`` or ``iloc`` counts, in any box. ISO/IEC 23008-12, 6.6.2.3: a HEIF picture
may be a grid of tiles, which FFmpeg outputs one by one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asyncframes._media.checked import Fields, MalformedError, TooManyBoxesError
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.mp4.boxes import LONGEST_MOOV, MOST_NESTED, Box, boxes_in, boxes_of
from asyncframes.errors import MediaLimitError, UnsupportedMediaError

# Tracks of sound and text have several samples for each frame of the video.
SAMPLES_A_FRAME = 4

# Edits may repeat samples, and start inside a GOP. Up to these limits, that costs little.
_MOST_EDITED = 1 << 16
_MOST_STEPS = 1 << 29

_CONTAINERS = {b"trak", b"edts", b"mdia", b"minf", b"stbl"}
_TABLES = {b"elst", b"hdlr", b"mdhd", b"stsz", b"stz2", b"stts", b"stss", b"stsc", b"stco", b"co64"}
_RUNS = {b"ctts", b"sbgp"}
_LONGEST_META = 1 << 20

# Long boxes in which FFmpeg looks for no other boxes.
_LONG = {
    b"stsz",
    b"stz2",
    b"stts",
    b"ctts",
    b"stss",
    b"stps",
    b"stsc",
    b"stco",
    b"co64",
    b"sdtp",
    b"sbgp",
    b"free",
}

# ``iinf`` and ``iloc`` belong into ``meta``, but FFmpeg reads them anywhere.
_HEADERS = {b"moov", b"meta", b"udta", b"iinf", b"iloc"}

# Older versions of these boxes count in 16 bits, as many as any picture has items.
_ITEM_COUNTS = re.compile(rb"(?s)(?=iinf[^\0]...(....)|iloc[^\0\1].....(....))")
_MOST_ITEMS = 1 << 16
_TILED = {b"grid": "a grid of tiles", b"iovl": "an overlay of several pictures"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLimits:
    """Limits on what a container may hold.

    Attributes
    ----------
    max_table_frames
        Most frames in a frame table, and most frames that a header may claim.
    allow_containers
        Names of FFmpeg's demuxers that are allowed in addition to the default ones.
    demuxers, decoders
        Names of the only demuxers and decoders that are allowed, ``None`` for the default ones and for all.
    containers, codecs
        What the caller calls them, for errors.
    max_fps
        Highest average rate that a header may claim, ``None`` for any.
    probed_pixels
        Most pixels of a picture that FFmpeg decodes to find out its size, ``None`` for any.
    """

    max_table_frames: int = 1 << 20
    allow_containers: tuple[str, ...] = ()
    demuxers: tuple[str, ...] | None = None
    decoders: tuple[str, ...] | None = None
    containers: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    max_fps: float | None = None
    probed_pixels: int | None = None


def too_many_frames(message: str, limits: ContainerLimits, found: int, source: str) -> MediaLimitError:
    """Return the error for more frames than a table may list, or samples than go with them."""
    return MediaLimitError(
        message, source=source, limit="max_frames", allowed=limits.max_table_frames, found=found
    )


def check_claims(file: MediaFile, limits: ContainerLimits) -> None:
    """Refuse an MP4 whose header claims more than the file can hold.

    Raises
    ------
    UnsupportedMediaError
        The header is too long, lists more samples than allowed, or repeats them too often; or the
        picture is one that FFmpeg outputs in tiles.
    """
    try:
        found: dict[bytes, bytes] = {}
        for box in _headers(file):
            data = _read(file, box)
            listed = box.kind + data if box.kind in {b"iinf", b"iloc"} else data
            most = max(_item_counts(memoryview(listed)), default=0)
            if most > _MOST_ITEMS:
                message = f"the header lists {most} items: expected at most {_MOST_ITEMS}"
                raise UnsupportedMediaError(message, source=file.source_name)
            if box.kind in {b"moov", b"meta"}:
                found[box.kind] = data
        if b"moov" in found:
            _check_moov(file, found[b"moov"], limits)
        elif b"meta" in found:
            _check_item(file, found[b"meta"])
    except TooManyBoxesError as exc:
        raise UnsupportedMediaError(f"{exc}: expected fewer in a video", source=file.source_name) from exc
    except MalformedError:
        # Other damage costs FFmpeg little, and FFmpeg reports it.
        return


def _headers(file: MediaFile) -> Iterator[Box]:
    """Yield the boxes that FFmpeg reads before the first packet: it stops once it has ``moov`` and media."""
    seen = set()
    for box in boxes_of(file, of_any_size=True):
        # FFmpeg skips every ``moov`` but the first.
        if box.kind in _HEADERS and (box.kind != b"moov" or b"moov" not in seen):
            yield box
        seen.add(box.kind)
        if box.kind == b"moof" or {b"moov", b"mdat"} <= seen:
            return


def _read(file: MediaFile, box: Box) -> bytes:
    """Return the payload of a box, decompressed if QuickTime compressed it."""
    length = box.end - box.body
    payload = b""
    # If the size of the file is unknown, it may end before the box does.
    if file.size is None or length <= LONGEST_MOOV:
        payload = file.read_at(box.body, min(length, LONGEST_MOOV + 1))
        length = len(payload)
    if length > LONGEST_MOOV:
        message = f"the header has {length} bytes: expected at most {LONGEST_MOOV}"
        raise UnsupportedMediaError(message, source=file.source_name)
    return _unpacked(payload) if box.kind == b"moov" else payload


def _item_counts(data: memoryview, depth: int = 0) -> Iterator[int]:
    """Yield what boxes anywhere in some bytes claim as their number of items."""
    end = 0
    for box in boxes_in(data) if depth < MOST_NESTED else ():
        if box.kind in _CONTAINERS:
            yield from _item_counts(data[box.body : box.end], depth + 1)
        elif box.kind not in _LONG:
            yield from _claimed_items(data[box.begin : box.end])
        end = box.end
    yield from _claimed_items(data[end:])


def _claimed_items(data: memoryview) -> Iterator[int]:
    for counts in _ITEM_COUNTS.finditer(data):
        yield int.from_bytes(counts[1] or counts[2], "big")


def _check_moov(file: MediaFile, data: bytes, limits: ContainerLimits) -> None:
    samples, scale = 0, 1
    unrolled, most = _unrolled(memoryview(data)), 2 * limits.max_table_frames * SAMPLES_A_FRAME
    if unrolled > most:
        message = f"the header's runs count {unrolled} samples: expected at most {most}"
        raise too_many_frames(message, limits, unrolled, file.source_name)
    for box in boxes_in(data):
        if box.kind == b"mvhd":
            scale = _scale(memoryview(data)[box.body : box.end])
        if box.kind != b"trak":
            continue
        tables = dict(_tables(memoryview(data)[box.body : box.end]))
        count = _samples(tables)
        samples += count
        if count > _fitting(tables, file.size) or samples > limits.max_table_frames * SAMPLES_A_FRAME:
            message = (
                f"the header lists {samples} samples: expected no more than the file can hold, "
                f"and than max_table_frames={limits.max_table_frames} allows"
            )
            raise too_many_frames(message, limits, samples, file.source_name)
        edited, most = _edited(tables, count, scale), max(_MOST_EDITED, 2 * count)
        if edited > most:
            message = f"an edit list turns {count} samples into {edited}: expected at most {most}"
            raise UnsupportedMediaError(message, source=file.source_name)


def _unpacked(moov: bytes) -> bytes:
    """Return the boxes of a header, decompressed if QuickTime compressed them."""
    for box in boxes_in(moov):
        if box.kind == b"cmov":
            inner = next(
                (child for child in boxes_in(moov[box.body : box.end]) if child.kind == b"cmvd"), None
            )
            if inner is None:
                return moov
            start, end = box.body + inner.body + 4, box.body + inner.end
            try:
                data = zlib.decompressobj().decompress(moov[start:end], LONGEST_MOOV)
            except zlib.error as exc:
                raise MalformedError("a compressed header is damaged") from exc
            return next((data[box.body : box.end] for box in boxes_in(data) if box.kind == b"moov"), data)
    return moov


def _unrolled(data: memoryview) -> int:
    """Return how many samples the runs in ``ctts`` and ``sbgp`` count, as FFmpeg reads them.

    It reads as many runs as the box lists, also beyond the end of the box.
    """
    return sum(_sum_of_runs(data[body:], kind) for kind, body in _runs_in(data, 0, len(data)))


def _runs_in(data: memoryview, begin: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield each box of runs, and where its payload begins."""
    for box in boxes_in(data[begin:end]) if depth < MOST_NESTED else ():
        if box.kind in _CONTAINERS:
            yield from _runs_in(data, begin + box.body, begin + box.end, depth + 1)
        elif box.kind in _RUNS:
            yield box.kind, begin + box.body


def _sum_of_runs(table: memoryview, kind: bytes) -> int:
    # Version and flags, for ``sbgp`` its type and from version 1 on a parameter, and the number of runs.
    skipped = 8 if kind == b"ctts" else 12 if bytes(table[:1]) in {b"", b"\0"} else 16
    count = int.from_bytes(table[skipped - 4 : skipped], "big")
    held = min(count, max(len(table) - skipped, 0) // 8)
    counts = np.frombuffer(table, ">u4", 2 * held, skipped)[::2] if held else np.empty(0, ">u4")
    # FFmpeg would read what follows the header as the missing runs.
    return int(counts.sum(dtype=np.int64)) + (count - held) * (1 << 16)


def _tables(data: memoryview, depth: int = 0) -> Iterator[tuple[bytes, memoryview]]:
    for box in boxes_in(data) if depth < MOST_NESTED else ():
        if box.kind in _CONTAINERS:
            yield from _tables(data[box.body : box.end], depth + 1)
        elif box.kind in _TABLES:
            yield box.kind, data[box.body : box.end]


def _samples(tables: Mapping[bytes, memoryview]) -> int:
    """Return the number of samples that FFmpeg allocates for a track."""
    if _is_plain_sound(tables):
        return _pieces(tables)
    table = tables.get(b"stsz") or tables.get(b"stz2")
    return 0 if table is None else Fields(table).take(">8xI")[0]


def _pieces(tables: Mapping[bytes, memoryview]) -> int:
    """Return the number of pieces, of up to 1024 samples, that FFmpeg divides the chunks of a track into."""
    chunks = tables.get(b"stco") or tables.get(b"co64")
    if chunks is None or b"stsc" not in tables:
        return 0
    count, fields = Fields(chunks).take(">4xI")[0], Fields(tables[b"stsc"])
    firsts, each, _ = fields.rows(fields.take(">4xI")[0], ">u4", ">u4", ">u4")
    lengths = np.diff(np.minimum(firsts, count + 1), append=count + 1)
    return int((np.maximum(lengths, 0) * (each // 1024 + 1.0)).sum())


def _is_plain_sound(tables: Mapping[bytes, memoryview]) -> bool:
    """Whether each sample lasts one tick, as in uncompressed sound."""
    if b"stts" not in tables or bytes(tables.get(b"hdlr", b"")[8:12]) != b"soun":
        return False
    fields = Fields(tables[b"stts"])
    return fields.take(">4xI") == (1,) and fields.take(">4xI") == (1,)


def _fitting(tables: Mapping[bytes, memoryview], size: int | None) -> int:
    """Return how many samples the file can hold, from its size if all samples have the same length."""
    table = tables.get(b"stsz")
    each = 0 if table is None else Fields(table).take(">4xI")[0]
    return 1 << 32 if not each or size is None or _is_plain_sound(tables) else max(size // each, 1 << 16)


def _edited(tables: Mapping[bytes, memoryview], samples: int, movie_scale: int) -> int:
    """Estimate how many samples the edits of a track yield."""
    if b"elst" not in tables or b"stts" not in tables or b"mdhd" not in tables:
        return samples
    wide = bytes(tables[b"elst"][:1]) == b"\1"
    fields = Fields(tables[b"elst"])
    durations, begins, _ = fields.rows(
        fields.take(">4xI")[0], *(">u8", ">i8") if wide else (">u4", ">i4"), ">i4"
    )
    shown = begins >= 0
    steps = int(np.count_nonzero(shown)) * samples
    if not _MOST_EDITED < steps <= _MOST_STEPS:
        return steps
    scale = _scale(tables[b"mdhd"]) / (movie_scale or 1)
    ends = begins[shown] + durations[shown] * scale
    times = _times(tables[b"stts"], samples)
    first = _keyframes_at(tables.get(b"stss"), np.searchsorted(times, begins[shown], "right") - 1)
    return int(np.maximum(np.searchsorted(times, ends) - first, 0).sum())


def _scale(header: memoryview) -> int:
    """Return the ticks per second, at the same position in ``mvhd`` and ``mdhd``."""
    return Fields(header).take(">20xI" if bytes(header[:1]) == b"\1" else ">12xI")[0]


def _times(table: memoryview, samples: int) -> NDArray[np.float64]:
    """Return the dts of each sample."""
    fields = Fields(table)
    counts, durations = fields.rows(fields.take(">4xI")[0], ">u4", ">u4")
    if counts.sum() > samples:
        raise MalformedError("stts counts more samples than stsz")
    each = np.repeat(durations.astype(np.float64), counts)
    return np.cumsum(each) - each


def _keyframes_at(table: memoryview | None, samples: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the number, from 0, of the keyframe at or before each sample."""
    if table is None:
        return samples
    fields = Fields(table)
    [numbers] = fields.rows(fields.take(">4xI")[0], ">u4")
    places = np.searchsorted(numbers, samples + 1, "right") - 1
    return np.where(places >= 0, numbers[np.maximum(places, 0)] - 1, 0) if len(numbers) else samples


def _check_item(file: MediaFile, meta: bytes) -> None:
    """Refuse a still picture that consists of several coded pictures."""
    if len(meta) > _LONGEST_META:
        return
    data = meta[4:]
    found = {box.kind: memoryview(data)[box.body : box.end] for box in boxes_in(data)}
    if b"pitm" not in found or b"iinf" not in found:
        return
    primary = Fields(found[b"pitm"]).take(">4xI" if found[b"pitm"][0] else ">4xH")[0]
    kind = dict(_items(found[b"iinf"])).get(primary)
    if kind in _TILED:
        raise UnsupportedMediaError(
            f"the picture is {_TILED[kind]}, which FFmpeg does not assemble: convert it to a single picture "
            "first",
            source=file.source_name,
        )


def _items(table: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield the number and type of each item that ``iinf`` lists."""
    entries = table[8 if table[0] else 6 :]
    for box in boxes_in(entries):
        item = entries[box.body : box.end]
        if box.kind == b"infe" and len(item) and item[0] >= 2:
            fields = Fields(item)
            (number,) = fields.take(">4xH2x" if item[0] == 2 else ">4xI2x")
            yield number, bytes(item[8 if item[0] == 2 else 10 :][:4])
