"""Which packet becomes which frame: the frame table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.archive import ArchiveError, pack, unpack, write_whole
from asyncframes._model.packets import NO_TIMESTAMP, BoolArray, Int64Array, Observed, Packets, SourceIdentity
from asyncframes._model.quoting import quoted
from asyncframes._model.ranges import ByteRange, near_ranges
from asyncframes._model.timing import MOST_TICKS, even_ticks

__all__ = [
    "NO_TIMESTAMP",
    "BoolArray",
    "FrameTable",
    "Int64Array",
    "Observed",
    "Packets",
    "SourceIdentity",
    "table_from_packets",
    "table_with_head",
]

_FORMAT_VERSION = 3

# Packets of other streams that lie between two of this one are read along up to here: a request costs more.
_GAP_WORTH_READING = 64 * 1024


@dataclass(slots=True, eq=False)
class FrameTable:
    """One row per frame, in presentation order; made by `Video.frame_table`.

    Row i is frame i: the i-th frame that a sequential decode puts out. A table
    can be saved, and given to `open_video` for the same bytes later. Take what
    it holds as read-only: a video that uses it notes in it what decoding shows.

    Attributes
    ----------
    packets
        The packets in decode order.
    time_base
        Seconds per tick.
    packet_of
        Number of the packet that each frame comes from.
    is_verified
        Whether the rows were observed by decoding the whole stream; otherwise
        they follow from the packets' timestamps; see `is_provisional`.
    average_rate
        Frames per second that the container claims, ``None`` where it makes none.
    unsafe
        Numbers of packets that are flagged as keyframes and proved not to be.
    confirmed
        Whether several pictures in a row were seen to come out as the rows say.
    identity
        Which bytes it speaks of, ``None`` while nobody said.
    headers
        Headers of a fragmented MP4 between its media, each with the byte where
        it begins: they were fetched one by one, and seeking needs them.
    observed
        What else decoding showed, ``None`` where the whole stream was not decoded.
    """

    packets: Packets
    time_base: Fraction
    packet_of: Int64Array
    is_verified: bool = False
    average_rate: Fraction | None = None
    unsafe: set[int] = field(default_factory=set)
    confirmed: bool = False
    identity: SourceIdentity | None = None
    headers: Sequence[tuple[int, bytes]] = ()
    observed: Observed | None = None
    _ticks: Int64Array | None = field(init=False, repr=False, default=None)
    has_repeats: bool = field(init=False, repr=False)
    """Whether several frames come from one packet, so that only a decode from the start tells them apart."""
    _row_of: Int64Array = field(init=False, repr=False)
    _has_extra: bool = field(init=False, repr=False)
    _rank: Int64Array = field(init=False, repr=False)
    _starts: Int64Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base={self.time_base}: expected more than 0 seconds per tick")
        count = len(self.packets)
        self._row_of = np.full(count, -1, np.int64)
        self._row_of[self.packet_of] = np.arange(len(self.packet_of))
        self._has_extra = bool(np.any((self._row_of < 0) & ~self.packets.is_discard))
        self._rank = self._presentation_ranks()
        self.has_repeats = len(np.unique(self.packet_of)) < len(self.packet_of)
        self._starts = np.flatnonzero(self.packets.is_keyframe)
        if self.has_repeats:
            self._starts = self._starts[:0]
        if self.unsafe:
            self._starts = np.setdiff1d(self._starts, list(self.unsafe))

    def __len__(self) -> int:
        return len(self.packet_of)

    def _presentation_ranks(self) -> Int64Array:
        """Place of every packet in presentation order, those without a frame included."""
        if not np.any(self.packets.pts == NO_TIMESTAMP):
            rank = np.empty(len(self.packets), np.int64)
            rank[np.argsort(self.packets.pts, kind="stable")] = np.arange(len(self.packets))
            return rank
        return self._row_of

    @property
    def pts(self) -> Int64Array:
        """Presentation times in ticks, a row a frame; `NO_TIMESTAMP` where missing."""
        return self.packets.pts[self.packet_of]

    @property
    def is_keyframe(self) -> BoolArray:
        """A row a frame: whether its packet starts a GOP."""
        flags = self.packets.is_keyframe[self.packet_of].copy()
        flags[[row for row in map(self.row_of, self.unsafe) if row >= 0]] = False
        return flags

    @property
    def is_provisional(self) -> bool:
        """Whether the rows follow from packets alone: damage nobody decoded yet may cost some of them."""
        return not self.is_verified

    @property
    def is_one_to_one(self) -> bool:
        """Whether each packet that may become a frame becomes one: no fields, nothing lost."""
        return not self.has_repeats and len(self) == int(np.count_nonzero(~self.packets.is_discard))

    def ticks(self) -> Int64Array:
        """Return presentation times that never fall, for looking frames up by time; read-only.

        A pts that lies before that of an earlier frame counts as that one's. They
        are reckoned from the average rate where the container gives none.

        Raises
        ------
        ValueError
            There are no timestamps and no rate to reckon them from, or they are
            too far apart for times.
        """
        pts = self.pts if self._ticks is None else self._ticks
        if self._ticks is None and not np.any(pts == NO_TIMESTAMP):
            pts = np.maximum.accumulate(pts)
            pts.flags.writeable = False
            self._ticks = pts
        if self._ticks is None:
            return self._ticks_by_rate()
        if len(pts) and int(pts[-1]) - int(pts[0]) >= MOST_TICKS:
            raise ValueError("the pts of this video are too far apart for times: ask for frames by index")
        return pts

    def _ticks_by_rate(self) -> Int64Array:
        if self.average_rate is None or self.average_rate <= 0:
            raise ValueError("this video has neither timestamps nor a frame rate: ask for frames by index")
        whole, part = even_ticks(len(self), 1 / (self.average_rate * self.time_base))
        return whole + (part >= 0.5)

    def repeated_times(self) -> int:
        """Count the frames whose pts is no later than that of a frame before them."""
        ticks = self.ticks()
        return int(np.count_nonzero(ticks[1:] == ticks[:-1]))

    def pts_of(self, index: int) -> int | None:
        """Return a frame's presentation time in ticks, ``None`` where it has none."""
        pts = int(self.packets.pts[self.packet_of[index]])
        return None if pts == NO_TIMESTAMP else pts

    def row_of(self, packet: int) -> int:
        """Return the frame that comes from a packet, -1 if none does."""
        return int(self._row_of[packet])

    def place_of(self, packet: int) -> int:
        """Return how many frames are shown before what a packet is to become."""
        if packet >= len(self.packets):
            return len(self)
        if (row := self.row_of(packet)) >= 0:
            return row
        rank = self._rank[packet]
        return len(self) if rank < 0 else int(np.count_nonzero(self._rank[self.packet_of] < rank))

    def is_shown_before(self, packet: int, other: int) -> bool:
        """Whether a packet comes before another in presentation order."""
        return bool(self._rank[packet] < self._rank[other])

    def mark_unsafe(self, packet: int) -> None:
        """Never start decoding at this packet again."""
        self.unsafe.add(packet)
        self._starts = self._starts[self._starts != packet]

    def mark_unsafe_through(self, packet: int) -> None:
        """Start decoding for this packet and all before it at the first one."""
        starts = self._starts[self._starts <= packet]
        self.unsafe.update(starts.tolist())
        self._starts = self._starts[len(starts) :]

    def start_for(self, index: int) -> int:
        """Return the packet to start at so that frame `index` comes out bit for bit.

        That is the keyframe at or before the frame's packet; for a leading
        picture (decoded after a keyframe, shown before it) the one before that,
        because it may refer to the GOP before.
        """
        packet = int(self.packet_of[index])
        place = int(np.searchsorted(self._starts, packet, side="right")) - 1
        if place >= 0 and self.is_shown_before(packet, int(self._starts[place])):
            place -= 1
        return int(self._starts[place]) if place >= 0 else 0

    def starts_for(self, rows: Int64Array) -> Int64Array:
        """Return `start_for` of many frames."""
        starts, packets = self._starts, self.packet_of[rows]
        if not len(starts):
            return np.zeros(len(rows), np.int64)
        places = np.searchsorted(starts, packets, side="right") - 1
        places -= self._rank[packets] < self._rank[starts[np.maximum(places, 0)]]
        return np.where(places >= 0, starts[np.maximum(places, 0)], 0)

    def last_packets_for(self, rows: Int64Array) -> Int64Array:
        """Return `last_packet_for` of many frames."""
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
        return [int(start) for start in self._starts[:place][::-1]]

    def last_packet_for(self, index: int) -> int:
        """Return the last packet to decode for a frame.

        Packets behind its own that become no frame may belong to it: a second field does.
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
        """Return where these packets lie, near ones as one range; nothing where that is unknown."""
        packets = slice(first_packet, last_packet + 1)
        positions = self.packets.position[packets]
        if np.any(positions < 0):
            return []
        return near_ranges(positions, self.packets.size[packets], max_gap=_GAP_WORTH_READING)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file; blocks.

        The file appears whole or not at all. It holds a checksum and no code.

        Raises
        ------
        OSError
            The file system refused.
        """
        write_whole(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a table that `save` wrote; blocks.

        Raises
        ------
        ValueError
            The file is no frame table, of another version of the format, or
            damaged.
        OSError
            It cannot be read.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except ArchiveError as exc:
            raise ArchiveError(f"{quoted(os.fspath(path))} holds no frame table to use: {exc}") from exc

    def to_bytes(self) -> bytes:
        """Return what `save` writes."""
        rate = self.average_rate
        facts = {
            "time_base": self.time_base.as_integer_ratio(),
            "average_rate": None if rate is None else rate.as_integer_ratio(),
            "is_verified": self.is_verified,
            "is_observed": self.observed is not None,
            "unsafe": sorted(self.unsafe),
            "identity": None if self.identity is None else asdict(self.identity),
        }
        columns = {column.name: getattr(self.packets, column.name) for column in fields(Packets)}
        if self.observed is not None:
            columns |= {f"observed_{key}": value for key, value in asdict(self.observed).items()}
        return pack(
            _FORMAT_VERSION,
            facts,
            {
                **columns,
                "packet_of": self.packet_of,
                "header_starts": np.array([start for start, _ in self.headers], np.int64),
                "header_lengths": np.array([len(data) for _, data in self.headers], np.int64),
                "header_bytes": np.frombuffer(b"".join(data for _, data in self.headers), np.uint8),
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the table that `to_bytes` made bytes of.

        Raises
        ------
        ValueError
            They hold no frame table, one of another version of the format, or
            are damaged.
        """
        facts, arrays = unpack(_FORMAT_VERSION, data)
        try:
            return cls._from_columns(facts, arrays)
        except (KeyError, TypeError, ValueError, ArithmeticError, IndexError) as exc:
            raise ArchiveError(f"malformed: {quoted(exc)}") from exc

    @classmethod
    def _from_columns(cls, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        packets = Packets(**{column.name: arrays[column.name] for column in fields(Packets)})
        packet_of, unsafe = arrays["packet_of"], {int(packet) for packet in facts["unsafe"]}
        count = len(packets)
        if any(len(getattr(packets, column.name)) != count for column in fields(Packets)):
            raise ValueError("columns of different lengths")
        if len(np.unique(packet_of)) != len(packet_of) or not _are_places(packet_of, count):
            raise ValueError("frames of packets that are not there")
        if not _are_places(np.array([*unsafe], np.int64), count):
            raise ValueError("keyframes that are not there")
        rate, identity = facts["average_rate"], facts["identity"]
        observed = None
        if facts["is_observed"]:
            observed = Observed(**{key.name: arrays[f"observed_{key.name}"] for key in fields(Observed)})
            if {len(observed.checksum), len(observed.is_damaged)} != {len(packet_of)}:
                raise ValueError("observations of other frames than there are")
        return cls(
            packets,
            Fraction(*facts["time_base"]),
            packet_of,
            is_verified=bool(facts["is_verified"]),
            average_rate=None if rate is None else Fraction(*rate),
            unsafe=unsafe,
            identity=None if identity is None else SourceIdentity(**identity),
            headers=_cut(arrays["header_starts"], arrays["header_lengths"], arrays["header_bytes"].tobytes()),
            observed=observed,
        )


def _are_places(numbers: Int64Array, count: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() < count)


def _cut(starts: Int64Array, lengths: Int64Array, data: bytes) -> list[tuple[int, bytes]]:
    stops = np.cumsum(lengths)
    if (
        len(starts) != len(lengths)
        or np.any(lengths < 0)
        or (int(stops[-1]) if len(stops) else 0) != len(data)
    ):
        raise ValueError("headers of other lengths than their bytes")
    places = zip(starts.tolist(), stops.tolist(), lengths.tolist(), strict=True)
    return [(start, data[stop - length : stop]) for start, stop, length in places]


def table_from_packets(
    packets: Packets, time_base: Fraction, average_rate: Fraction | None
) -> FrameTable | None:
    """Derive the frames from the packets' timestamps, without decoding.

    Every packet not flagged *discard* is taken to become one frame, shown in
    the order of pts.

    Returns
    -------
    FrameTable or None
        ``None`` where packets alone cannot tell: a pts is missing or occurs
        twice, or the stream does not begin with a keyframe that is shown first,
        so that how many frames its decoder drops there is not known.
    """
    if not packets.are_timed or not packets.begin_whole:
        return None
    return FrameTable(packets, time_base, packets.in_presentation_order(), average_rate=average_rate)


def table_with_head(
    packets: Packets,
    time_base: Fraction,
    average_rate: Fraction | None,
    *,
    shown: Sequence[int],
    anchor: int,
) -> FrameTable:
    """Derive the frames from timestamps, save those before a keyframe, which were observed.

    Parameters
    ----------
    shown
        Numbers of the packets whose pictures a decode from the start put out, in that order.
    anchor
        Number of the first keyframe among them; from its picture on, timestamps tell.
    """
    place = {packet: place for place, packet in enumerate(shown)}
    head = shown[: place[anchor]]
    later = packets.in_presentation_order()
    rest = later[packets.pts[later] >= packets.pts[anchor]]
    return FrameTable(
        packets, time_base, np.concatenate([np.array(head, np.int64), rest]), average_rate=average_rate
    )
