"""Holds pictures back until everything decoded before them is known to be intact."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.bitstream.frame_numbers import FrameNumbers
from asyncframes._media.bitstream.nal import UnitFormat
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.pyav import packet_of


class DoubtError(Exception):
    """From here on, the output may differ from that of a single non-strict thread.

    Attributes
    ----------
    is_damage
        Whether there is damage. If not, a packet became no picture, which also happens to
        second fields.
    """

    def __init__(self, message: str, *, is_damage: bool = True) -> None:
        super().__init__(message)
        self.is_damage = is_damage


class HeldPictures:
    """Releases a picture once every earlier packet has become a picture without a sign of damage.

    A picture refers only to pictures of earlier packets, but it may be output before some
    of them. Damage may also show only after the pictures that it spoils.

    Parameters
    ----------
    run_ahead
        Whether packets are decoded in parallel, so that damage may show after the pictures it spoils.
    marks_late
        Whether damage is marked only on its own picture. Pictures that refer to it may come
        out before it. If `run_ahead` is false too, nothing is held.
    most
        The most packets that a decoder may take between a packet and its picture.
    units
        How packets hold NAL units; shows which of them a decoder skips.
    numbers
        Tracks the numbers of reference pictures, if the codec has them.
    """

    def __init__(
        self,
        *,
        run_ahead: bool,
        marks_late: bool = False,
        most: int,
        units: UnitFormat | None = None,
        numbers: FrameNumbers | None = None,
    ) -> None:
        self._run_ahead = run_ahead
        self._waits = run_ahead or marks_late
        self._most = most
        self._units = units
        self._numbers = numbers
        # A dict rather than a set, because it keeps order: its first key is the oldest such packet.
        self._unanswered: dict[int, None] = {}
        # Packets whose pictures an edit list hides: their pictures count as evidence and are then dropped.
        self._unshown: set[int] = set()
        self._pictures: deque[Picture] = deque()
        self._has_keyframe = False
        self._first_pts: int | None = None

    def reset(self) -> None:
        """Drop all state after a seek."""
        self._unanswered.clear()
        self._unshown.clear()
        self._pictures.clear()
        self._has_keyframe = False
        self._first_pts = None
        if self._numbers is not None:
            self._numbers.reset()

    def expect(
        self, packet: Packet[VideoStream], number: int, *, skips: bool = False, is_known: bool = False
    ) -> Packet[VideoStream]:
        """Expect a packet's picture, unless it is shown before the first keyframe after a seek.

        Parameters
        ----------
        packet
            The packet, whose number is `number`.
        skips
            Whether the decoder skips pictures that no other refers to.
        is_known
            Whether the numbers of all pictures are known to be complete.

        Returns
        -------
        Packet
            The packet to decode instead.

        Raises
        ------
        DoubtError
            The packet is marked as damaged, a reference is missing, or an earlier packet became no picture.
        """
        numbers = None if is_known else self._numbers
        # Copying the bytes costs time, so they are copied only for the checks that read them.
        data = bytes(packet) if numbers is not None or skips or packet.is_discard else b""
        # What a decoder substitutes for a missing reference depends on the pictures it skipped before, so a
        # gap in the numbers is a doubt.
        if numbers is not None and not numbers.take(data):
            raise DoubtError("a picture that others refer to is missing")
        if packet.is_corrupt:
            raise DoubtError(f"the container marks packet {number} as damaged")
        # The decoder skips this packet, so waiting for its picture would never end.
        if skips and self._units is not None and not self._units.is_reference(data):
            return packet
        self._wait_for(packet, number)
        if not packet.is_discard:
            return packet
        # The edit list hides this picture, but others may refer to it. PyAV would drop the picture and the
        # mark of its damage with it. So the flag is removed, and the picture is dropped here instead.
        self._unshown.add(number)
        return _without_flags(packet, data)

    def _wait_for(self, packet: Packet[VideoStream], number: int) -> None:
        self._note_keyframe(packet)
        if not self._waits or not self._is_beyond_first_keyframe(packet):
            return
        self._unanswered[number] = None
        # A packet that became no picture shows no other sign. The count of packets after it reveals it.
        first = next(iter(self._unanswered))
        if first < number - self._most:
            raise DoubtError(f"packet {first} became no picture", is_damage=False)

    def _note_keyframe(self, packet: Packet[VideoStream]) -> None:
        if not self._has_keyframe:
            self._has_keyframe, self._first_pts = packet.is_keyframe, packet.pts

    def _is_beyond_first_keyframe(self, packet: Packet[VideoStream]) -> bool:
        """Whether all references of a picture were decoded; decoders drop pictures that lack one."""
        if not self._has_keyframe:
            return False
        # A picture shown before the keyframe may refer to the GOP before the seek, which was not decoded.
        return packet.pts is None or self._first_pts is None or packet.pts >= self._first_pts

    def sure(self, outputs: Iterable[Picture | Damage]) -> list[Picture]:
        """Take the codec's output, and return the pictures that are beyond doubt.

        Raises
        ------
        DoubtError
            At the first sign of damage.
        """
        for output in outputs:
            if isinstance(output, Damage):
                raise DoubtError(output.reason)
            if output.is_damaged:
                raise DoubtError(f"the picture of packet {output.packet} is marked as damaged")
            # A lost second field leaves no mark on its picture, so only one thread decodes fields.
            if self._run_ahead and output.frame.interlaced_frame:
                raise DoubtError(
                    "pictures consist of fields, and a lost field leaves no mark", is_damage=False
                )
            self._unanswered.pop(output.packet, None)
            if output.packet in self._unshown:
                self._unshown.discard(output.packet)
            else:
                self._pictures.append(output)
        # Every packet before the oldest open one has become an intact picture, and references go back only.
        # The queue keeps the decoder's output order, so one picture that waits holds back all behind it.
        certain: list[Picture] = []
        oldest = next(iter(self._unanswered), math.inf)
        while self._pictures and self._pictures[0].packet <= oldest:
            certain.append(self._pictures.popleft())
        return certain

    def finish(self) -> Iterator[Picture]:
        """Yield the remaining pictures once the codec is drained.

        Raises
        ------
        DoubtError
            A packet became no picture. PyAV drops errors while it drains, so this is the only sign.
        """
        if self._unanswered:
            message = f"packet {next(iter(self._unanswered))} became no picture"
            raise DoubtError(message, is_damage=False)
        while self._pictures:
            yield self._pictures.popleft()


def _without_flags(packet: Packet[VideoStream], data: bytes) -> Packet[VideoStream]:
    """Copy a packet without its discard flag, so that the decoder outputs its picture and any damage mark."""
    # The pts is not copied, because the decoder replaces it by the packet's number anyway.
    copy = packet_of(data)
    copy.dts = packet.dts
    return copy
