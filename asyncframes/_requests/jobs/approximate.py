"""Finds frames by time alone: a frame's time is its index divided by the average rate."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from math import isfinite

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.image.convert import Converter
from asyncframes._model.selection import Selection, resolve
from asyncframes._model.table import FrameTable, Packets
from asyncframes._model.timing import MOST_TICKS, even_ticks
from asyncframes._requests.jobs.job import FrameJob, JobOptions
from asyncframes._requests.jobs.plan import Wanted, each
from asyncframes._types import VideoInfo
from asyncframes.errors import FrameIndexError, UnsupportedMediaError

# A demuxer may land after the wanted time, or inside a GOP. Each further seek aims this many seconds before
# that time. After the last one, decoding starts at the beginning of the stream.
_EARLIER_SECONDS = (0, 1, 4, 16, 64)

# Decoding up to this many frames costs less than a seek, if nothing is known about the frames between.
_DECODE_ON = 32

# A header that claims more frames than this (15 days at 25 per second) is refused, to bound the memory.
_MOST_FRAMES = 2**25


def nominal_table(info: VideoInfo, first_pts: int | None, source: str) -> FrameTable:
    """Return the table of a video whose frames are evenly spaced and as many as its header claims.

    Raises
    ------
    UnsupportedMediaError
        The header claims no rate or no length, or the frames have no times.
    """
    count, rate, seconds = info.frames_from_header, info.average_rate, info.duration_seconds_from_header
    if count is None and rate and seconds is not None and isfinite(seconds):
        count = round(rate * Fraction(seconds))
    if not rate or rate < 0 or count is None or count > _MOST_FRAMES or first_pts is None:
        lacks = (
            "rate"
            if not rate or rate < 0
            else "time of the first frame"
            if first_pts is None
            else "plausible length"
        )
        message = f'seek_mode="approximate" finds no frames in a video without a {lacks}: pass "exact"'
        raise UnsupportedMediaError(message, source=source)
    count, ticks = max(count, 0), 1 / (rate * info.time_base)
    if abs(first_pts) + count * ticks > MOST_TICKS:
        message = 'seek_mode="approximate" finds no frames in a video with times this large: pass "exact"'
        raise UnsupportedMediaError(message, source=source)
    whole, part = even_ticks(count, ticks)
    pts = first_pts + whole + (part >= 0.5)
    nothing, unknown = np.zeros(count, bool), np.full(count, -1, np.int64)
    packets = Packets(
        pts=pts,
        dts=pts,
        position=unknown,
        size=unknown,
        duration=np.full(count, max(1, round(ticks)), np.int64),
        is_keyframe=nothing,
        is_discard=nothing,
    )
    return FrameTable(packets, info.time_base, np.arange(count), average_rate=rate)


class ApproximateJob(FrameJob):
    """Delivers the frames shown at nominal times, in the order requested.

    A frame is the picture within half a frame of its nominal time, or if there is none,
    the picture shown at that time.

    Parameters
    ----------
    nominal
        The table from `nominal_table`.
    """

    def __init__(
        self,
        decoder: Decoder,
        converter: Converter,
        options: JobOptions,
        selection: Selection,
        nominal: FrameTable,
    ) -> None:
        self._selection = selection
        self._nominal = nominal
        self._held_bytes = options.held_bytes
        self._ticks = nominal.pts.tolist()
        self._period = int(nominal.packets.duration[0]) if len(nominal) else 1
        self._half = (self._period - 1) // 2
        self._outputs: Iterator[Picture | Damage] = iter(())
        self._before: Picture | None = None
        self._last: Picture | None = None
        self._image_bytes = 0
        super().__init__(decoder, converter, options)

    def close(self) -> None:
        super().close()
        self._outputs = iter(())
        self._before = self._last = None

    def _make(self) -> Iterator[Frame | None]:
        order = resolve(self._selection, self._nominal)
        wanted = Wanted(order, self._held_bytes)
        for index in each(order):
            try:
                yield from self._fetch(index, wanted)
            except DoubtError as doubt:
                self.decoder.fall_back_to_one_thread(doubt)
                self._before = self._last = None
                yield from self._fetch(index, wanted)
            if (frame := wanted.take(index)) is not None:
                yield self._repeated(frame) if index in wanted else frame

    def _fetch(self, index: int, wanted: Wanted) -> Iterator[None]:
        """Decode until a frame is held or given up as damaged."""
        if not wanted.is_missing(index):
            return
        tick = self._ticks[index]
        if self._shown_at(tick) is None and not self._leads_to(tick):
            yield from self._begin(tick)
        while (picture := self._shown_at(tick)) is None:
            if not self._advance(index):
                picture = self._last_one(index)
                break
            self._hold_for_another(wanted, index)
            yield
        self._keep(wanted, index, picture)

    def _shown_at(self, tick: int) -> Picture | None:
        """Return the picture for a tick, or ``None`` if that is not known yet."""
        if self._last is None:
            return None
        if tick < _pts(self._last) - self._half:
            is_between = self._before is not None and _pts(self._before) - self._half <= tick
            return self._before if is_between else None
        return self._last if tick <= _pts(self._last) + self._half else None

    def _leads_to(self, tick: int) -> bool:
        """Whether decoding on reaches a tick, and no later than from the keyframe before it."""
        if self._last is None or tick < _pts(self._last):
            return False
        entries = self.decoder.stream.index_entries
        place = entries.search_timestamp(tick, backward=True) if len(entries) else -1
        if place >= 0:
            return entries[place].timestamp <= _pts(self._last)
        return tick <= _pts(self._last) + _DECODE_ON * self._period

    def _begin(self, tick: int) -> Iterator[None]:
        """Go to a keyframe at or before a tick, from which all pictures decode."""
        self._before = self._last = None
        if not (self.decoder.at_start and tick <= self._ticks[0] + _DECODE_ON * self._period):
            for earlier in _EARLIER_SECONDS:
                if self.decoder.seek_near(tick - self._half - round(earlier / self._nominal.time_base)):
                    yield from self._find_keyframe()
                if self._last is not None and _pts(self._last) <= tick + self._half:
                    return
            # No seek landed before the time, so decoding starts at the beginning.
            self.decoder.reopen()
        self._last = None
        self.decoder.file.plan_forward()
        self._outputs = self.decoder.decode()

    def _find_keyframe(self) -> Iterator[None]:
        """Skip pictures that may refer to pictures before the place where the seek landed."""
        self._last = None
        self.decoder.file.plan_forward()
        self._outputs = self.decoder.decode()
        for output in self._outputs:
            yield
            if isinstance(output, Picture) and output.frame.key_frame:
                self._last = output
                return

    def _advance(self, index: int) -> bool:
        """Take the next picture; ``False`` when there is none."""
        for output in self._outputs:
            if isinstance(output, Picture):
                self._before, self._last = self._last, output
                return True
            self._report(output, index)
        return False

    def _last_one(self, index: int) -> Picture:
        """Return the last picture of the video, if it is shown at the time of a frame."""
        tick, last = self._ticks[index], self._last
        if last is None or tick > _pts(last) + max(self._period, last.frame.duration or 0) + self._half:
            seconds = float(tick * self._nominal.time_base)
            message = f"frame {index} (at {seconds:.6g} s) is out of range: the video ends before it"
            raise FrameIndexError(message, index=index)
        return last

    def _hold_for_another(self, wanted: Wanted, fetched: int) -> None:
        """Hold the newest picture if it is the picture of another requested frame."""
        if self._last is None:
            return
        index = bisect_left(self._ticks, _pts(self._last) - self._half)
        if (
            index != fetched
            and index < len(self._ticks)
            and self._ticks[index] <= _pts(self._last) + self._half
            and wanted.is_missing(index)
            and wanted.has_room(self._image_bytes)
        ):
            self._keep(wanted, index, self._last)

    def _keep(self, wanted: Wanted, index: int, picture: Picture) -> None:
        frame = self._frame(index, picture, picture.pts)
        if frame is None:
            wanted.give_up(index)
        else:
            self._image_bytes = frame.image.nbytes
            wanted.hold(frame)


def _pts(picture: Picture) -> int:
    if picture.pts is None:
        raise UnsupportedMediaError(
            'seek_mode="approximate" finds no frames in a video without times: pass "exact"'
        )
    return picture.pts
