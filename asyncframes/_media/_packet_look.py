"""Packets that a header lists, looked at where that costs little: some become no frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from asyncframes._media._files import DirectFile, MediaFile
from asyncframes._media._nal import DamagedPacketError
from asyncframes._media._scan import Scanned
from asyncframes._table import Int64Array, Packets

# Of a local file up to this long all packets are looked at; of others, those too short for a slice.
_SMALL_FILE = 16 * 1024 * 1024
_TOO_SHORT = 9
_MOST_LOOKS = 64

# Packets are read together, so many bytes at a time.
_READ_BYTES = 1024 * 1024


def looked_at(file: MediaFile, scanned: Scanned, is_hidden: Callable[[bytes], bool] | None) -> Scanned:
    """Find the packets that become no frame, or are damaged, among those that a header lists."""
    packets = scanned.packets
    if is_hidden is None or not len(packets) or np.any(packets.position < 0):
        return scanned
    hidden, is_doubtful = packets.is_discard.copy(), scanned.is_doubtful
    for number, data in _read(file, packets, _worth_looking_at(file, packets)):
        try:
            hidden[number] |= is_hidden(data)
        except DamagedPacketError:
            is_doubtful = True
    return replace(scanned, packets=replace(packets, is_discard=hidden), is_doubtful=is_doubtful)


def _worth_looking_at(file: MediaFile, packets: Packets) -> Int64Array:
    if isinstance(file, DirectFile) and int(packets.size.sum()) <= _SMALL_FILE:
        return np.argsort(packets.position, kind="stable")
    return np.flatnonzero(packets.size < _TOO_SHORT)[-_MOST_LOOKS:]


def _read(file: MediaFile, packets: Packets, numbers: Int64Array) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of packets, reading those together that lie together."""
    begin, data = 0, b""
    for number in numbers.tolist():
        start, size = int(packets.position[number]), int(packets.size[number])
        if not begin <= start <= start + size <= begin + len(data):
            together = max(size, _READ_BYTES if isinstance(file, DirectFile) else 0)
            begin, data = start, file.read_at(start, together)
        yield number, data[start - begin : start - begin + size]
