"""Delivers frames by their index in a frame table, and checks what is decoded against it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._media.codec.checksums import picture_checksum
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.codec.threads import is_strict
from asyncframes._media.container.packet_reader import TableMismatchError
from asyncframes._media.image.convert import Converter
from asyncframes._media.table.rebuild import table_by_decoding
from asyncframes._model.packets import distinct
from asyncframes._model.selection import Selection, resolve
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.checked_run import (
    FALSE_KEYFRAMES_BEFORE_REBUILDING,
    CheckedRun,
    EndedEarlyError,
    SpoiltBySkippingError,
    UnsafeStartError,
)
from asyncframes._requests.jobs.job import FrameJob, JobOptions, mark
from asyncframes._requests.jobs.plan import Runs, Wanted, each
from asyncframes._requests.shared_table import SharedTable
from asyncframes.errors import CorruptMediaError, FrameIndexError, MediaError

# A damaged stream with at most this many packets is decoded from its beginning before the damage is an error.
_SHORT_STREAM = 3000


class TableJob(FrameJob):
    """Delivers frames in the order requested, and decodes each GOP once if possible.

    Decoded pictures are checked against the table. A start that proves not to be a
    keyframe is not used again. A table made from packets alone is rebuilt by decoding if
    it proves wrong or the stream is damaged. The rebuilt table has a checksum for every
    picture, and seeks, threads and skipping are given up when they give another picture.

    Parameters
    ----------
    shared
        The table, and what requests learn about it.
    delivered
        How many frames at the front of the selection are already done.
    may_rebuild
        Whether to rebuild a table that proves wrong. If not, `TableMismatchError` is raised.
    """

    def __init__(
        self,
        decoder: Decoder,
        converter: Converter,
        options: JobOptions,
        selection: Selection,
        shared: SharedTable,
        *,
        delivered: int,
        may_rebuild: bool,
    ) -> None:
        self.shared = shared
        self._selection = selection
        self._held_bytes = options.held_bytes
        self._kept = options.kept
        self._delivered = delivered
        self._may_rebuild = may_rebuild
        self._has_rebuilt = False
        self.may_skip = True
        self.reads_to_end = False
        self.reads_from_start = shared.reads_from_start
        super().__init__(decoder, converter, options)

    @property
    def table(self) -> FrameTable:
        """The table with everything learned so far."""
        return self.shared.table

    def _make(self) -> Iterator[Frame | None]:
        self._prepare()
        # Ends: threads, skipping, early ends, seeks and the table are each given up at most once, and every
        # unsafe start leaves one keyframe fewer to start at.
        while True:
            if self._may_have_gaps():
                yield from self._rebuild("the decoder hides damage")
            try:
                yield from self._deliver()
            # Frames are delivered once. `_deliver` resumes after them, each time with one shortcut fewer.
            except DoubtError as doubt:
                self.decoder.fall_back_to_one_thread(doubt)
            except SpoiltBySkippingError:
                self.may_skip = False
            except EndedEarlyError:
                self.reads_to_end = True
            except UnsafeStartError:
                # Trying keyframe after keyframe could cost more than one decode that finds the real ones.
                if (
                    not self.table.is_verified
                    and len(self.table.false_keyframes) >= FALSE_KEYFRAMES_BEFORE_REBUILDING
                ):
                    yield from self._rebuild("several packets are wrongly flagged as keyframes")
            except TableMismatchError as exc:
                # A verified table was built from this stream, so a seek that landed elsewhere is more likely.
                if self.table.is_verified and not self.reads_from_start:
                    self.reads_from_start = True
                    self.shared.distrust_seeks()
                else:
                    yield from self._rebuild(str(exc))
            else:
                return

    def _may_have_gaps(self) -> bool:
        """Whether damage may leave no mark on any picture, so that only checksums reveal it."""
        # Strict decoding found damage, and the decoder without strict error detection will conceal it.
        gaps = self.decoder.was_doubted and is_strict(self.decoder.reader.codec_name)
        return gaps and self.table.checksums is None and self._must_rebuild()

    def _rebuild(self, why: str) -> Iterator[None]:
        """Replace the table with one built by decoding, at most once."""
        # Lanes and groups share a table, so none of them replaces it. The requests behind them do so.
        if not self._may_rebuild:
            raise TableMismatchError(why)
        if self._has_rebuilt:
            raise CorruptMediaError(
                f"two decodes of this stream differ: {why}", source=self.decoder.file.source_name
            )
        self._has_rebuilt = True
        # The plan of the failed run covers only its own packets, but the rebuild reads the whole stream.
        self.decoder.file.plan_forward()
        # Another object, because earlier lanes and requests may still use the old table. The video adopts it
        # when this request ends.
        self.shared = SharedTable((yield from table_by_decoding(self.decoder)))

    def _deliver(self) -> Iterator[Frame | None]:
        table = self.table
        order = self._order(table)[self._delivered :]
        wanted = Wanted(order, self._held_bytes)
        rows = self._rows_to_keep(table)
        decoded = distinct(np.append(order, rows)) if len(rows) else order
        runs = Runs(table, decoded, reach=self._rendering.reach)
        gops = _Gops(self, table, wanted, runs, decoded)
        try:
            for index in each(order):
                yield from gops.fetch(index)
                self._delivered += 1
                if (frame := wanted.take(index)) is not None:
                    yield self._repeated(frame) if index in wanted else frame
            yield from self._keep_rest(gops, rows)
        finally:
            gops.close()

    def _rows_to_keep(self, table: FrameTable) -> Int64Array:
        """Return the frames whose pictures are kept, none once there is a sign of damage.

        What a decoder shows in place of lost parts may depend on the pictures that are alive.
        """
        if self._kept is None:
            return np.empty(0, np.int64)
        if self.decoder.was_doubted or self._has_rebuilt or _shows_damage(table):
            self._kept.pictures.clear()
            self._kept = None
            return np.empty(0, np.int64)
        return self._kept.rows[self._kept.rows < len(table)]

    def _keep_rest(self, gops: _Gops, rows: Int64Array) -> Iterator[None]:
        """Decode the rest of the pictures to keep. Faults show again when their frames are requested."""
        try:
            for row in each(rows):
                yield from gops.pass_through(row)
        except (
            DoubtError,
            SpoiltBySkippingError,
            EndedEarlyError,
            UnsafeStartError,
            TableMismatchError,
            MediaError,
        ):
            return

    def keep(self, row: int, picture: Picture) -> None:
        """Keep a picture for later requests, if it is one of those."""
        kept = self._kept
        if kept is not None and row in kept and not picture.is_damaged:
            kept.pictures.put(self.table, row, picture)

    def _order(self, table: FrameTable) -> Int64Array:
        """Resolve the selection; a rebuild may have shortened the table since the request was made."""
        try:
            return resolve(self._selection, table)
        except FrameIndexError as exc:
            if not self._has_rebuilt or self._on_corrupt != "raise":
                raise
            message = f"the stream is damaged, and only {len(table)} of its frames decode: {exc}"
            raise CorruptMediaError(message, source=self.decoder.file.source_name) from exc

    def meet(self, damage: Damage) -> None:
        """Request a rebuilt table if damage may be reported or skipped only with one.

        Damage may cost a frame, and the pictures around it may depend on what was decoded
        before. Only a decode from the first packet shows the right result.
        """
        if not self.table.is_verified and self._must_rebuild():
            raise TableMismatchError(damage.reason)

    def _must_rebuild(self) -> bool:
        """Whether a damaged stream must be decoded from its beginning before it yields frames."""
        # With on_corrupt="raise" the request ends at the damage, so a long stream is not worth a full decode.
        return self._on_corrupt != "raise" or len(self.table.packets) <= _SHORT_STREAM

    def report(self, damage: Damage, place: int) -> None:
        """Report a damaged packet or picture, and the index at which it would be shown."""
        self._report(damage, place)

    def pass_by(self, row: int, picture: Picture) -> None:
        """Refuse a damaged picture on the way to a frame: pictures that refer to it are damaged too."""
        if not self._is_damaged(row, picture):
            return
        damage = mark(picture)
        # Lost opacity costs no frame, so only a damaged picture calls for a rebuilt table.
        if picture.frame.is_corrupt:
            self.meet(damage)
        if self._on_corrupt == "raise":
            self.report(damage, self.table.place_of(damage.packet) if row < 0 else row)

    def _is_damaged(self, row: int, picture: Picture) -> bool:
        # The marks in the table come from a decode of the whole stream, which is right by definition.
        is_damaged = self.table.is_damaged
        if is_damaged is None or row < 0:
            return picture.is_damaged
        return bool(is_damaged[row]) or picture.alpha_damage is not None

    def is_right(self, index: int, picture: Picture) -> bool:
        """Whether a picture equals the one from a full decode; ``True`` if there was no such decode."""
        checksums = self.table.checksums
        return checksums is None or picture_checksum(picture.frame) == int(checksums[index])

    def make_frame(self, index: int, picture: Picture) -> Frame | None:
        """Make a frame with the table's pts: after a seek, some demuxers count pts from 0."""
        return self._frame(
            index, picture, self.table.pts_of(index), is_damaged=self._is_damaged(index, picture)
        )

    def _duration_of(self, index: int, picture: Picture) -> float | None:
        return self.table.duration_seconds_of(index)


def _shows_damage(table: FrameTable) -> bool:
    """Whether decoding the stream has shown damage, or what may be damage."""
    if table.checksums is None:
        return False
    return not table.is_one_to_one or (table.is_damaged is not None and bool(np.any(table.is_damaged)))


class _Gops:
    """Decodes the GOPs of a request, each once if possible, and holds their frames until their turn."""

    def __init__(
        self, job: TableJob, table: FrameTable, wanted: Wanted, runs: Runs, order: Int64Array
    ) -> None:
        self._job = job
        self._decoder = job.decoder
        self._table = table
        self._wanted = wanted
        self._runs = runs
        self._needed = runs.packets_of(order)
        self._outputs: Iterator[tuple[int, Picture] | None] = iter(())
        self._run: CheckedRun | None = None
        self._last_packet = -1
        self._shown = -1
        self._passed: set[int] = set()
        self._image_bytes = 0

    def close(self) -> None:
        """Drop the generator of pictures. It refers back to this object, and that cycle would keep them."""
        self._outputs = iter(())

    def fetch(self, index: int) -> Iterator[None]:
        """Decode until a frame is held or given up as damaged."""
        if not self._wanted.is_missing(index):
            return
        if not self._leads_to(index):
            # Frames of this GOP that are due later would otherwise decode it a second time.
            yield from self._finish_gop()
            self._run = self._begin(self._runs.start_for(index))
        while self._wanted.is_missing(index):
            # A run reads up to the last packet that the frame needs. If it ends without the frame, the start
            # or the table is wrong.
            if not self._advance() and self._run is not None:
                self._run.miss(index)
            yield

    def pass_through(self, row: int) -> Iterator[None]:
        """Decode until a picture has come out."""
        if row in self._passed:
            return
        if not self._leads_to(row):
            self._begin(self._runs.start_for(row))
        while row not in self._passed and self._advance():
            yield

    def _leads_to(self, index: int) -> bool:
        """Whether decoding on reaches a frame, and sooner than a seek would."""
        # A frame shown before the newest one has come out already, and was dropped or never held.
        runs = self._runs
        if self._run is None or index <= self._shown or runs.last_packet_for(index) > self._last_packet:
            return False
        return runs.is_near(self._decoder.reader.number, runs.start_for(index))

    def _begin(self, start: int) -> CheckedRun:
        self._last_packet = (
            len(self._table.packets) - 1 if self._job.reads_to_end else self._runs.last_packet(start)
        )
        self._shown = -1
        # Announced before the first read, so that the whole run is fetched ahead in few requests.
        self._decoder.file.plan(self._runs.byte_ranges(start))
        run = CheckedRun(self._job, self._table, start, self._last_packet, self._needed)
        self._outputs = self._job.deinterlaced(run.pictures(), len(self._table) - 1)
        return run

    def _finish_gop(self) -> Iterator[None]:
        """Decode the other requested frames of the current GOP while there is room to hold them."""
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
            self._passed.add(row)
            self._job.keep(row, picture)
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
