"""Frames named by a frame table, and what is decoded checked against it."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from asyncframes._media._decoder import Decoder, TableMismatchError
from asyncframes._media._jobs import FrameJob, FrameOptions, mark
from asyncframes._media._pictures import Damage, Picture
from asyncframes._media._plan import Runs, Wanted, each
from asyncframes._media._settle import scan_by_decoding
from asyncframes._selection import Selection, resolve
from asyncframes._table import FrameTable, Int64Array
from asyncframes._types import Frame
from asyncframes.errors import CorruptMediaError

# Starts that prove to be no keyframes before the whole stream is decoded to learn which are.
_UNSAFE_BEFORE_SETTLING = 2

# Pictures in a row that have to come out as a table made from packets says, before any are left out.
_CONFIRMING_PICTURES = 8


@dataclass(slots=True)
class _Decoded:
    """Packets that are decoded: all before one of them, and from there on those whose pictures are needed."""

    needed: Container[int]
    since: float

    def __contains__(self, packet: object) -> bool:
        return (isinstance(packet, int) and packet < self.since) or packet in self.needed


class _UnsafeStartError(Exception):
    """What begins at the start chosen does not decode as the frame table says."""


class TableJob(FrameJob):
    """Frames named by a frame table, in the order asked, each GOP decoded once.

    What is decoded is checked against the table. A start that is no keyframe is
    not used again, and a table made from packets alone that proves wrong is
    replaced by one made by decoding.

    Parameters
    ----------
    delivered
        How many frames of the selection are not wanted any more.
    settles
        Whether to replace a table that proves wrong; otherwise that is a
        `TableMismatchError`.
    """

    def __init__(
        self,
        decoder: Decoder,
        options: FrameOptions,
        selection: Selection,
        table: FrameTable,
        *,
        delivered: int,
        settles: bool,
    ) -> None:
        self.table = table
        self._selection = selection
        self._held_bytes = options.held_bytes
        self._delivered = delivered
        self._settles = settles
        super().__init__(decoder, options)

    def _make(self) -> Iterator[Frame | None]:
        self._prepare()
        while True:
            try:
                yield from self._deliver()
            except _UnsafeStartError:
                if not self.table.settled and len(self.table.unsafe) >= _UNSAFE_BEFORE_SETTLING:
                    if not self._settles:
                        raise TableMismatchError("several keyframes are none") from None
                    yield from self._settle()
            except TableMismatchError as exc:
                if not self.table.settled and not self._settles:
                    raise
                if not self.table.settled:
                    yield from self._settle()
                elif self.decoder.linear:
                    raise CorruptMediaError(
                        f"two passes over this stream differ: {exc}", source=self.decoder.file.source_name
                    ) from exc
                else:
                    self.decoder.linear = True
            else:
                return

    def _settle(self) -> Iterator[None]:
        self.decoder.file.plan_forward()
        self.table = yield from scan_by_decoding(self.decoder)

    def _deliver(self) -> Iterator[Frame | None]:
        order = resolve(self._selection, self.table)[self._delivered :]
        wanted = Wanted(order, self._held_bytes)
        passage = _Passage(self, wanted, Runs(self.table, order, reach=self._rendering.reach), order)
        try:
            for index in each(order):
                yield from passage.fetch(index)
                self._delivered += 1
                if (frame := wanted.take(index)) is not None:
                    # A frame that is asked for again is a copy: each belongs to whoever gets it.
                    yield replace(frame, image=frame.image.copy()) if index in wanted else frame
        finally:
            passage.close()

    def meet(self, damage: Damage) -> None:
        """Report a packet that became no picture; what frames there are has to be settled first."""
        if self._on_corrupt != "raise" and not self.table.settled:
            raise TableMismatchError(damage.reason)
        known = damage.packet < len(self.table.packets)
        self._report(damage, self.table.row_of(damage.packet) if known else len(self.table))

    def pass_by(self, picture: Picture) -> None:
        """Refuse a damaged picture on the way to a frame: what refers to it is damaged as well."""
        if picture.is_damaged and self._on_corrupt == "raise":
            self._report(mark(picture), self.table.row_of(picture.packet))

    def make_frame(self, index: int, picture: Picture) -> Frame | None:
        """Make a frame with the pts of the table: some demuxers count anew after a seek."""
        return self._frame(index, picture, self.table.pts_of(index))


class _Passage:
    """The decoder's way through the packets that a request needs."""

    def __init__(self, job: TableJob, wanted: Wanted, runs: Runs, order: Int64Array) -> None:
        self._job = job
        self._decoder = job.decoder
        self._table = job.table
        self._wanted = wanted
        self._runs = runs
        self._needed = runs.packets_of(order)
        self._outputs: Iterator[tuple[int, Picture] | None] = iter(())
        self._start = -1
        self._last_packet = -1
        self._margin = 0
        self._shown = -1
        self._image_bytes = 0

    def close(self) -> None:
        """Let go of the pictures, which refer back to here."""
        self._outputs = iter(())

    def fetch(self, index: int) -> Iterator[None]:
        """Decode until a frame is held, or given up as damaged."""
        if not self._wanted.is_missing(index):
            return
        if not self._leads_to(index):
            yield from self._finish_gop()
            self._begin(self._runs.start_for(index))
        while self._wanted.is_missing(index):
            if not self._advance():
                if not self._drains_better():
                    raise self._unsafe_start(f"frame {index} did not come out of it")
                self._begin(self._start)
            yield

    def _drains_better(self) -> bool:
        """Whether a frame may have been lost in draining, and will not be so again.

        How damage is concealed depends on whether there are several threads, so packets that come
        after push the frame out if there are any.
        """
        if not self._margin and self._last_packet < len(self._table.packets) - 1:
            self._margin = self._decoder.most_held
            return True
        return self._decoder.use_one_thread()

    def _leads_to(self, index: int) -> bool:
        """Whether decoding on is the way to a frame."""
        runs = self._runs
        if self._start < 0 or index <= self._shown or runs.last_packet_for(index) > self._last_packet:
            return False
        return runs.is_near(self._decoder.number, runs.start_for(index))

    def _begin(self, start: int) -> None:
        self._start = start
        self._last_packet = self._runs.last_packet(start) + self._margin
        self._shown = -1
        self._decoder.file.plan(self._runs.byte_ranges(start))
        self._outputs = self._job.finished(self._verified(), len(self._table) - 1)

    def _finish_gop(self) -> Iterator[None]:
        """Decode what else is wanted of the GOP under way, while there is room to hold it."""
        if self._shown < 0:
            return
        for row in self._runs.rows_from(self._runs.start_for(self._shown)):
            while (
                row > self._shown
                and self._wanted.is_missing(row)
                and self._wanted.has_room(self._image_bytes)
            ):
                if not self._advance():
                    return
                yield

    def _advance(self) -> bool:
        """Take the next picture; ``False`` when there is none."""
        try:
            output = next(self._outputs)
        except StopIteration:
            return False
        if output is not None:
            row, picture = output
            self._shown = row
            if self._wanted.is_missing(row):
                self._keep(row, picture)
        return True

    def _keep(self, row: int, picture: Picture) -> None:
        frame = self._job.make_frame(row, picture)
        if frame is None:
            self._wanted.give_up(row)
        else:
            self._image_bytes = frame.image.nbytes
            self._wanted.hold(frame)

    def _verified(self) -> Iterator[tuple[int, Picture] | None]:
        """Decode from the start on, yielding the pictures that are exact from there, by frame index."""
        table, start = self._table, self._start
        self._decoder.seek(start, table)
        first = table.row_of(start)
        expected = first if first >= 0 else None
        decoded = _Decoded(self._needed, since=0 if self._may_skip() else math.inf)
        seen = 0
        outputs = self._decoder.decode(table=table, last_packet=self._last_packet, needed=decoded)
        for output in outputs:
            if isinstance(output, Damage):
                self._job.meet(output)
                yield None
                continue
            if output.packet == start > 0 and not output.decodes_alone:
                raise self._unsafe_start("its picture is no keyframe")
            self._job.pass_by(output)
            row = table.row_of(output.packet)
            if start > 0 and table.is_shown_before(output.packet, start):
                yield None
                continue
            if not table.settled and expected is not None and self._is_unexpected(row, expected, decoded):
                raise TableMismatchError(
                    f"packet {output.packet} came out where frame {expected} was expected"
                )
            expected = row + 1
            seen += 1
            if seen == _CONFIRMING_PICTURES and math.isinf(decoded.since):
                table.confirmed = True
                decoded.since = self._decoder.number if self._may_skip() else math.inf
            yield (row, output) if row >= 0 else None

    def _may_skip(self) -> bool:
        """Whether pictures that nobody wants or refers to may be left out.

        A table made from packets is checked by what comes out, so some pictures in a row are first.
        """
        sure = self._table.settled or self._table.confirmed
        return sure and self._table.is_one_to_one and self._decoder.can_skip_unreferenced

    def _is_unexpected(self, row: int, expected: int, decoded: Container[int]) -> bool:
        """Whether pictures that were decoded already are missing before this one."""
        before = self._table.packet_of[expected:row].tolist()
        missing = (packet for packet in before if packet < self._decoder.number)
        return row < expected or any(packet in decoded for packet in missing)

    def _unsafe_start(self, why: str) -> Exception:
        if self._start == 0:
            return TableMismatchError(why)
        self._table.mark_unsafe(self._start)
        return _UnsafeStartError(why)
