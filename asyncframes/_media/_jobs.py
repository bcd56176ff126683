"""A request for frames as a job that a worker thread takes bounded steps of."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace

from asyncframes._media._container import time_base_of
from asyncframes._media._convert import Converter
from asyncframes._media._decoder import Damage, Decoder, Picture, TableMismatchError
from asyncframes._media._deinterlace import deinterlaced
from asyncframes._media._describe import pixel_shape_of
from asyncframes._media._plan import Runs, Wanted
from asyncframes._media._settle import scan_by_decoding
from asyncframes._rendering import Rendering
from asyncframes._selection import Selection, resolve
from asyncframes._table import FrameTable, Int64Array
from asyncframes._types import Frame, OnCorrupt
from asyncframes.errors import CorruptMediaError, FrameIndexError

_log = logging.getLogger("asyncframes")

# A step ends after this long, with or without frames, so that a thread serves many videos.
_STEP_SECONDS = 0.1

# Frames are handed over this often: small ones together, large ones each by itself.
_BATCH_SECONDS = 0.002

# Starts that prove to be no keyframes before the whole stream is decoded to learn which are.
_UNSAFE_BEFORE_SETTLING = 2

# Pictures in a row that have to come out as a table made from packets says, before any are left out.
_CONFIRMING_PICTURES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """How frames are made.

    Attributes
    ----------
    rendering
        What pictures become.
    on_corrupt
        What to do at damage.
    held_bytes
        How many bytes of frames decoded ahead of their turn may be kept.
    """

    rendering: Rendering
    on_corrupt: OnCorrupt
    held_bytes: int


class FrameJob(ABC):
    """Frames of one request, made step by step on a decoder that nobody else uses meanwhile."""

    def __init__(self, decoder: Decoder, options: FrameOptions) -> None:
        self.decoder = decoder
        self._on_corrupt = options.on_corrupt
        self._rendering = options.rendering
        self._convert = _converter(decoder, options.rendering)
        self._time_base = time_base_of(decoder.stream)
        self._frames = self._make()

    @abstractmethod
    def _make(self) -> Iterator[Frame | None]:
        """Yield the frames; ``None`` wherever a step may end without one."""

    def step(self, limit: int, deliver: Callable[[list[Frame]], None], stopped: Callable[[], bool]) -> bool:
        """Make frames for a bounded time.

        Parameters
        ----------
        limit
            At most so many.
        deliver
            Called with frames as they come, in order; it takes over the list.
        stopped
            Asked between frames whether to end early.

        Returns
        -------
        bool
            Whether there may be more.
        """
        batch: list[Frame] = []
        now = time.monotonic()
        deadline, due = now + _STEP_SECONDS, now + _BATCH_SECONDS
        try:
            for frame in self._frames:
                if frame is not None:
                    batch.append(frame)
                    limit -= 1
                    # A loop variable would keep the last frame of a step alive.
                    del frame
                now = time.monotonic()
                if batch and (now >= due or not limit or self.decoder.file.may_wait()):
                    deliver(batch)
                    batch, due = [], now + _BATCH_SECONDS
                if not limit or now >= deadline or stopped():
                    return True
            return False
        finally:
            # Also when the frames end in an error: those before it come first.
            if batch:
                deliver(batch)

    def _prepare(self) -> None:
        self.decoder.want_alpha(self._rendering.image_format == "rgba")

    def finished(
        self, rows: Iterator[tuple[int, Picture] | None], last_row: int | None = None
    ) -> Iterator[tuple[int, Picture] | None]:
        """Pass numbered pictures through what needs their neighbours."""
        if not self._rendering.deinterlace:
            return rows
        return deinterlaced(rows, last_row=last_row, source=self.decoder.file.source_name)

    def close(self) -> None:
        """Drop the pictures that the job still refers to."""
        self._frames = iter(())
        self._convert.rest()

    def _frame(self, index: int, picture: Picture) -> Frame | None:
        """Convert a picture, or leave it out where it is damaged and that was asked."""
        damaged = picture.is_damaged
        if damaged and self._on_corrupt != "keep":
            self._report(_mark(picture), index)
            return None
        return Frame(
            index=index,
            image=self._convert(picture.frame, picture.alpha),
            pts=picture.pts,
            time_base=self._time_base,
            is_keyframe=picture.frame.key_frame,
            is_corrupt=damaged,
        )

    def _report(self, damage: Damage, index: int) -> None:
        message = f"frame {index} is damaged (packet {damage.packet}): {damage.reason}"
        if self._on_corrupt == "raise":
            source = self.decoder.file.source_name
            raise CorruptMediaError(message, source=source, index=index, pts=damage.pts)
        _log.warning("%s", message)


def _mark(picture: Picture) -> Damage:
    reason = picture.alpha_damage or "the decoder marked it as damaged"
    return Damage(picture.packet, picture.pts, reason)


def _converter(decoder: Decoder, rendering: Rendering) -> Converter:
    """Return the converter that the request before left, or a new one if it wanted another rendering."""
    kept = decoder.converter
    if kept is None or kept.rendering != rendering:
        kept = Converter(rendering, pixel_shape_of(decoder.stream), decoder.file.source_name)
        decoder.converter = kept
    return kept


class ForwardJob(FrameJob):
    """Frames of a range, numbered by decoding from the first packet: no frame table is needed."""

    def __init__(self, decoder: Decoder, options: FrameOptions, bounds: tuple[int, int | None, int]) -> None:
        self._start, self._end, self._step = bounds
        super().__init__(decoder, options)

    def _make(self) -> Iterator[Frame | None]:
        self._prepare()
        if not self.decoder.at_start:
            self.decoder.reopen()
        self.decoder.file.plan_forward()
        index = -1
        for item in self.finished(self._numbered()):
            if item is None:
                yield None
                continue
            index, picture = item
            wanted = index >= self._start and (index - self._start) % self._step == 0
            yield self._frame(index, picture) if wanted else None
            if index == self._end:
                return
        if index < self._start and self._start > 0:
            length = index + 1
            message = f"start={self._start} asked for; the video has {length} frames"
            raise FrameIndexError(message, index=self._start, length=length)

    def _numbered(self) -> Iterator[tuple[int, Picture] | None]:
        index, whole = -1, False
        while not whole:
            place = -1
            for output in self.decoder.decode():
                if isinstance(output, Picture):
                    place += 1
                elif place >= index:
                    self._report(output, place + 1)
                if isinstance(output, Picture) and place > index:
                    index = place
                    yield index, output
                else:
                    yield None
            whole = not self._begins_again(index + 1)

    def _begins_again(self, index: int) -> bool:
        """Whether to decode once more for pictures that were lost at the end."""
        lost = self.decoder.lost_in_draining()
        if lost is None:
            return False
        if not self.decoder.file.seekable():
            self._report(lost, index)
            return False
        return self.decoder.use_one_thread()


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
            for index in order.tolist():
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
            self._report(_mark(picture), self.table.row_of(picture.packet))

    def make_frame(self, index: int, picture: Picture) -> Frame | None:
        """Make a frame with the pts of the table: some demuxers count anew after a seek."""
        return self._frame(index, replace(picture, pts=self.table.pts_of(index)))


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
        for row in self._runs.rows_from[self._runs.start_for(self._shown)]:
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
        needed = self._needed if self._may_skip() else None
        seen = 0
        outputs = self._decoder.decode(table=table, last_packet=self._last_packet, needed=needed)
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
            if not table.settled and expected is not None and self._is_unexpected(row, expected, needed):
                raise TableMismatchError(
                    f"packet {output.packet} came out where frame {expected} was expected"
                )
            expected = row + 1
            if needed is None:
                seen += 1
                self._table.confirmed |= seen >= _CONFIRMING_PICTURES
            yield (row, output) if row >= 0 else None

    def _may_skip(self) -> bool:
        """Whether pictures that nobody wants or refers to may be left out.

        A table made from packets is checked by what comes out, so some pictures in a row are first.
        """
        sure = self._table.settled or self._table.confirmed
        return sure and self._table.is_one_to_one and self._decoder.can_skip_unreferenced

    def _is_unexpected(self, row: int, expected: int, needed: Container[int] | None) -> bool:
        """Whether pictures that were decoded already are missing before this one."""
        before = self._table.packet_of[expected:row].tolist()
        missing = (packet for packet in before if packet < self._decoder.number)
        return row < expected or any(needed is None or packet in needed for packet in missing)

    def _unsafe_start(self, why: str) -> Exception:
        if self._start == 0:
            return TableMismatchError(why)
        self._table.mark_unsafe(self._start)
        return _UnsafeStartError(why)
