"""The syntax of a stream's packets, determined once for each opened stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asyncframes._media.bitstream.hidden import hidden_packets
from asyncframes._media.bitstream.nal import UnitFormat, unit_format


@dataclass(frozen=True, slots=True)
class PacketSyntax:
    """What the bytes of a stream's packets tell without decoding.

    Attributes
    ----------
    units
        How packets store NAL units, ``None`` for codecs without them.
    is_hidden
        Test for packets that become no frame, ``None`` if their bytes do not tell; see `hidden_packets`.
    """

    units: UnitFormat | None = None
    is_hidden: Callable[[bytes], bool] | None = None


def packet_syntax(codec: str, extradata: bytes | None) -> PacketSyntax:
    """Determine the syntax of packets from the name of the codec and its extradata."""
    units = unit_format(codec, extradata)
    return PacketSyntax(units, hidden_packets(codec, units))
