"""Reads the headers of packets with FFmpeg's parsers of bitstreams, which decode no picture."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import chain
from typing import Protocol, TypeAlias

from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat, unit_format
from asyncframes._media.boundary import PyAVCalls, PyAVError
from asyncframes._media.pyav import codec_name, packet_of
from asyncframes._media.stepwise import mapped

# These filters parse all headers and refuse invalid values. Without options they change nothing.
_FILTERS = {
    "av1": "av1_metadata",
    "h264": "h264_metadata",
    "hevc": "hevc_metadata",
    "libdav1d": "av1_metadata",
    "mpeg2video": "mpeg2_metadata",
    "vp9": "vp9_metadata",
}

HEAD_BYTES = 128
"""Nearly every header of a slice fits into this many bytes."""

# Packets that are parsed in one call.
_TOGETHER = 32


Heads: TypeAlias = "list[bytes] | None"
"""The units of a packet, of slices only the first bytes; ``None`` if the packet is damaged."""


class PacketBytes(Protocol):
    """The bytes of packets by their numbers."""

    def __getitem__(self, number: int, /) -> bytes: ...


class HeaderReader:
    """Tells which packets of a stream have headers that a decoder accepts.

    It keeps the parameter sets that packets hold, so they are passed in decode order.

    Parameters
    ----------
    parser
        Raises for a packet with an invalid header.
    units
        How packets store NAL units, ``None`` for codecs without them.
    """

    def __init__(self, parser: BitStreamFilterContext, units: UnitFormat | None) -> None:
        self._parser = parser
        self._units = units

    def accepts(self, packet: bytes) -> bool:
        """Whether a packet holds a picture, and its headers are valid."""
        if self._units is None:
            return self._passes([packet])
        try:
            return self._units.has_picture(packet) and self._is_valid(packet, self._units)
        except DamagedPacketError:
            return False

    def refused(self, packets: PacketBytes, heads: Sequence[Heads]) -> Generator[None, None, list[int]]:
        """Return the numbers of the packets whose headers are invalid, in steps.

        Parameters
        ----------
        packets
            The packets of a stream in decode order.
        heads
            The heads of each, up to `HEAD_BYTES`, if the codec has NAL units.
        """
        if self._units is None:
            passed = yield from mapped(lambda number: self._passes([packets[number]]), range(len(heads)))
            return [number for number, passes in enumerate(passed) if not passes]
        suspects: list[int] = []
        for first in range(0, len(heads), _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, len(heads)))
            some = [heads[number] for number in numbers]
            # Units are parsed without regard to packets.
            if None in some or not self._passes(chain.from_iterable(filter(None, some))):
                suspects.extend(numbers)
            yield
        return [number for number in suspects if not self._is_valid(packets[number], self._units)]

    def _is_valid(self, packet: bytes, units: UnitFormat) -> bool:
        try:
            return self._passes(units.heads(packet, len(packet)))
        except DamagedPacketError:
            return False

    def _passes(self, units: Iterable[bytes]) -> bool:
        data = b"".join(units) if self._units is None else self._units.packet_of(units)
        if not data:
            return True
        packet = packet_of(data)
        try:
            with PyAVCalls():
                self._parser.filter(packet)
        except PyAVError:
            return False
        return True


def header_reader(stream: VideoStream) -> HeaderReader | None:
    """Return the reader for a stream, ``None`` if FFmpeg has no parser for its codec or its extradata."""
    name, extradata = codec_name(stream.codec_context), stream.codec_context.extradata
    if name not in _FILTERS:
        return None
    try:
        with PyAVCalls():
            parser = BitStreamFilterContext(_FILTERS[name], stream)
    except PyAVError:
        return None
    return HeaderReader(parser, unit_format(name, extradata))
