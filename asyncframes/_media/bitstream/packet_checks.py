"""Tells by the headers of its packets whether a stream is damaged so that packets may become no frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from av.video.stream import VideoStream

from asyncframes._media.bitstream.frame_numbers import frame_numbers
from asyncframes._media.bitstream.header_reader import HEAD_BYTES, Heads, PacketBytes, header_reader
from asyncframes._media.bitstream.nal import DamagedPacketError, unit_format
from asyncframes._media.bitstream.picture_order import H264Order, picture_order
from asyncframes._media.bitstream.slice_fields import SliceFields
from asyncframes._media.bitstream.unit_walk import UnitWalk
from asyncframes._media.bitstream.vop_order import VopOrder
from asyncframes._media.pyav import codec_name
from asyncframes._media.stepwise import mapped

# Reading the headers of this many packets takes about half a second.
_MOST_PACKETS = 50_000


class PacketChecks:
    """Checks the packets of a stream once.

    Parameters
    ----------
    stream
        The stream, which is not referred to later.

    Attributes
    ----------
    are_accepted
        Whether `HeaderReader.accepts` is known to hold for every packet that was checked.
    """

    def __init__(self, stream: VideoStream) -> None:
        codec, extradata = codec_name(stream.codec_context), stream.codec_context.extradata
        units = unit_format(codec, extradata)
        self._units = units
        self.are_accepted = False
        self._headers = header_reader(stream)
        self._numbers = frame_numbers(units, extradata)
        self._order = picture_order(units, extradata)
        self._vops = VopOrder(extradata or b"") if codec == "mpeg4" else None

    @property
    def can_tell(self) -> bool:
        """Whether anything is known about the codec."""
        return self._headers is not None or self._vops is not None

    def find_damage(
        self, packets: Iterable[bytes] | UnitWalk, pts: Sequence[int]
    ) -> Generator[None, None, bool]:
        """Return whether packets of a stream are damaged, in steps.

        Parameters
        ----------
        packets
            All packets of the stream, in decode order, or their units.
        pts
            The pts of each packet, which are distinct.
        """
        if len(pts) > _MOST_PACKETS:
            return False
        if self._vops is not None and not isinstance(packets, UnitWalk):
            return not (yield from self._vops.agrees_with(packets, pts))
        if self._headers is None:
            return False
        read: PacketBytes
        unsure: Sequence[int]
        if isinstance(packets, UnitWalk):
            read, heads, unsure = packets, packets.heads(HEAD_BYTES), packets.unsure
        else:
            read = listed = [*packets]
            heads, unsure = (yield from mapped(self._head, listed)), range(len(listed))
        refused = yield from self._headers.refused(read, heads)
        if refused:
            # If all are refused, the stream has something that the parser does not know.
            return len(refused) < len(heads)
        found = [units or [] for units in heads]
        self.are_accepted = self._units is None or all(
            self._units.is_picture(found[number]) for number in unsure
        )
        if isinstance(self._order, H264Order) and (slices := self._order.slices_of(found)) is not None:
            return not (self._count_on(slices) and self._order.slices_agree(slices, pts))
        if self._numbers is not None and not all((yield from mapped(self._numbers.take_units, found))):
            return True
        return self._order is not None and not (yield from self._order.agrees_with(found, pts))

    def _count_on(self, slices: list[SliceFields]) -> bool:
        if self._numbers is None:
            return True
        take = self._numbers.take_picture
        return all(take(fields.number, fields.is_reference, fields.is_idr) for fields in slices)

    def _head(self, packet: bytes) -> Heads:
        if self._units is None:
            return None
        try:
            return self._units.heads(packet, HEAD_BYTES)
        except DamagedPacketError:
            return None
