"""The first look at the videos of a job: sizes, numbers of frames, and tables of long ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asyncframes import sync
from asyncframes._media.table.part import can_be_cut
from asyncframes._model.selection import resolve
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.approximate import nominal_table
from asyncframes._requests.limits import expected_shape
from asyncframes._runtime.portal import lease
from asyncframes._types import VideoInfo
from asyncframes.errors import AsyncFramesError
from asyncframes.ray._options import Reading
from asyncframes.ray._sources import Entry
from asyncframes.sources._picklable import source_to_open

# The smallest frame takes as long to decode as this many million pixels of a large one.
_PER_FRAME = 0.05

# A frame by index costs about half a GOP of this many frames.
_TYPICAL_GOP = 60


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What is known of a video before the job.

    Attributes
    ----------
    shape
        Shape of its images; ``None`` if it cannot be opened.
    rows
        How many frames are selected: none of a video that cannot be opened; ``None`` if unknown.
    is_exact
        Whether that number follows from the frame table.
    work
        How much has to be decoded for them; see `work_of`. ``None`` if that is unknown.
    table
        Its frame table as bytes, if the video is long enough to be cut.
    """

    shape: tuple[int, ...] | None = None
    rows: int | None = None
    is_exact: bool = False
    work: float | None = None
    table: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Which videos are long enough to be cut, or even read once for that.

    Attributes
    ----------
    cutting
        Whether any video may be cut.
    cut_work, scan_work
        Least amount to decode for each.
    cut_rows
        Least number of selected frames, if the caller said how many a task has.
    """

    cutting: bool
    cut_work: float
    scan_work: float
    cut_rows: int | None

    def is_cut(self, rows: int, work: float) -> bool:
        """Whether a video is cut."""
        return self.cutting and (work >= self.cut_work if self.cut_rows is None else rows >= self.cut_rows)

    def is_scanned(self, rows: int | None, work: float | None) -> bool:
        """Whether a video whose table costs a pass over the file is cut."""
        if not self.cutting or rows is None or work is None:
            return False
        return work >= self.scan_work if self.cut_rows is None else rows >= self.cut_rows


def look_at(entries: Sequence[Entry], reading: Reading, worth: Worth) -> list[Found]:
    """Open videos one after another, and return what is found. A video with an error has no facts."""
    held = lease()
    try:
        return [_look(entry, reading, worth) for entry in entries]
    finally:
        held.release()


def _look(entry: Entry, reading: Reading, worth: Worth) -> Found:
    try:
        with sync.open_video(source_to_open(entry.source), **reading.open_options) as video:
            return _describe(video, entry, reading, worth)
    except AsyncFramesError:
        # The task that reads the video meets the error again, and treats it as the caller wants.
        return Found(rows=0, work=0.0)


def _describe(video: sync.Video, entry: Entry, reading: Reading, worth: Worth) -> Found:
    info = video.info
    claimed = _claims(info, reading)
    rows, work = (None, None) if claimed is None else _cost(*claimed, info)
    facts = Found(shape=expected_shape(info, reading.rendering), rows=rows, work=work)
    # The header of an MP4 lists the packets.
    if info.seek_mode != "exact" or not (info.container.startswith("mov") or worth.is_scanned(rows, work)):
        return facts
    try:
        table = video.frame_table()
        order = resolve(reading.selection, table)
    except (AsyncFramesError, ValueError):
        # The selection may be wrong for this video alone: its task says so.
        return facts
    rows, work = len(order), _cost_by_table(table, order, info)
    keeps = worth.is_cut(rows, work) and can_be_cut(table) and _is_ascending(order)
    return replace(facts, rows=rows, is_exact=True, work=work, table=table.to_bytes() if keeps else None)


def _is_ascending(order: Int64Array) -> bool:
    return not np.any(np.diff(order) < 0)


def _claims(info: VideoInfo, reading: Reading) -> tuple[int, int] | None:
    """Return how many frames the header claims, and how many of them are selected."""
    try:
        nominal = nominal_table(info, 0, "")
        if reading.selection.keyframes:
            return len(nominal), -(-len(nominal) // _TYPICAL_GOP)
        return len(nominal), len(resolve(reading.selection, nominal))
    except (AsyncFramesError, ValueError, OverflowError):
        return None


def _cost(frames: int, rows: int, info: VideoInfo) -> tuple[int, float]:
    return rows, work_of(min(frames, rows * _TYPICAL_GOP // 2 + _TYPICAL_GOP), info)


def _cost_by_table(table: FrameTable, order: Int64Array, info: VideoInfo) -> float:
    return work_of(int(packets_of(table, order)[1].sum()), info) if len(order) else 0.0


def work_of(frames: int, info: VideoInfo) -> float:
    """Return how much it takes to decode frames, in units of a million pixels."""
    return frames * (_PER_FRAME + info.coded_width * info.coded_height / 1e6)


def packets_of(table: FrameTable, order: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return where in `order` another keyframe begins, and how many packets are read from it."""
    starts, lasts = table.starts_for(order), table.last_packets_for(order)
    places = np.flatnonzero(np.diff(starts, prepend=-1))
    return places, np.maximum.reduceat(lasts, places) + 1 - starts[places]
