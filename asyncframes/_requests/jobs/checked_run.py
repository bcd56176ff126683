"""Decodes from one start, and checks each picture against the frame table before releasing it."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import NoReturn, Protocol

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.container.packet_reader import TableMismatchError
from asyncframes._model.table import FrameTable
from asyncframes._requests.shared_table import SharedTable

FALSE_KEYFRAMES_BEFORE_REBUILDING = 2
"""After this many false keyframes, the whole stream is decoded to find the real ones."""

# A table made from packets may be wrong, and skipping pictures would hide that. So pictures are skipped only
# after this many in a row have come out as the table says.
_CONFIRMING_PICTURES = 8


class UnsafeStartError(Exception):
    """Decoding from the chosen start does not output what the frame table says."""


class SpoiltBySkippingError(Exception):
    """A picture is wrong, and others before it were skipped."""


class EndedEarlyError(Exception):
    """A picture is wrong or missing, and the codec was drained before the end of the stream."""


class TableChecks(Protocol):
    """What a run needs from its job."""

    may_skip: bool
    """Whether pictures that no other refers to may be skipped."""
    reads_from_start: bool
    """Whether to read from the start to reach a packet, because seeks proved wrong."""

    @property
    def shared(self) -> SharedTable:
        """The table, and what requests learn about it."""
        ...

    @property
    def decoder(self) -> Decoder:
        """The decoder, reserved for this job."""
        ...

    def meet(self, damage: Damage) -> None:
        """Request a rebuilt table if damage may be reported or skipped only with one."""
        ...

    def report(self, damage: Damage, place: int) -> None:
        """Report a damaged packet or picture, and the index at which it would be shown."""
        ...

    def pass_by(self, row: int, picture: Picture) -> None:
        """Refuse a picture on the way to a frame if it is damaged."""
        ...

    def is_right(self, index: int, picture: Picture) -> bool:
        """Whether a picture equals the one from a decode of the whole stream."""
        ...


@dataclass(slots=True)
class _Decoded:
    """The packets to decode: all before packet `since`, and only the needed ones after it."""

    needed: Container[int]
    since: float

    def __contains__(self, packet: object) -> bool:
        return (isinstance(packet, int) and packet < self.since) or packet in self.needed


class CheckedRun:
    """Decodes from a start, and yields the pictures that are exact from there.

    Parameters
    ----------
    job
        Decides how damage is handled.
    table
        The expected pictures.
    start
        Number of the packet to begin with.
    last_packet
        Number of the last packet to read.
    needed
        Numbers of the packets whose pictures are wanted.
    """

    def __init__(
        self, job: TableChecks, table: FrameTable, start: int, last_packet: int, needed: Container[int]
    ) -> None:
        self._job = job
        self._decoder = job.decoder
        self._shared = job.shared
        self._table = table
        self._start = start
        self._last_packet = last_packet
        self._needed = needed
        self._decoded = _Decoded(needed, since=0 if self._may_skip() else math.inf)
        # The run should begin with the frame of its first packet. If that packet becomes no frame, the first
        # picture that comes out sets the expectation.
        first = table.row_of(start)
        self._expected = first if first >= 0 else None
        self._shown = self._in_order = self._came_out = 0
        self._lost: list[tuple[int, Damage]] = []

    def pictures(self) -> Iterator[tuple[int, Picture] | None]:
        """Yield pictures with their frame indices, and ``None`` where a step may end without one.

        Raises
        ------
        UnsafeStartError
            The start does not decode as the table says.
        SpoiltBySkippingError, EndedEarlyError, DoubtError
            A picture is wrong, and skipping, an early end or threads may be the cause.
        TableMismatchError
            The table is wrong.
        """
        table = self._table
        self._decoder.seek(self._start, table, by_reading=self._job.reads_from_start)
        for output in self._decoder.decode(table=table, last_packet=self._last_packet, needed=self._decoded):
            if isinstance(output, Damage):
                if self._start > 0 and self._became_picture(output):
                    self._give_up_start(f"packet {output.packet} is refused when decoding begins there")
                self._job.meet(output)
                # Times near damage may be wrong. But a picture that came out already is shown earlier, so the
                # lost one belongs after it.
                place = max(self._table.place_of(output.packet), self._came_out)
                self._lost.append((place, output))
                yield None
            else:
                yield self._checked(output)
        self._report_lost(len(table))

    def _became_picture(self, damage: Damage) -> bool:
        """Whether a refused packet became a picture in the decode that the table was built from."""
        return self._table.is_verified and not damage.has_picture and self._table.row_of(damage.packet) >= 0

    def _checked(self, picture: Picture) -> tuple[int, Picture] | None:
        if picture.packet == self._start > 0 and not picture.decodes_alone:
            # Containers flag packets as keyframes that are not. Only the decoded picture shows the truth.
            self._give_up_start("its picture is not a keyframe")
        row = self._row_of(picture)
        self._report_lost(self._table.place_of(picture.packet) if row < 0 else row)
        self._came_out = max(self._came_out, row + 1)
        self._job.pass_by(row, picture)
        # Leading pictures refer to the GOP before the start. That GOP was not decoded, so they are dropped.
        if self._start > 0 and self._table.is_shown_before(picture.packet, self._start):
            return None
        self._check_order(row, picture)
        if row < 0:
            return None
        # A checksum reads every pixel, so it is computed only for pictures that are wanted.
        if picture.packet in self._needed:
            self._check_pixels(row, picture)
        return row, picture

    def _row_of(self, picture: Picture) -> int:
        # Several frames of one packet differ only in their order, and such a table decodes from the start.
        row = self._shown if self._table.has_repeats else self._table.row_of(picture.packet)
        self._shown += 1
        return row

    def _check_order(self, row: int, picture: Picture) -> None:
        """Refuse a picture that a table made from packets places elsewhere."""
        # A verified table was observed in a decode, and `_check_pixels` compares pictures with that decode.
        expected = self._expected
        may_differ = row != expected and not self._table.is_verified
        if may_differ and expected is not None and self._is_unexpected(row, expected):
            raise TableMismatchError(f"packet {picture.packet} came out where frame {expected} was expected")
        self._expected = row + 1
        self._in_order += 1
        if self._in_order == _CONFIRMING_PICTURES and math.isinf(self._decoded.since):
            self._shared.confirm()
            # Packets up to here were decoded without skipping, and `_is_unexpected` has to know which.
            self._decoded.since = self._decoder.reader.number if self._may_skip() else math.inf

    def _is_unexpected(self, row: int, expected: int) -> bool:
        """Whether this picture comes too late, or pictures before it are missing though they were decoded."""
        before = self._table.packet_of[expected:row].tolist()
        missing = (packet for packet in before if packet < self._decoder.reader.number)
        return row < expected or any(packet in self._decoded for packet in missing)

    def _check_pixels(self, row: int, picture: Picture) -> None:
        """Refuse a picture that differs from the one decoded before, and name the likeliest cause."""
        if self._job.is_right(row, picture):
            return
        # Each error makes the job give up one shortcut and decode again: first threads, then skipping, then
        # this start, then the early end. If none of them is left to blame, the table itself is wrong.
        if self._decoder.may_doubt:
            raise DoubtError(f"frame {row} differs from the frame that one thread decodes")
        if self._may_skip():
            raise SpoiltBySkippingError
        if self._start > 0:
            self._give_up_start(f"frame {row} differs from the one in a decode from the beginning")
        self._refuse_table(f"frame {row} differs from the one decoded before")

    def _may_skip(self) -> bool:
        """Whether pictures that are neither wanted nor referred to may be skipped."""
        sure = self._job.may_skip and (self._table.is_verified or self._shared.is_confirmed)
        # If a packet gives no frame or several, a missing picture would not tell a skip from a loss.
        return sure and self._table.is_one_to_one and self._decoder.can_skip_unreferenced

    def _report_lost(self, place: int) -> None:
        """Report the lost packets that would be shown at or before a place."""
        for lost in [lost for lost in self._lost if lost[0] <= place]:
            self._lost.remove(lost)
            self._job.report(lost[1], lost[0])

    def miss(self, index: int) -> NoReturn:
        """Give up the start, because decoding from it did not output a frame that it leads to.

        Raises
        ------
        SpoiltBySkippingError, UnsafeStartError, EndedEarlyError, TableMismatchError
            As `pictures` does.
        """
        if self._may_skip():
            raise SpoiltBySkippingError
        self._give_up_start(f"decoding did not output frame {index}")

    def _give_up_start(self, why: str) -> NoReturn:
        """Never start here again. If this is the first packet, the end or the table is wrong."""
        if self._start == 0:
            self._refuse_table(why)
        # With checksums the table was built by decoding, so a rebuild would not help. After several false
        # keyframes the others are not trusted either: earlier ones are given up together with this one.
        table = self._shared.table
        if table.checksums is not None and len(table.false_keyframes) >= FALSE_KEYFRAMES_BEFORE_REBUILDING:
            self._shared.mark_unsafe_through(self._start)
        else:
            self._shared.mark_unsafe(self._start)
        raise UnsafeStartError(why)

    def _refuse_table(self, why: str) -> NoReturn:
        """Blame the end of the run if it is early, otherwise the table."""
        # A damaged stream may output a picture only after later packets. The decode that made a verified
        # table read all of them, and draining before them loses the picture.
        if self._table.is_verified and self._last_packet + 1 < len(self._table.packets):
            raise EndedEarlyError(why)
        raise TableMismatchError(why)
