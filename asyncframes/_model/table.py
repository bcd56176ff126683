"""The frame table: the frames of a stream, and the packets that they come from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.archive import ArchiveError
from asyncframes._model.entries import as_seconds, as_tolerance
from asyncframes._model.packets import (
    NO_TIMESTAMP,
    BoolArray,
    Int64Array,
    Packets,
    SourceIdentity,
    presentation_ranks,
    read_only,
)
from asyncframes._model.quoting import quoted
from asyncframes._model.ranges import ByteRange, near_ranges
from asyncframes._model.shown import Clock, ticks_of, ticks_shown
from asyncframes._model.table_file import TableFields, pack_table, unpack_table
from asyncframes._model.timing import as_float, ticks_to_seconds
from asyncframes._runtime.whole_files import write_whole
from asyncframes.errors import FrameIndexError

__all__ = ["NO_TIMESTAMP", "BoolArray", "FrameTable", "Int64Array", "Packets", "SourceIdentity"]

# Packets with a gap of at most this many bytes between them are read as one range: a request costs more.
_GAP_WORTH_READING = 64 * 1024


@dataclass(frozen=True, eq=False, repr=False)
class FrameTable:
    """One row per frame, in presentation order. `Video.frame_table` returns it.

    Row i is frame i: the i-th frame that a sequential decode outputs. A table
    is immutable and its arrays are read-only. You can save it, and pass it to
    `open_video` later for the same bytes.

    Attributes
    ----------
    packets
        The packets in decode order.
    time_base
        Seconds per tick.
    packet_of
        Number of the packet that each frame comes from, ``int64``.
    is_verified
        Whether the rows were observed by decoding the whole stream. If not, they
        follow from the packets' timestamps; see `is_provisional`.
    average_rate
        Frames per second according to the container; ``None`` if it does not say.
    false_keyframes
        Numbers of packets that are flagged as keyframes but proved not to be.
        Decoding never starts there, and `is_keyframe` is false for them.
    identity
        Identifies the bytes that the table describes; ``None`` if unknown.
    headers
        The headers between the media of a fragmented MP4, each with the position of
        its first byte. They were fetched one by one, and seeking needs them.
    checksums
        Checksum of each decoded picture, ``int64``; ``None`` unless the whole
        stream was decoded.
    is_damaged
        Whether the decoder marked each picture as damaged; ``None`` unless the
        whole stream was decoded.
    """

    packets: Packets
    time_base: Fraction
    packet_of: NDArray[np.int64]
    is_verified: bool = False
    average_rate: Fraction | None = None
    false_keyframes: frozenset[int] = frozenset()
    identity: SourceIdentity | None = None
    headers: Sequence[tuple[int, bytes]] = ()
    checksums: NDArray[np.int64] | None = None
    is_damaged: NDArray[np.bool_] | None = None
    has_repeats: bool = field(init=False)
    """Whether some packets give several frames, which only a decode from the start can tell apart."""
    _row_of: Int64Array = field(init=False)
    _has_extra: bool = field(init=False)
    _rank: Int64Array = field(init=False)
    _starts: Int64Array = field(init=False)

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base={self.time_base}: expected more than 0 seconds per tick")
        row_of = np.full(len(self.packets), -1, np.int64)
        row_of[self.packet_of] = np.arange(len(self.packet_of))
        has_repeats = np.count_nonzero(row_of >= 0) < len(self.packet_of)
        keyframes = np.flatnonzero(self.packets.is_keyframe & (not has_repeats))
        self.__dict__.update(
            packet_of=read_only(self.packet_of),
            false_keyframes=frozenset(self.false_keyframes),
            headers=tuple(self.headers),
            checksums=None if self.checksums is None else read_only(self.checksums),
            is_damaged=None if self.is_damaged is None else read_only(self.is_damaged),
            has_repeats=has_repeats,
            _row_of=read_only(row_of),
            _has_extra=bool(np.any((row_of < 0) & ~self.packets.is_discard)),
            _rank=read_only(presentation_ranks(self.packets, row_of)),
            _starts=read_only(_without(keyframes, self.false_keyframes)),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled arrays are writable. `__post_init__` makes them read-only again.
        return type(self), tuple(self._fields().values())

    def _fields(self) -> TableFields:
        return cast("TableFields", {one.name: getattr(self, one.name) for one in fields(self) if one.init})

    def _copied(self, **changes: Any) -> Self:
        """Copy the table without sorting its packets again."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__ | changes)
        return copied

    def of_source(self, identity: SourceIdentity | None, headers: Iterable[tuple[int, bytes]]) -> Self:
        """Return this table with the identity and headers of its source."""
        return self._copied(identity=identity, headers=tuple(headers))

    def without_keyframes(self, packets: Iterable[int]) -> Self:
        """Return this table with more packets in `false_keyframes`."""
        false = self.false_keyframes | {*packets}
        copied = self._copied(false_keyframes=false, _starts=read_only(_without(self._starts, false)))
        copied.__dict__.pop("is_keyframe", None)
        return copied

    def __repr__(self) -> str:
        seconds = float(self.duration_seconds.sum())
        length = f"{len(self):,} frames" + ("" if np.isnan(seconds) else f", {seconds:.6g} s")
        return f"FrameTable({length}, {'provisional' if self.is_provisional else 'verified'})"

    def __len__(self) -> int:
        return len(self.packet_of)

    @cached_property
    def pts(self) -> NDArray[np.int64]:
        """Presentation time of each frame in ticks, ``int64``; `NO_TIMESTAMP` if missing."""
        return read_only(self.packets.pts[self.packet_of])

    @cached_property
    def pts_seconds(self) -> NDArray[np.float64]:
        """Presentation time of each frame in seconds, ``float64``; NaN if missing."""
        is_known = self.pts != NO_TIMESTAMP
        seconds = np.full(len(self), np.nan)
        seconds[is_known] = ticks_to_seconds(self.pts[is_known], self.time_base)
        return read_only(seconds)

    @cached_property
    def duration_seconds(self) -> NDArray[np.float64]:
        """How long each frame is shown in seconds, ``float64``; NaN if frames have no times.

        A frame is shown until the next one. The last frame is shown for its packet's
        duration, or if the container gives none, as long as the frame before it. If
        several frames have the same time, only the first is shown, and the others last
        0 seconds.
        """
        try:
            durations = self.clock().durations() if len(self) else np.zeros(0, np.int64)
        except ValueError:
            return read_only(np.full(len(self), np.nan))
        return read_only(ticks_to_seconds(durations, self.time_base))

    @cached_property
    def is_keyframe(self) -> NDArray[np.bool_]:
        """Whether each frame's packet starts a GOP, ``bool``."""
        flags = self.packets.is_keyframe[self.packet_of]
        return read_only(flags & ~np.isin(self.packet_of, [*self.false_keyframes]))

    def index_at(self, seconds: float | Fraction, *, tolerance_seconds: float | Fraction = 0) -> int:
        """Return the index of the frame that is shown at a time.

        The rule is the same as in ``video.frames(times=…)``: a time selects a frame from
        half a tick before its pts, unless frames are one tick apart. If several frames
        have the same time, the first is selected.

        Parameters
        ----------
        seconds
            The time, on the same scale as `pts_seconds`. Not every video begins at 0.
        tolerance_seconds
            How much earlier the time may be than this rule allows.

        Raises
        ------
        FrameIndexError
            No frame is shown at that time.
        ValueError
            A number is not finite, or the video has no times.
        """
        exact, tolerance = as_seconds(seconds), as_tolerance(tolerance_seconds)
        return int(self.rows_at(np.array([exact], object), tolerance)[0])

    def rows_at(self, times: NDArray[Any], tolerance: Fraction) -> Int64Array:
        """Return the frames that are shown at times in seconds; see `index_at`."""
        if not len(times):
            return np.empty(0, np.int64)
        if not len(self):
            raise FrameIndexError(
                f"{as_float(times[0]):.6g} s is out of range: the video has no frames", length=0
            )
        return self.clock(tolerance).rows_at(times)

    def clock(self, tolerance: Fraction = Fraction(0)) -> Clock:
        """Return the times of the frames, of which there must be at least one.

        Raises
        ------
        ValueError
            As for `ticks`.
        """
        last = int(self.packets.duration[self.packet_of[-1]])
        return Clock(self.ticks(), self.time_base, last_duration=last, tolerance=tolerance)

    def duration_seconds_of(self, index: int) -> float | None:
        """Return one of `duration_seconds`, without computing the others; ``None`` without times."""
        try:
            ticks = ticks_shown(self.ticks(), index, int(self.packets.duration[self.packet_of[-1]]))
        except ValueError:
            return None
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def is_provisional(self) -> bool:
        """Whether the rows follow from packets alone, so that undiscovered damage may remove some."""
        return not self.is_verified

    @property
    def is_one_to_one(self) -> bool:
        """Whether each packet that may become a frame becomes exactly one: no fields, nothing lost."""
        return not self.has_repeats and len(self) == int(np.count_nonzero(~self.packets.is_discard))

    def ticks(self) -> NDArray[np.int64]:
        """Return ascending presentation times in ticks, for looking up frames by time; read-only.

        If a pts is earlier than the pts of a frame before it, it is raised to that pts. If
        the container has no timestamps, the times follow from the average rate.

        Raises
        ------
        ValueError
            There are neither timestamps nor a rate, or the timestamps are too far apart.
        """
        return self._ticks

    @cached_property
    def _ticks(self) -> Int64Array:
        return read_only(ticks_of(self.pts, self.time_base, self.average_rate))

    def pts_of(self, index: int) -> int | None:
        """Return a frame's presentation time in ticks, or ``None`` if it has none."""
        pts = int(self.packets.pts[self.packet_of[index]])
        return None if pts == NO_TIMESTAMP else pts

    def row_of(self, packet: int) -> int:
        """Return the frame that comes from a packet, or -1 if none does."""
        return int(self._row_of[packet])

    def place_of(self, packet: int) -> int:
        """Return how many frames are shown before a refused packet, even if it became a picture."""
        if packet >= len(self.packets):
            return len(self)
        pts = int(self.packets.pts[packet])
        if pts != NO_TIMESTAMP:
            return int(np.count_nonzero((self.pts < pts) & (self.pts != NO_TIMESTAMP)))
        rank = self._rank[packet]
        return len(self) if rank < 0 else int(np.count_nonzero(self._rank[self.packet_of] < rank))

    def is_shown_before(self, packet: int, other: int) -> bool:
        """Whether a packet comes before another in presentation order."""
        return bool(self._rank[packet] < self._rank[other])

    def start_for(self, index: int) -> int:
        """Return the packet to start at so that frame `index` is decoded exactly.

        That is the keyframe at or before the frame's packet. For a leading picture (decoded
        after a keyframe, but shown before it), it is the keyframe before that, because the
        picture may refer to the previous GOP.
        """
        packet = int(self.packet_of[index])
        place = int(np.searchsorted(self._starts, packet, side="right")) - 1
        if place >= 0 and self.is_shown_before(packet, int(self._starts[place])):
            place -= 1
        return int(self._starts[place]) if place >= 0 else 0

    def starts_for(self, rows: Int64Array) -> Int64Array:
        """Return `start_for` for many frames."""
        starts, packets = self._starts, self.packet_of[rows]
        if not len(starts):
            return np.zeros(len(rows), np.int64)
        places = np.searchsorted(starts, packets, side="right") - 1
        places -= self._rank[packets] < self._rank[starts[np.maximum(places, 0)]]
        return np.where(places >= 0, starts[np.maximum(places, 0)], 0)

    def last_packets_for(self, rows: Int64Array) -> Int64Array:
        """Return `last_packet_for` for many frames."""
        packets = self.packet_of[rows]
        if self.has_repeats:
            return np.full_like(packets, len(self.packets) - 1)
        if not self._has_extra:
            return packets
        belongs = (self._row_of < 0) & ~self.packets.is_discard
        ends = np.append(np.flatnonzero(~belongs), len(belongs))
        return ends[np.searchsorted(ends, packets, side="right")] - 1

    def earlier_starts(self, packet: int) -> Sequence[int]:
        """Return the keyframes before a packet, nearest first."""
        place = int(np.searchsorted(self._starts, packet, side="left"))
        return cast("list[int]", self._starts[:place][::-1].tolist())

    def last_packet_for(self, index: int) -> int:
        """Return the last packet to decode for a frame.

        Packets right after its own that become no frame may belong to it, as second fields do.
        """
        if self.has_repeats:
            return len(self.packets) - 1
        packet = int(self.packet_of[index])
        while packet + 1 < len(self.packets) and self._belongs_to_another(packet + 1):
            packet += 1
        return packet

    def _belongs_to_another(self, packet: int) -> bool:
        return self._row_of[packet] < 0 and not self.packets.is_discard[packet]

    def byte_ranges(self, first_packet: int, last_packet: int) -> list[ByteRange]:
        """Return the byte ranges of packets, with close ranges merged; empty if unknown."""
        packets = slice(first_packet, last_packet + 1)
        positions = self.packets.position[packets]
        if np.any(positions < 0):
            return []
        return near_ranges(positions, self.packets.size[packets], max_gap=_GAP_WORTH_READING)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file. This call blocks.

        The file appears only once complete. It contains a checksum, and no code.

        Raises
        ------
        OSError
            The file system refuses.
        """
        write_whole(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a table that `save` wrote. This call blocks.

        Raises
        ------
        ValueError
            The file is not a frame table, is damaged, or is in another version of the
            format.
        OSError
            The file cannot be read.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except ArchiveError as exc:
            raise ArchiveError(f"{quoted(os.fspath(path))} is not a usable frame table: {exc}") from exc

    def to_bytes(self) -> bytes:
        """Return the bytes that `save` writes."""
        return pack_table(self._fields())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the table that `to_bytes` turned into bytes.

        Raises
        ------
        ValueError
            The bytes are not a frame table, are damaged, or are in another version of the
            format.
        """
        try:
            return cls(**unpack_table(data))
        except ArchiveError:
            raise
        except (ValueError, ArithmeticError, IndexError) as exc:
            raise ArchiveError(f"malformed: {quoted(exc)}") from exc


def _without(ascending: Int64Array, numbers: frozenset[int]) -> Int64Array:
    false = np.array([*numbers], np.int64)
    return np.setdiff1d(ascending, false, assume_unique=True) if numbers else ascending
