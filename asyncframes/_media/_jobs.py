"""A request for frames as a job that a worker thread takes bounded steps of."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from asyncframes._media._container import time_base_of
from asyncframes._media._convert import Converter
from asyncframes._media._decoder import Decoder
from asyncframes._media._deinterlace import deinterlaced
from asyncframes._media._describe import pixel_shape_of
from asyncframes._media._left_out import LeftOut
from asyncframes._media._pictures import Damage, Picture
from asyncframes._rendering import Rendering
from asyncframes._types import Frame, OnCorrupt
from asyncframes.errors import CorruptMediaError, FrameIndexError

# A step ends after this long, with or without frames, so that a thread serves many videos.
_STEP_SECONDS = 0.1

# Frames are handed over this often: small ones together, large ones each by itself.
_BATCH_SECONDS = 0.002


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
    left_out
        Is told of the damaged frames that are left out.
    """

    rendering: Rendering
    on_corrupt: OnCorrupt
    held_bytes: int
    left_out: LeftOut = field(default_factory=LeftOut)


class FrameJob(ABC):
    """Frames of one request, made step by step on a decoder that nobody else uses meanwhile."""

    def __init__(self, decoder: Decoder, options: FrameOptions) -> None:
        self.decoder = decoder
        self._on_corrupt = options.on_corrupt
        self._left_out = options.left_out
        self._rendering = options.rendering
        self._convert = _converter(decoder, options.rendering)
        self._time_base = time_base_of(decoder.stream)
        self._frames = self._make()

    @abstractmethod
    def _make(self) -> Iterator[Frame | None]:
        """Yield the frames; ``None`` wherever a step may end without one."""

    def step(
        self, room: Callable[[], int], deliver: Callable[[list[Frame]], None], stopped: Callable[[], bool]
    ) -> bool:
        """Make frames for a bounded time.

        Parameters
        ----------
        room
            Asked how many may be made now, and again when these are delivered; 0 ends the step.
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
        limit = room()
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
                limit = limit or room()
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

    def _frame(self, index: int, picture: Picture, pts: int | None) -> Frame | None:
        """Convert a picture, or leave it out where it is damaged and that was asked."""
        damaged = picture.is_damaged
        if damaged and self._on_corrupt != "keep":
            self._report(mark(picture), index)
            return None
        return Frame(
            index=index,
            image=self._convert(picture.frame, picture.alpha),
            pts=pts,
            time_base=self._time_base,
            is_keyframe=picture.frame.key_frame,
            is_corrupt=damaged,
        )

    def _report(self, damage: Damage, index: int) -> None:
        message = f"frame {index} is damaged (packet {damage.packet}): {damage.reason}"
        source = self.decoder.file.source_name
        if self._on_corrupt == "raise":
            raise CorruptMediaError(message, source=source, index=index, pts=damage.pts)
        self._left_out.add(index, f"{message} [{source}]")


def mark(picture: Picture) -> Damage:
    """Say what is wrong with a picture that came out damaged."""
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
            yield self._frame(index, picture, picture.pts) if wanted else None
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
        if self.decoder.file.seekable():
            return self.decoder.use_one_thread()
        if lost.is_certain:
            self._report(lost, index)
        return False
