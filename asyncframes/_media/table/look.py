"""Looks into packets that a header lists, where that is cheap: some of them become no frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat
from asyncframes._media.describe import CodingHints
from asyncframes._media.files.media_files import DirectFile, MediaFile
from asyncframes._media.table.scan import Scanned
from asyncframes._model.table import BoolArray, Int64Array, Packets

# In a local file up to this size all packets are read; in a larger one, only those too short for a slice.
_SMALL_FILE = 16 * 1024 * 1024

SHORT_REMOTE_BYTES = 512 * 1024
"""Most bytes to fetch from a source that is not a local file, to learn which packets become frames."""

_TOO_SHORT = 9
_MOST_LOOKS = 64

# The longest part of a file that is read in one piece. Packets of other streams in it are read too.
_SPAN = 32 * 1024 * 1024

# After this many units a packet counts as holding a picture.
_MOST_UNITS = 64

# Neighbouring packets are read together, this many bytes at a time.
_READ_BYTES = 1024 * 1024


def looked_at(file: MediaFile, scanned: Scanned, hints: CodingHints) -> Scanned:
    """Find the packets that become no frame or are damaged, among those that a header lists."""
    packets = scanned.packets
    is_hidden, units = hints.syntax.is_hidden, hints.syntax.units
    if is_hidden is None or not len(packets) or np.any(packets.position < 0):
        return scanned
    begin = int(packets.position.min())
    span = int((packets.position + packets.size).max()) - begin
    numbers = _worth_looking_at(file, packets, span)
    hidden, is_doubtful = packets.is_discard.copy(), scanned.is_doubtful
    if len(numbers) == len(packets) and units and units.length_bytes and span < _SPAN:
        data = np.frombuffer(file.read_at(begin, span), np.uint8)
        has_picture, is_broken = _walk_units(data, packets.position - begin, packets.size, units)
        hidden |= ~has_picture & ~is_broken
        is_doubtful |= bool(is_broken.any())
    else:
        for number, packet in _read(file, packets, numbers):
            try:
                hidden[number] |= is_hidden(packet)
            except DamagedPacketError:
                is_doubtful = True
    return replace(scanned, packets=replace(packets, is_discard=hidden), is_doubtful=is_doubtful)


def _walk_units(
    data: NDArray[np.uint8], starts: Int64Array, sizes: Int64Array, units: UnitFormat
) -> tuple[BoolArray, BoolArray]:
    """Walk the units of all packets in parallel, with the same results as `UnitFormat.has_picture`.

    Returns
    -------
    tuple of (ndarray, ndarray)
        For each packet, whether it may hold a picture, and whether its units do not fill
        it exactly.
    """
    width = units.length_bytes
    places, ends = starts.copy(), np.minimum(starts + sizes, len(data))
    has_picture, is_broken = np.zeros((2, len(starts)), np.bool_)
    is_broken |= ends < starts + sizes
    left = np.flatnonzero(~is_broken)
    for _ in range(_MOST_UNITS):
        is_cut = places[left] + width > ends[left]
        is_broken[left[is_cut]] = True
        left = left[~is_cut]
        begins = places[left] + width
        lengths = sum(
            data[places[left] + byte].astype(np.int64) << 8 * (width - 1 - byte) for byte in range(width)
        )
        is_cut = begins + lengths > ends[left]
        is_broken[left[is_cut]] = True
        left, begins, lengths = left[~is_cut], begins[~is_cut], lengths[~is_cut]
        full = lengths > 0
        has_picture[left[full]] |= units.may_be_pictures(data[begins[full]])
        places[left] = begins + lengths
        left = left[places[left] < ends[left]]
        if not len(left):
            break
    has_picture[left] = True
    return has_picture, is_broken


def _worth_looking_at(file: MediaFile, packets: Packets, span: int) -> Int64Array:
    is_local = isinstance(file, DirectFile)
    is_small = int(packets.size.sum()) <= _SMALL_FILE if is_local else span <= SHORT_REMOTE_BYTES
    if is_small:
        return np.argsort(packets.position, kind="stable")
    return np.flatnonzero(packets.size < _TOO_SHORT)[-_MOST_LOOKS:]


def _read(file: MediaFile, packets: Packets, numbers: Int64Array) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of packets. Neighbouring packets are read together."""
    begin, data = 0, b""
    for number in numbers.tolist():
        start, size = int(packets.position[number]), int(packets.size[number])
        if not begin <= start <= start + size <= begin + len(data):
            together = size if len(numbers) <= _MOST_LOOKS else max(size, _READ_BYTES)
            begin, data = start, file.read_at(start, together)
        yield number, data[start - begin : start - begin + size]
