"""Progress bars, and the number of frames to expect."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any, Literal

from tqdm import tqdm

from asyncframes._model.selection import Selection
from asyncframes._types import PacketProgress, VideoInfo

_LABELS = {"index": "Scanning packets", "decode": "Decoding packets"}


class Bar(tqdm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A progress bar without tqdm's monitor thread, which would outlive the call."""

    monitor_interval = 0


@contextmanager
def packet_bars(labels: Mapping[str, str] = _LABELS, *, leave: bool = True) -> Iterator[PacketProgress]:
    """Show one bar for each phase, from its first packet on.

    Parameters
    ----------
    labels
        Labels of the bars for ``"index"`` and ``"decode"``.
    leave
        Whether the bars stay on the screen afterwards.
    """
    bars: dict[str, Bar] = {}

    def advance(phase: Literal["index", "decode"], total: int | None) -> None:
        if phase not in bars:
            bars[phase] = Bar(desc=labels[phase], total=total, unit="pkt", leave=leave)
        bars[phase].update()

    try:
        yield advance
    finally:
        for bar in bars.values():
            bar.close()


class ManyBars:
    """One bar that counts finished videos, and below it one for each video in progress."""

    def __init__(self, total: int | None) -> None:
        self._whole = _bar("all", total, "video", leave=True)

    def advance(self) -> None:
        """Count a video as finished."""
        self._whole.update()

    def of(self, name: str) -> Bar:
        """Open the bar of one video, without a total yet."""
        return _bar(name, None, "frame", leave=False)

    def close(self) -> None:
        """Close the bar of all videos, and leave it on the screen."""
        self._whole.close()


def _bar(label: str, total: int | None, unit: str, **options: Any) -> Bar:
    return Bar(desc=label, total=total, unit=f" {unit}s", dynamic_ncols=True, file=sys.stderr, **options)


def frames_of_range(info: VideoInfo, selection: Selection) -> int | None:
    """Count the frames of a range that needs no frame table, without reading anything.

    Returns
    -------
    int or None
        The number according to the header; ``None`` if the header claims none.
    """
    start, end, step = selection.forward_range
    stops = [_frames_from_header(info), None if end is None else end + 1]
    known = [stop for stop in stops if stop is not None]
    return max(0, -(-(min(known) - start) // step)) if known else None


def _frames_from_header(info: VideoInfo) -> int | None:
    if info.frames_from_header is not None:
        return info.frames_from_header
    if info.duration_seconds_from_header is None or info.average_rate is None:
        return None
    frames = info.duration_seconds_from_header * info.average_rate
    return round(frames) if isfinite(frames) else None
