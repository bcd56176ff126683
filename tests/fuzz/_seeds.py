"""Files that the fuzzer damages: real ones beside the checkout where they are there, and clips made here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av

from tests.support.exact.exactness import files_beside
from tests.support.streams.clips import clip_bytes

LARGE = 500_000
"""Bytes up to which a file is a seed."""

_CHEAP = 1_500_000
"""Pixels of a whole stream up to which a file is a seed like any other; others are taken more rarely."""

_EXACT = {"fflags": "+bitexact"}
_SIZE = {"frames": 24, "gop": 8}

MADE: dict[str, dict[str, Any]] = {
    "made-h264.mp4": _SIZE,
    "made-h264-open.mp4": _SIZE | {"open_gop": True, "faststart": True, "audio": True},
    "made-h264-fragmented.mp4": _SIZE | {"fragmented": True},
    "made-h264.mkv": _SIZE | {"container": "matroska"},
    "made-h264.ts": _SIZE | {"container": "mpegts"},
    "made-h264.flv": _SIZE | {"container": "flv"},
    "made-h264.h264": _SIZE | {"container": "h264"},
    "made-h265.mp4": _SIZE | {"codec": "libx265"},
    "made-h265.ts": _SIZE | {"codec": "libx265", "container": "mpegts"},
    "made-vp8.webm": _SIZE | {"codec": "libvpx", "container": "webm"},
    "made-vp9.webm": _SIZE | {"codec": "libvpx-vp9", "container": "webm"},
    "made-av1.mp4": _SIZE | {"codec": "libsvtav1"},
    "made-mpeg2.ts": _SIZE | {"codec": "mpeg2video", "container": "mpegts"},
    "made-mpeg4.avi": _SIZE | {"codec": "mpeg4", "container": "avi"},
    "made-mjpeg.mov": {"frames": 12, "codec": "mjpeg", "container": "mov", "pixel_format": "yuvj420p"},
    "made-ffv1.mkv": {"frames": 12, "codec": "ffv1", "container": "matroska"},
}
"""Clips by name, and their attributes."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A file to be damaged."""

    name: str
    path: Path
    size: int
    pixels: int

    @property
    def weight(self) -> float:
        """How often it is taken, so that the costly ones take no more time than others."""
        return min(1.0, _CHEAP / max(1, self.pixels, 10 * self.size))

    @property
    def kind(self) -> str:
        """What files it goes well together with."""
        return self.path.suffix.lower()

    def read(self) -> bytes:
        return _read(self.path)


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


def make_clips(folder: Path) -> None:
    """Write the clips to a folder, those that this build of FFmpeg can encode."""
    for name, attributes in MADE.items():
        path = folder / name
        if not path.exists():
            path.write_bytes(clip_bytes(**attributes, muxer_options=_EXACT))


def seeds_of(folder: Path, *, with_files: bool) -> list[Seed]:
    """Return the seeds: the clips of a folder, and the real files if they are wanted."""
    paths = [*(folder / name for name in MADE), *(files_beside() if with_files else ())]
    paths = [path for path in paths if 0 < path.stat().st_size <= LARGE]
    return [Seed(path.name, path, path.stat().st_size, _pixels(path)) for path in paths]


def _pixels(path: Path) -> int:
    """Estimate the pixels of a whole stream, from its header alone."""
    try:
        with av.open(str(path), "r") as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 25)
            seconds = (container.duration or 0) / 1_000_000
            frames = stream.frames or rate * seconds or path.stat().st_size / 1000
            return int(stream.width * stream.height * max(1, frames))
    except (av.FFmpegError, ValueError, LookupError):
        return 0
