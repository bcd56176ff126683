"""What the packets of a codec look like, worked out once for each opened stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asyncframes._media.bitstream.hidden import hidden_packets
from asyncframes._media.bitstream.nal import UnitFormat, unit_format


@dataclass(frozen=True, slots=True)
class PacketSyntax:
    """What the bytes of a stream's packets say without decoding.

    Attributes
    ----------
    units
        How packets hold NAL units, ``None`` for codecs without any.
    is_hidden
        Test for packets that become no frame, ``None`` where bytes do not tell; see `hidden_packets`.
    """

    units: UnitFormat | None = None
    is_hidden: Callable[[bytes], bool] | None = None


def packet_syntax(codec: str, extradata: bytes | None) -> PacketSyntax:
    """Read from a codec's name and its extradata how its packets are made up."""
    units = unit_format(codec, extradata)
    return PacketSyntax(units, hidden_packets(codec, units))
