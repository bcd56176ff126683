"""Tells by the headers of MPEG-4 pictures whether a decoder shows all of them, in the order of their times.

ISO/IEC 14496-2: 6.2.3 (video object layers), 6.2.4 (groups of pictures), 6.2.5 (video object planes).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence

from asyncframes._media.bitstream.bits import Bits
from asyncframes._media.bitstream.nal import DamagedPacketError
from asyncframes._media.stepwise import mapped

_START_CODE = re.compile(rb"\x00\x00\x01([\x20-\x2f\xb3\xb6])", re.DOTALL)
_GROUP, _PLANE = 0xB3, 0xB6

# FFmpeg looks for packed pictures after this mark in user data.
_PACKS = b"DivX"

# The fields up to the time fit into this many bytes of a header.
_HEADER_BYTES = 48

_BIDIRECTIONAL = 2

# Of these profiles, FFmpeg shows pictures as soon as they are decoded, unless the header says otherwise.
_SIMPLE = {1, 17}

_EXTENDED_ASPECT, _RECTANGULAR = 15, 0
_BUFFER_BITS = 79

# FFmpeg keeps the distance of two times in 16 bits.
_DISTANCE = 0xFFFF


class UnknownTimesError(Exception):
    """The times of pictures cannot be read from their headers."""


class VopOrder:
    """Follows the times of MPEG-4 pictures, which a decoder computes as differences from earlier ones.

    A picture that refers to two others is shown between them. A decoder skips it if its header
    says otherwise, as after a cut.

    Parameters
    ----------
    extradata
        Holds the header of the video object layer, unless packets hold it.
    """

    def __init__(self, extradata: bytes) -> None:
        self._time_bits: int | None = None
        self._resolution = 0
        self._may_be_packed = False
        self._is_low_delay: int | None = None
        self._base = self._last_base = 0
        # Of the last two pictures that others may refer to, the newest last.
        self._times: list[int] = []
        self._pts: list[int] = []
        self._extradata = extradata

    def agrees_with(self, packets: Iterable[bytes], pts: Sequence[int]) -> Generator[None, None, bool]:
        """Return whether every packet becomes a picture, shown in the order of the pts, in steps.

        Parameters
        ----------
        packets
            All packets of the stream, in decode order.
        pts
            The pts of each packet.

        Returns
        -------
        bool
            ``True`` too if it cannot be told.
        """
        try:
            self._take(self._extradata, None)
            return all((yield from mapped(self._take_packet, zip(packets, pts, strict=True))))
        except UnknownTimesError:
            return True
        except DamagedPacketError:
            return False

    def _take_packet(self, packet: tuple[bytes, int]) -> bool:
        return self._take(*packet)

    def _take(self, data: bytes, pts: int | None) -> bool:
        """Read the headers of a packet, and return whether its picture is shown where its pts says."""
        agrees, has_picture = True, False
        for code in _START_CODE.finditer(data):
            bits = Bits(data[code.end() : code.end() + _HEADER_BYTES], escaped=False)
            kind = code[1][0]
            if kind == _GROUP:
                self._base = _seconds(bits)
            elif kind != _PLANE:
                self._may_be_packed |= _PACKS in data
                self._take_layer(bits)
            elif pts is None:
                raise UnknownTimesError
            elif has_picture:
                # Packed pictures come out with the next packet. Without that, the second one is ignored.
                if self._may_be_packed:
                    raise UnknownTimesError
                return False
            else:
                has_picture = True
                agrees = self._take_plane(bits, pts)
        return agrees

    def _take_layer(self, bits: Bits) -> None:
        bits.take(1)
        is_simple = bits.take(8) in _SIMPLE
        is_low_delay = int(is_simple) if self._is_low_delay is None else self._is_low_delay
        if bits.take(1):
            bits.take(4 + 3)
        if bits.take(4) == _EXTENDED_ASPECT:
            bits.take(16)
        if bits.take(1):
            bits.take(2)
            is_low_delay = bits.take(1)
            if bits.take(1):
                bits.take(_BUFFER_BITS)
        self._note_delay(is_low_delay)
        if bits.take(2) != _RECTANGULAR:
            raise UnknownTimesError
        bits.take(1)
        self._resolution = bits.take(16)
        self._time_bits = max(1, (self._resolution - 1).bit_length())

    def _note_delay(self, is_low: int) -> None:
        """Note whether pictures are shown as soon as they are decoded; a change repeats one or loses one."""
        if self._is_low_delay not in {None, is_low}:
            raise DamagedPacketError
        self._is_low_delay = is_low

    def _take_plane(self, bits: Bits, pts: int) -> bool:
        if self._time_bits is None:
            raise UnknownTimesError
        is_bidirectional = bits.take(2) == _BIDIRECTIONAL
        seconds = 0
        while bits.take(1):
            seconds += 1
        bits.take(1)
        within = bits.take(self._time_bits)
        bits.take(1)
        is_coded = bits.take(1) == 1
        if is_bidirectional:
            time = (self._last_base + seconds) * self._resolution + within
            return is_coded and not self._is_low_delay and self._is_between(time, pts)
        self._last_base = self._base
        self._base += seconds
        self._times = [*self._times[-1:], self._base * self._resolution + within]
        self._pts = [*self._pts[-1:], pts]
        return is_coded

    def _is_between(self, time: int, pts: int) -> bool:
        """Whether a picture is shown between the two that it refers to."""
        if len(self._times) < 2:
            return False
        before, after = self._times
        between = (after - before) & _DISTANCE
        since = (between - (after - time)) & _DISTANCE
        return 0 < since < between and self._pts[0] < pts < self._pts[1]


def _seconds(bits: Bits) -> int:
    hours, minutes = bits.take(5), bits.take(6)
    bits.take(1)
    return 3600 * hours + 60 * minutes + bits.take(6)
