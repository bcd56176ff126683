"""Progress bars, and the number of frames to expect."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from math import isfinite
from threading import Lock
from typing import Any, Literal, TypeAlias

from tqdm import tqdm

from asyncframes._model.selection import Selection
from asyncframes._types import PacketProgress, VideoInfo

AnyBar: TypeAlias = "tqdm[Any]"

_LABELS = {"index": "Scanning packets", "decode": "Decoding packets"}


class Bar(tqdm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A progress bar as text, without tqdm's monitor thread, which would outlive the call."""

    monitor_interval = 0


@cache
def bar_class() -> type[AnyBar]:
    """Return the class of bars that fits where this runs: widgets in a notebook, text elsewhere.

    The first call may import ipywidgets, which takes a while.
    """
    from tqdm.auto import tqdm as fitting

    class FittingBar(fitting):  # type: ignore[type-arg]  # not subscriptable at run time
        monitor_interval = 0

        def __init__(self, **options: Any) -> None:
            # A program without a console, such as a service, may have no stderr.
            super().__init__(disable=sys.stderr is None, **options)

    return FittingBar


def finish(bar: AnyBar) -> None:
    """Show a bar at 100 %: the header's claim may be wrong, and a part may be all that was needed."""
    bar.total = bar.n
    if (widget := getattr(bar, "container", None)) is not None:
        widget.children[1].max = max(1, bar.n)
    bar.refresh()


def stop(bar: AnyBar) -> None:
    """Say on a bar that it stopped early, and leave it on the screen."""
    bar.leave = True
    bar.set_postfix_str("stopped early")


@contextmanager
def ending(bar: AnyBar) -> Iterator[AnyBar]:
    """Finish a bar at the end, or stop it if that is an error. Then close it."""
    try:
        yield bar
    except BaseException:
        stop(bar)
        raise
    else:
        finish(bar)
    finally:
        bar.close()


@contextmanager
def packet_bars(labels: Mapping[str, str] = _LABELS, *, leave: bool = True) -> Iterator[PacketProgress]:
    """Show one bar for each phase, from its first packet on.

    Parameters
    ----------
    labels
        Labels of the bars for ``"index"`` and ``"decode"``.
    leave
        Whether finished bars stay on the screen.
    """
    bars: dict[str, AnyBar] = {}
    current: AnyBar | None = None
    lock = Lock()

    def advance(phase: Literal["index", "decode"], total: int | None) -> None:
        nonlocal current
        with lock:
            if phase not in bars:
                bars[phase] = bar_class()(desc=labels[phase], total=total, unit="pkt", leave=leave)
            current = bars[phase]
            current.update()

    try:
        yield advance
    except BaseException:
        if current is not None:
            stop(current)
        raise
    else:
        current = None
    finally:
        for bar in bars.values():
            if bar is not current:
                finish(bar)
            bar.close()


class ManyBars:
    """One bar that counts finished videos, and below it one for each video in progress.

    Parameters
    ----------
    total
        Number of videos, ``None`` if unknown.
    bar
        The result of `bar_class`.
    """

    def __init__(self, total: int | None, bar: type[AnyBar]) -> None:
        self._bar = bar
        self._whole = self._open("all", total, "video", leave=True)

    def advance(self) -> None:
        """Count a video as finished."""
        self._whole.update()

    def of(self, name: str) -> AbstractContextManager[AnyBar]:
        """Open the bar of one video, without a total yet. It stays if it stops early."""
        return ending(self._open(name, None, "frame", leave=False))

    def close(self, *, early: bool) -> None:
        """Close the bar of all videos, and leave it on the screen.

        Parameters
        ----------
        early
            Whether there are more videos.
        """
        if early:
            stop(self._whole)
        else:
            finish(self._whole)
        self._whole.close()

    def _open(self, label: str, total: int | None, unit: str, *, leave: bool) -> AnyBar:
        return self._bar(
            desc=label, total=total, unit=f" {unit}s", dynamic_ncols=True, file=sys.stderr, leave=leave
        )


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
