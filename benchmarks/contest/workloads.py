"""The workloads that contestants are timed at."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lengths of videos and numbers of frames."""

    hd_seconds: float = 60
    small_seconds: float = 120
    long_seconds: float = 1200
    minutes: tuple[float, ...] = (1, 10, 60, 240)
    sequential: int = 240
    small: int = 3000
    scattered: int = 20
    near_end: int = 10
    written: int = 60
    open_videos: int = 1000
    running_videos: int = 10
    frames_each: int = 300


QUICK = Sizes(
    hd_seconds=5,
    small_seconds=10,
    long_seconds=20,
    minutes=(0.2, 0.5),
    sequential=24,
    small=200,
    scattered=6,
    near_end=4,
    written=4,
    open_videos=40,
    running_videos=4,
    frames_each=60,
)


def length_name(minutes: float) -> str:
    """Return a length as ``10 min`` or ``4 h``."""
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A task for all contestants.

    Attributes
    ----------
    media
        The video; a number is a length in minutes.
    method
        The method of a contestant.
    indices
        Return the frames to ask for, given the number of frames.
    remote
        Whether the video is read over HTTP.
    ext
        The file extension of images written.
    """

    title: str
    media: str | float
    indices: Callable[[int], list[int]]
    method: str = "sequence"
    remote: bool = False
    ext: str = ""


def workloads(sizes: Sizes) -> dict[str, Workload]:
    """Return the workloads by name; those named ``length`` are plotted against the length."""
    found = {
        "hd": Workload(
            title=f"{sizes.sequential} frames of 1920x1080 from the start, to RGB",
            media="hd",
            indices=lambda _: list(range(sizes.sequential)),
        ),
        "small": Workload(
            title=f"{sizes.small} frames of 320x180 from the start, to RGB",
            media="small",
            indices=lambda _: list(range(sizes.small)),
        ),
        "first": Workload(
            title="The first frame of the long file",
            media="long",
            indices=lambda _: [0],
        ),
        "scattered": Workload(
            title=f"{sizes.scattered} scattered frames of the long file",
            media="long",
            method="scattered",
            indices=lambda frames: random.Random(7).sample(range(frames), sizes.scattered),
        ),
        "near_end": Workload(
            title=f"{sizes.near_end} frames near the end of the long file",
            media="long",
            indices=lambda frames: _near_end(frames, sizes.near_end),
        ),
        "near_end_remote": Workload(
            title=f"{sizes.near_end} frames near the end of the long file, over HTTP",
            media="long",
            indices=lambda frames: _near_end(frames, sizes.near_end),
            remote=True,
        ),
        "png": _written(sizes, "png", "PNG files"),
        "jpeg": _written(sizes, "jpg", "JPEG files of the same quality"),
    }
    for minutes in sizes.minutes:
        found[f"length {length_name(minutes)}"] = Workload(
            title=f"The number of frames and the last one, of {length_name(minutes)} of 320x180",
            media=minutes,
            method="last",
            indices=lambda frames: [frames - 1],
        )
    return found


def _written(sizes: Sizes, ext: str, files: str) -> Workload:
    return Workload(
        title=f"{sizes.written} frames of 1920x1080 to {files}",
        media="hd",
        method="to_files",
        indices=lambda _: list(range(sizes.written)),
        ext=ext,
    )


def _near_end(frames: int, count: int) -> list[int]:
    start = frames - 5 * count
    return list(range(start, start + count))
