"""A request for frames as a job, which worker threads run in bounded steps."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from types import TracebackType

from asyncframes._frames.frame import Frame
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.kept_pictures import KeptPictures
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.container.opening import time_base_of
from asyncframes._media.image.convert import Converter
from asyncframes._media.image.deinterlace import deinterlace
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import Int64Array
from asyncframes._requests.jobs.images import Places
from asyncframes._requests.limits import CpuBudget
from asyncframes._requests.steps import STEP_SECONDS
from asyncframes._types import OnCorrupt
from asyncframes.errors import CorruptMediaError

_log = logging.getLogger("asyncframes")


class LeftOut:
    """Counts the damaged frames that a request leaves out, and logs them when the context ends.

    All lanes of a request share one counter. A frame that is left out twice counts once.

    Parameters
    ----------
    logged
        Frames of the video that earlier requests have logged, so that a walk through damage logs
        it once. Those of this request are added.
    """

    def __init__(self, logged: set[int] | None = None) -> None:
        self._logged = set() if logged is None else logged
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._first: tuple[int, str] | None = None

    def add(self, index: int, message: str) -> None:
        """Count a frame. Thread-safe."""
        with self._lock:
            if index in self._logged:
                return
            self._seen.add(index)
            if self._first is None or index < self._first[0]:
                self._first = index, message

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._first is not None:
            number = len(self._seen)
            self._logged |= self._seen
            told = "it was left out" if number == 1 else f"{number:,} such frames were left out"
            _log.warning("%s; %s", self._first[1], told)


# Frames are handed over this often: small ones in batches, large ones one at a time.
_BATCH_SECONDS = 0.002


@dataclass(frozen=True, eq=False)
class Kept:
    """Pictures to decode with a request, and to keep for later ones.

    Attributes
    ----------
    pictures
        Where they are kept.
    rows
        Their frames, in ascending order.
    """

    pictures: KeptPictures
    rows: Int64Array

    def __contains__(self, row: object) -> bool:
        return row in self._as_set

    @cached_property
    def _as_set(self) -> frozenset[int]:
        return frozenset(self.rows.tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How frames are made.

    Attributes
    ----------
    rendering
        How pictures become images.
    on_corrupt
        What to do about damage.
    held_bytes
        How many bytes of frames decoded ahead of their turn may be held.
    images
        Where the images go, if they do not get memory of their own.
    kept
        Which pictures to keep for later requests.
    newest
        Called with what makes a frame, in place of making it, if only the newest is delivered.
    left_out
        Counts the damaged frames that are left out.
    budget
        The CPU time of the request; ``None`` for any.
    """

    rendering: Rendering
    on_corrupt: OnCorrupt
    held_bytes: int
    images: Places | None = None
    kept: Kept | None = None
    newest: Callable[[Callable[[], Frame]], None] | None = None
    left_out: LeftOut = field(default_factory=LeftOut)
    budget: CpuBudget | None = None


@dataclass(slots=True)
class Evidence:
    """What a request learnt about a stream by decoding it.

    Attributes
    ----------
    must_rebuild
        Whether there was damage that makes a table from packets useless: it cost a frame, or
        damaged frames are delivered.
    frames
        How many frames the whole stream has; ``None`` if it was not decoded to its end.
    """

    must_rebuild: bool = False
    frames: int | None = None


class FrameJob(ABC):
    """Makes the frames of one request step by step, on a decoder reserved for it.

    Parameters
    ----------
    decoder
        Outputs the pictures.
    converter
        Converts them to images, according to `JobOptions.rendering`.
    options
        How frames are made.

    Attributes
    ----------
    is_under_way
        Whether a first frame was made.
    """

    def __init__(self, decoder: Decoder, converter: Converter, options: JobOptions) -> None:
        self.decoder = decoder
        self.evidence = Evidence()
        self._on_corrupt = options.on_corrupt
        self._left_out = options.left_out
        self._images = options.images
        self._newest = options.newest
        self.is_under_way = False
        self._rendering = options.rendering
        self._convert = converter
        self._time_base = time_base_of(decoder.stream)
        self._frames = self._make()

    @abstractmethod
    def _make(self) -> Iterator[Frame | None]:
        """Yield the frames, and ``None`` where a step may end without one."""

    def step(
        self,
        room: Callable[[], int],
        deliver: Callable[[list[Frame], bool], None],
        stopped: Callable[[], bool],
    ) -> bool:
        """Make frames for a bounded time.

        Parameters
        ----------
        room
            Returns how many frames may be made. Called again once these are delivered. 0 ends
            the step.
        deliver
            Called with frames as they are made, in order, and whether the step ends with them. It
            owns the list.
        stopped
            Called between frames. Returns whether to end early.

        Returns
        -------
        bool
            Whether more frames may follow.
        """
        batch: list[Frame] = []
        limit = room()
        now = time.monotonic()
        deadline = now + STEP_SECONDS
        # Frames of a batch are of use together, and each delivery interrupts the event loop.
        due = now + _BATCH_SECONDS if self._images is None else deadline
        try:
            for frame in self._frames:
                if frame is not None:
                    self.is_under_way = True
                    batch.append(frame if self._images is None else self._images.put(frame))
                    limit -= 1
                    # A loop variable would keep the last frame of a step alive.
                    del frame
                now = time.monotonic()
                if batch and (now >= due or not limit or self.decoder.file.may_wait()):
                    deliver(batch, False)
                    batch, due = [], max(due, now + _BATCH_SECONDS)
                limit = limit or room()
                if not limit or now >= deadline or stopped():
                    return True
            return False
        finally:
            # Even if an error ends the frames, those before it are delivered first.
            if batch:
                deliver(batch, True)

    def _prepare(self) -> None:
        self.decoder.want_alpha(self._rendering.image_format == "rgba")

    def deinterlaced(
        self, rows: Iterator[tuple[int, Picture] | None], last_row: int | None = None
    ) -> Iterator[tuple[int, Picture] | None]:
        """Deinterlace numbered pictures if the request asks for it."""
        if not self._rendering.deinterlace:
            return rows
        return deinterlace(rows, last_row=last_row, source=self.decoder.file.source_name)

    def close(self) -> None:
        """Drop the pictures that the job still refers to."""
        self._frames = iter(())
        self._convert.rest()

    def _frame(
        self, index: int, picture: Picture, pts: int | None, *, is_damaged: bool | None = None
    ) -> Frame | None:
        """Convert a picture; if it is damaged, convert it, leave it out or raise, as `on_corrupt` says."""
        damaged = picture.is_damaged if is_damaged is None else is_damaged
        self.evidence.must_rebuild |= damaged and self._on_corrupt != "raise"
        if damaged and self._on_corrupt != "keep":
            self._report(mark(picture), index)
            return None
        if self._newest is None:
            return self._made(index, picture, pts, is_damaged=damaged)
        self.is_under_way = True
        self._newest(partial(self._made, index, picture, pts, is_damaged=damaged))
        return None

    def _made(self, index: int, picture: Picture, pts: int | None, *, is_damaged: bool) -> Frame:
        return Frame(
            index=index,
            image=self._convert(picture.frame, picture.alpha, owned=self._images is None),
            pts=pts,
            time_base=self._time_base,
            is_keyframe=picture.frame.key_frame,
            is_corrupt=is_damaged,
            duration_seconds=self._duration_of(index, picture),
            image_format=self._rendering.image_format,
        )

    def _repeated(self, frame: Frame) -> Frame:
        """Return a frame that is delivered again later: the caller may write to the array that it gets."""
        return frame if self._images is not None else replace(frame, image=frame.image.copy())

    def _duration_of(self, index: int, picture: Picture) -> float | None:
        """Return for how long a frame is shown: here, what its packet says."""
        ticks, base = picture.duration, self._time_base
        # Integers divide as exactly as a fraction, which takes ten times as long to make.
        return ticks * base.numerator / base.denominator if ticks > 0 else None

    def _report(self, damage: Damage, index: int) -> None:
        self.evidence.must_rebuild |= self._on_corrupt != "raise" or not damage.has_picture
        message = f"frame {index} is damaged (packet {damage.packet}): {damage.reason}"
        source = self.decoder.file.source_name
        if self._on_corrupt == "raise":
            raise CorruptMediaError(message, source=source, index=index, pts=damage.pts)
        self._left_out.add(index, f"{message} [{source}]")


def mark(picture: Picture) -> Damage:
    """Describe the damage of a picture."""
    reason = picture.alpha_damage or "the decoder marked it as damaged"
    return Damage(picture.packet, picture.pts, reason, has_picture=True)
