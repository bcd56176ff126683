"""The end of a decode: late damage marks, and the place of damage among the last pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from asyncframes._media.bitstream.nal import UnitFormat
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.pyav import packet_of


def await_marks(
    codec: VideoCodecContext,
    units: UnitFormat,
    decode: Callable[[Packet[VideoStream]], Iterable[Picture | Damage]],
) -> list[Picture | Damage]:
    """Wait for all frame threads of a codec, and return what they output meanwhile.

    A thread marks damage when it finishes its picture. Draining may output the picture
    before that, without the mark.
    """
    outputs: list[Picture | Damage] = []
    before = codec.skip_frame
    # A packet without a picture, like this delimiter, is an error unless pictures are being skipped.
    codec.skip_frame = "NONREF"
    try:
        # Threads take packets in turn, and each finishes its picture before it takes another packet.
        for _ in range(codec.thread_count):
            outputs += decode(packet_of(units.delimiter()))
    finally:
        # Restored before the caller yields anything: an abandoned generator would leave pictures skipped.
        codec.skip_frame = before
    return outputs


def shown_before(outputs: Iterable[Picture | Damage], dts: float) -> Iterator[Picture | Damage]:
    """Yield the outputs up to the first that may be shown after a packet with this dts."""
    # No pts precedes its own dts. So a pts below this dts is below the pts of all packets from there on.
    return takewhile(lambda output: _is_before(output, dts), outputs)


def with_damage_at(dts: float, damage: Damage, outputs: list[Picture | Damage]) -> list[Picture | Damage]:
    """Insert damage where the packets from a dts on would be shown."""
    before = len(list(shown_before(outputs, dts)))
    return [*outputs[:before], damage, *outputs[before:]]


def _is_before(output: Picture | Damage, dts: float) -> bool:
    return isinstance(output, Picture) and output.pts is not None and output.pts < dts
