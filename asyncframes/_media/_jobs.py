"""A request for frames as a job that a worker thread takes bounded steps of."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asyncframes._media._container import time_base_of
from asyncframes._media._convert import Converter
from asyncframes._media._decoder import Damage, Decoder, Picture, TableMismatchError
from asyncframes._media._plan import Runs, Wanted
from asyncframes._media._scan import scan_by_decoding
from asyncframes._selection import Selection, resolve
from asyncframes._table import FrameTable
from asyncframes._types import Frame, ImageFormat, OnCorrupt
from asyncframes.errors import CorruptMediaError, FrameIndexError

_log = logging.getLogger("asyncframes")

# A step ends after this long, with or without frames, so that a thread serves many videos.
_STEP_SECONDS = 0.005

# Starts that prove to be no keyframes before the whole stream is decoded to learn which are.
_UNSAFE_BEFORE_SETTLING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """How frames are made.

    Attributes
    ----------
    image_format
        Layout of the images.
    on_corrupt
        What to do at damage.
    held_bytes
        How many bytes of frames decoded ahead of their turn may be kept.
    """

    image_format: ImageFormat
    on_corrupt: OnCorrupt
    held_bytes: int


class FrameJob(ABC):
    """Frames of one request, made step by step on a decoder that nobody else uses meanwhile."""

    def __init__(self, decoder: Decoder, options: FrameOptions) -> None:
        self.decoder = decoder
        self._on_corrupt = options.on_corrupt
        self._convert = Converter(options.image_format)
        self._time_base = time_base_of(decoder.stream)
        self._frames = self._make()
        self._error: Exception | None = None

    @abstractmethod
    def _make(self) -> Iterator[Frame | None]:
        """Yield the frames; ``None`` wherever a step may end without one."""

    def next_batch(self, limit: int) -> list[Frame] | None:
        """Take one step: at most `limit` frames, perhaps none yet; ``None`` once there are no more."""
        if self._error is not None:
            raise self._error
        batch: list[Frame] = []
        deadline = time.monotonic() + _STEP_SECONDS
        try:
            for frame in self._frames:
                if frame is not None:
                    batch.append(frame)
                if len(batch) >= limit or time.monotonic() >= deadline:
                    return batch
                if batch and self.decoder.file.may_wait():
                    return batch
        except Exception as exc:
            if not batch:
                raise
            # The frames before the failure come first.
            self._error = exc
        return batch or None

    def close(self) -> None:
        """Drop the pictures that the job still refers to."""
        self._frames = iter(())

    def _frame(self, index: int, picture: Picture) -> Frame | None:
        """Convert a picture, or leave it out where it is damaged and that was asked."""
        damaged = picture.frame.is_corrupt
        if damaged and self._on_corrupt != "keep":
            self._report(_mark(picture), index)
            return None
        return Frame(
            index=index,
            image=self._convert(picture.frame),
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
    return Damage(picture.packet, picture.pts, "the decoder marked it as damaged")


class ForwardJob(FrameJob):
    """Frames of a range, numbered by decoding from the first packet: no frame table is needed."""

    def __init__(self, decoder: Decoder, options: FrameOptions, bounds: tuple[int, int | None, int]) -> None:
        self._start, self._end, self._step = bounds
        super().__init__(decoder, options)

    def _make(self) -> Iterator[Frame | None]:
        if not self.decoder.at_start:
            self.decoder.reopen()
        self.decoder.file.plan_forward()
        index = -1
        for output in self.decoder.decode():
            if isinstance(output, Damage):
                self._report(output, index + 1)
                continue
            index += 1
            wanted = index >= self._start and (index - self._start) % self._step == 0
            yield self._frame(index, output) if wanted else None
            if index == self._end:
                return
        if index < self._start and self._start > 0:
            length = index + 1
            message = f"start={self._start} asked for; the video has {length} frames"
            raise FrameIndexError(message, index=self._start, length=length)


class _UnsafeStartError(Exception):
    """What begins at the start chosen does not decode as the frame table says."""


class TableJob(FrameJob):
    """Frames named by a frame table, in the order asked, each GOP decoded once.

    What is decoded is checked against the table. A start that is no keyframe is
    not used again, and a table made from packets alone that proves wrong is
    replaced by one made by decoding.
    """

    def __init__(
        self, decoder: Decoder, options: FrameOptions, selection: Selection, table: FrameTable
    ) -> None:
        self.table = table
        self._selection = selection
        self._held_bytes = options.held_bytes
        self._delivered = 0
        super().__init__(decoder, options)

    def _make(self) -> Iterator[Frame | None]:
        while True:
            try:
                yield from self._deliver()
            except _UnsafeStartError:
                if not self.table.settled and len(self.table.unsafe) >= _UNSAFE_BEFORE_SETTLING:
                    yield from self._settle()
            except TableMismatchError as exc:
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
        passage = _Passage(self, wanted, Runs(self.table, order))
        for index in order.tolist():
            yield from passage.fetch(index)
            self._delivered += 1
            if (frame := wanted.take(index)) is not None:
                # A frame that is asked for again is a copy: each belongs to whoever gets it.
                yield replace(frame, image=frame.image.copy()) if index in wanted else frame

    def meet(self, damage: Damage) -> None:
        """Report a packet that became no picture; what frames there are has to be settled first."""
        if self._on_corrupt != "raise" and not self.table.settled:
            raise TableMismatchError(damage.reason)
        known = damage.packet < len(self.table.packets)
        self._report(damage, self.table.row_of(damage.packet) if known else len(self.table))

    def pass_by(self, picture: Picture) -> None:
        """Refuse a damaged picture on the way to a frame: what refers to it is damaged as well."""
        if picture.frame.is_corrupt and self._on_corrupt == "raise":
            self._report(_mark(picture), self.table.row_of(picture.packet))

    def make_frame(self, index: int, picture: Picture) -> Frame | None:
        """Make a frame with the pts of the table: some demuxers count anew after a seek."""
        return self._frame(index, replace(picture, pts=self.table.pts_of(index)))


class _Passage:
    """The decoder's way through the packets that a request needs."""

    def __init__(self, job: TableJob, wanted: Wanted, runs: Runs) -> None:
        self._job = job
        self._decoder = job.decoder
        self._table = job.table
        self._wanted = wanted
        self._runs = runs
        self._outputs: Iterator[tuple[int, Picture] | None] = iter(())
        self._start = -1
        self._last_packet = -1
        self._shown = -1
        self._image_bytes = 0

    def fetch(self, index: int) -> Iterator[None]:
        """Decode until a frame is held, or given up as damaged."""
        if not self._wanted.is_missing(index):
            return
        if not self._leads_to(index):
            yield from self._finish_gop()
            self._begin(self._table.start_for(index))
        while self._wanted.is_missing(index):
            if not self._advance():
                raise self._unsafe_start(f"frame {index} did not come out of it")
            yield

    def _leads_to(self, index: int) -> bool:
        """Whether decoding on is the way to a frame."""
        if self._start < 0 or index <= self._shown or self._table.packet_of[index] > self._last_packet:
            return False
        return self._runs.is_near(self._decoder.number, self._table.start_for(index))

    def _begin(self, start: int) -> None:
        self._start = start
        self._last_packet = self._runs.last_packet(start)
        self._shown = -1
        self._decoder.file.plan(self._runs.byte_ranges(start))
        self._outputs = self._verified()

    def _finish_gop(self) -> Iterator[None]:
        """Decode what else is wanted of the GOP under way, while there is room to hold it."""
        if self._shown < 0:
            return
        for row in self._runs.rows_from[self._table.start_for(self._shown)]:
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
        for output in self._decoder.decode(table=table, last_packet=self._last_packet):
            if isinstance(output, Damage):
                self._job.meet(output)
                yield None
                continue
            if output.packet == start > 0 and not output.frame.key_frame:
                raise self._unsafe_start("its picture is no keyframe")
            self._job.pass_by(output)
            row = table.row_of(output.packet)
            if start > 0 and table.is_shown_before(output.packet, start):
                yield None
                continue
            if not table.settled and expected is not None and self._is_unexpected(row, expected):
                raise TableMismatchError(
                    f"packet {output.packet} came out where frame {expected} was expected"
                )
            expected = row + 1
            yield (row, output) if row >= 0 else None

    def _is_unexpected(self, row: int, expected: int) -> bool:
        """Whether pictures that were decoded already are missing before this one."""
        missing = self._table.packet_of[expected:row]
        return row < expected or bool((missing < self._decoder.number).any())

    def _unsafe_start(self, why: str) -> Exception:
        if self._start == 0:
            return TableMismatchError(why)
        self._table.mark_unsafe(self._start)
        return _UnsafeStartError(why)
