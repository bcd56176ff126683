"""Looks into packets that a header lists, where that is cheap: some of them become no frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

import numpy as np

from asyncframes._media.bitstream.nal import DamagedPacketError
from asyncframes._media.bitstream.packet_syntax import PacketSyntax
from asyncframes._media.bitstream.unit_walk import UnitWalk
from asyncframes._media.describe import CodingHints
from asyncframes._media.files.media_files import DirectFile, MediaFile
from asyncframes._media.table.scan import SMALL_FILE, Scanned
from asyncframes._model.packets import SoundPackets
from asyncframes._model.table import Int64Array, Packets

SHORT_REMOTE_BYTES = 512 * 1024
"""Most bytes to fetch from a source that is not a local file, to learn which packets become frames."""

_TOO_SHORT = 9
_MOST_LOOKS = 64

# The longest part of a file that is read in one piece. Packets of other streams in it are read too.
_SPAN = 32 * 1024 * 1024

# Neighbouring packets are read together, this many bytes at a time.
_READ_BYTES = 1024 * 1024


def looked_at(file: MediaFile, scanned: Scanned, hints: CodingHints) -> Generator[None, None, Scanned]:
    """Find the packets that become no frame or are damaged, among those that a header lists, in steps.

    All packets of a small file are looked at. Of a larger one, only those are that are too short for a slice.
    """
    packets, syntax = scanned.packets, hints.syntax
    can_tell = syntax.is_hidden is not None or (scanned.checks is not None and scanned.checks.can_tell)
    if not can_tell or not len(packets) or np.any(packets.position < 0):
        return scanned
    begin = int(packets.position.min())
    span = int((packets.position + packets.size).max()) - begin
    if not _is_small(file, packets, span):
        short = np.flatnonzero(packets.size < _TOO_SHORT)[-_MOST_LOOKS:]
        return _with_hidden(scanned, syntax, dict(_read(file, packets, short)))
    if syntax.units is None or not syntax.units.length_bytes or span >= _SPAN:
        found: dict[int, bytes] = {}
        for number, packet in _read(file, packets, np.argsort(packets.position, kind="stable")):
            found[number] = packet
            yield
        looked = _with_hidden(scanned, syntax, found)
        return (yield from _checked(looked, (found[number] for number in range(len(packets)))))
    data = file.read_at(begin, span)
    starts = packets.position - begin
    walk = UnitWalk(data, starts, packets.size, syntax.units)
    looked = replace(
        scanned,
        packets=replace(packets, is_discard=packets.is_discard | ~walk.has_picture & ~walk.is_broken),
        is_doubtful=scanned.is_doubtful or bool(walk.is_broken.any()),
    )
    return (yield from _checked(looked, walk))


def _with_hidden(scanned: Scanned, syntax: PacketSyntax, read: dict[int, bytes]) -> Scanned:
    """Look for packets that become no frame, one by one."""
    hidden, is_doubtful = scanned.packets.is_discard.copy(), scanned.is_doubtful
    for number, packet in read.items():
        try:
            hidden[number] |= syntax.is_hidden is not None and syntax.is_hidden(packet)
        except DamagedPacketError:
            is_doubtful = True
    return replace(scanned, packets=replace(scanned.packets, is_discard=hidden), is_doubtful=is_doubtful)


def _checked(scanned: Scanned, packets: Iterable[bytes] | UnitWalk) -> Generator[None, None, Scanned]:
    """Check the headers of all packets, which come in decode order."""
    checks = scanned.checks
    if checks is None or scanned.is_doubtful:
        return replace(scanned, checks=None)
    is_doubtful = yield from checks.find_damage(packets, scanned.packets.pts.tolist())
    listed = SoundPackets.of(scanned.packets) if checks.are_accepted else scanned.packets
    return replace(scanned, packets=listed, is_doubtful=is_doubtful, checks=None)


def _is_small(file: MediaFile, packets: Packets, span: int) -> bool:
    """Whether all packets may be read."""
    is_local = isinstance(file, DirectFile)
    return int(packets.size.sum()) <= SMALL_FILE if is_local else span <= SHORT_REMOTE_BYTES


def _read(file: MediaFile, packets: Packets, numbers: Int64Array) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of packets. Neighbouring packets are read together."""
    begin, data = 0, b""
    for number in numbers.tolist():
        start, size = int(packets.position[number]), int(packets.size[number])
        if not begin <= start <= start + size <= begin + len(data):
            together = size if len(numbers) <= _MOST_LOOKS else max(size, _READ_BYTES)
            begin, data = start, file.read_at(start, together)
        yield number, data[start - begin : start - begin + size]
