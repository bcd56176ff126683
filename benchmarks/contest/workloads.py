"""The workloads that contestants are timed at."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np


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
    uniform_seconds: float = 100
    uniform: int = 32
    step_seconds: float = 10
    steps: int = 60
    jumps: int = 20
    clip_seconds: float = 10
    clips: int = 60
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
    uniform_seconds=10,
    uniform=8,
    steps=20,
    jumps=6,
    clips=8,
    open_videos=40,
    running_videos=4,
    frames_each=60,
)


CLIP_FRAMES, CLIP_STRIDE = 8, 4

# What most vision models take, at the shape of the video.
UNIFORM_SIZE = (796, 448)

LINK_SECONDS = 0.02

COLUMNS = {"seconds": ("time", "s"), "bytes": ("fetched", "MB"), "file_bytes": ("files", "MB")}
STEP_COLUMNS = {"seconds": ("a step", "ms"), "longest": ("longest step", "ms"), "bytes": ("fetched", "MB")}
CLIP_COLUMNS = {"seconds": ("a clip", "ms")}


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
    round_trip_seconds
        Delay of the link to the HTTP server.
    size
        Width and height of images that are scaled while they are read.
    clip_frames, at_once
        How many frames make up a clip, and how many clips are read at the same time.
    ext
        The file extension of images written.
    columns
        Heading and unit of each figure.
    """

    title: str
    media: str | float
    indices: Callable[[int], list[int]]
    method: str = "sequence"
    remote: bool = False
    round_trip_seconds: float = 0.0
    size: tuple[int, int] | None = None
    clip_frames: int = 0
    at_once: int = 1
    ext: str = ""
    columns: dict[str, tuple[str, str]] = field(default_factory=lambda: COLUMNS)


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
        "opened": Workload(
            title="The first frame of the long file, which is open already",
            media="long",
            method="opened",
            indices=lambda _: [0],
            columns={"seconds": ("time", "ms")},
        ),
        "uniform": Workload(
            title=f"{sizes.uniform} uniform frames of {sizes.uniform_seconds:g} s of 1920x1080, to 796x448",
            media="uniform",
            method="resized",
            indices=lambda frames: np.linspace(0, frames - 1, sizes.uniform).round().astype(int).tolist(),
            size=UNIFORM_SIZE,
        ),
        **_steps(sizes),
        **_clips(sizes),
    }
    for minutes in sizes.minutes:
        found[f"length {length_name(minutes)}"] = Workload(
            title=f"The number of frames and the last one, of {length_name(minutes)} of 320x180",
            media=minutes,
            method="last",
            indices=lambda frames: [frames - 1],
        )
    return found


def _steps(sizes: Sizes) -> dict[str, Workload]:
    """Return steps of each kind through an open file, local and over HTTP."""
    steps = sizes.steps
    kinds: dict[str, tuple[str, Callable[[int], list[int]]]] = {
        "forward": ("forward", lambda frames: [*range(frames // 3, frames // 3 + steps)]),
        "backward": ("backward", lambda frames: [*range(frames // 3 + steps, frames // 3, -1)]),
        "jump": ("to any frame", lambda frames: random.Random(0).sample(range(frames), sizes.jumps)),
    }
    found = {}
    for kind, (where, indices) in kinds.items():
        local = Workload(
            title=f"Steps {where} through an open file of 1920x1080, a keyframe every 60 frames",
            media="steps",
            method="steps",
            indices=indices,
            columns=STEP_COLUMNS,
        )
        found[kind] = local
        found[f"{kind}_remote"] = replace(
            local,
            title=f"{local.title}, over HTTP with {LINK_SECONDS * 1e3:g} ms",
            remote=True,
            round_trip_seconds=LINK_SECONDS,
        )
    return found


def _clips(sizes: Sizes) -> dict[str, Workload]:
    """Return random clips, each of which opens the file."""

    def indices(frames: int) -> list[int]:
        span = (CLIP_FRAMES - 1) * CLIP_STRIDE
        starts = np.linspace(0, frames - 1 - span, sizes.clips).round().astype(int).tolist()
        random.Random(7).shuffle(starts)
        return [start + place * CLIP_STRIDE for start in starts for place in range(CLIP_FRAMES)]

    one = Workload(
        title=(
            f"Random clips: open a file of {sizes.clip_seconds:g} s of 320x180, {CLIP_FRAMES} frames at a "
            f"stride of {CLIP_STRIDE}; one at a time"
        ),
        media="clip",
        method="clips",
        indices=indices,
        clip_frames=CLIP_FRAMES,
        columns=CLIP_COLUMNS,
    )
    title, _, _ = one.title.rpartition(";")
    return {
        "clips": one,
        "clips_two": replace(one, title=f"{title}; two at a time", at_once=2),
        "clips_loader": replace(one, title=f"{title}; `DataLoader` of 2 workers", method="loader", at_once=2),
    }


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
