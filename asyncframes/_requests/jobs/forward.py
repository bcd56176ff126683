"""Delivers a range of frames by decoding from the first packet, without a frame table."""

from __future__ import annotations

from collections.abc import Iterator

from asyncframes._frames.frame import Frame
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture, refuse_without_pictures
from asyncframes._media.image.convert import Converter
from asyncframes._model.table import FrameTable
from asyncframes._requests.jobs.job import FrameJob, JobOptions, mark
from asyncframes.errors import FrameIndexError


class ForwardJob(FrameJob):
    """Delivers a range of frames. It counts pictures from the first packet, so it needs no frame table.

    Parameters
    ----------
    table
        Tells how long frames are shown, if it is known already.
    """

    def __init__(
        self,
        decoder: Decoder,
        converter: Converter,
        options: JobOptions,
        bounds: tuple[int, int | None, int],
        table: FrameTable | None,
    ) -> None:
        self._table = table
        self._start, self._end, self._step = bounds
        self._spoilt: tuple[Damage, int] | None = None
        super().__init__(decoder, converter, options)

    def _make(self) -> Iterator[Frame | None]:
        self._prepare()
        if not self.decoder.at_start:
            self.decoder.reopen()
        self.decoder.file.plan_forward()
        index = -1
        for item in self.deinterlaced(self._numbered()):
            if item is None:
                yield None
                continue
            index, picture = item
            self._pass(index, picture)
            wanted = index >= self._start and (index - self._start) % self._step == 0
            yield self._frame(index, picture, picture.pts) if wanted else None
            if index == self._end:
                return
        if index < self._start and self._start > 0:
            length = index + 1
            message = f"start={self._start} is out of range: the video has {length} frames"
            raise FrameIndexError(message, index=self._start, length=length)

    def _pass(self, index: int, picture: Picture) -> None:
        """Raise, if `on_corrupt` says so, at damage in the range or in the GOP that leads into it."""
        if self._on_corrupt != "raise":
            return
        if picture.is_damaged:
            self._spoilt = mark(picture), index
        elif picture.frame.key_frame:
            self._spoilt = None
        if index >= self._start and self._spoilt is not None:
            self._report(*self._spoilt)

    def _lose(self, damage: Damage, index: int) -> None:
        """Report a packet that became no picture. Before the range, only note it, as `_pass` may need it."""
        if self._on_corrupt == "raise" and index < self._start:
            self._spoilt = damage, index
        else:
            self._report(damage, index)

    def _duration_of(self, index: int, picture: Picture) -> float | None:
        table = self._table
        if table is not None and index < len(table) and table.pts_of(index) == picture.pts:
            return table.duration_seconds_of(index)
        return super()._duration_of(index, picture)

    def _numbered(self) -> Iterator[tuple[int, Picture] | None]:
        """Yield numbered pictures. At the first doubt, decode again with one thread and resume there."""
        index = -1
        while True:
            try:
                for place, picture in self._placed():
                    # After a doubt, decoding begins at 0 again, and each picture must be yielded only once.
                    if picture is None or place <= index:
                        yield None
                    else:
                        index = place
                        yield index, picture
            except DoubtError as doubt:
                self.decoder.fall_back_to_one_thread(doubt)
                self.decoder.file.plan_forward()
            else:
                self.evidence.frames = index + 1
                refuse_without_pictures(
                    self.decoder.file.source_name, packets=self.decoder.reader.number, frames=index + 1
                )
                return

    def _placed(self) -> Iterator[tuple[int, Picture | None]]:
        """Yield each picture with its place, and report a lost one at the place that it would have had."""
        place, lost = -1, list[Damage]()
        for output in self.decoder.decode():
            if isinstance(output, Damage):
                lost.append(output)
                yield place, None
                continue
            for damage in [damage for damage in lost if not _is_later(damage, output)]:
                lost.remove(damage)
                self._lose(damage, place + 1)
            place += 1
            yield place, output
        for damage in lost:
            self._lose(damage, place + 1)


def _is_later(damage: Damage, picture: Picture) -> bool:
    """Whether a lost picture would be shown after `picture`; ``False`` if their times are unknown."""
    return damage.pts is not None and picture.pts is not None and damage.pts > picture.pts
