"""How many frames a request will give, for bars."""

from __future__ import annotations

from math import isfinite
from typing import Any

from asyncframes._selection import make_selection
from asyncframes._types import VideoInfo
from asyncframes._video import Video


async def expected_frames(video: Video, selection: dict[str, Any], *, exact: bool) -> int | None:
    """Say how many frames a selection gives, without reading for it more than decoding will.

    Parameters
    ----------
    video
        An open video.
    selection
        Arguments of `Video.indices`.
    exact
        Whether the frame table will be needed in any case.

    Returns
    -------
    int or None
        For a range near the start that can do without the table, what the
        header claims, ``None`` if nothing; else the exact number.
    """
    checked = make_selection(**selection)
    if exact or not checked.is_forward:
        return len(await video._resolve(checked, distinct=True))
    start, end, step = checked.forward_range
    stops = [_frames_from_header(video.info), None if end is None else end + 1]
    known = [stop for stop in stops if stop is not None]
    return max(0, -(-(min(known) - start) // step)) if known else None


def _frames_from_header(info: VideoInfo) -> int | None:
    if info.frames_from_header is not None:
        return info.frames_from_header
    if info.duration_seconds_from_header is None or info.average_rate is None:
        return None
    frames = info.duration_seconds_from_header * info.average_rate
    return round(frames) if isfinite(frames) else None
