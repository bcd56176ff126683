"""The videos, made when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av

from benchmarks.contest.workloads import Sizes
from benchmarks.make_media import DEMO_CLIP, HD, encode, loop
from benchmarks.peers.job import Clip

SMALL = {"preset": "veryfast", "crf": "28"}


def clip(path: Path) -> Clip:
    """Return what the header of a video says."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        rate = str(stream.average_rate)
        return Clip(str(path), stream.frames, stream.width, stream.height, rate, path.stat().st_size)


class Media:
    """A folder of videos that loop the shipped clip, with their headers last.

    Parameters
    ----------
    folder
        Where the videos are kept; those that exist are not made again.
    long
        A file to use as the long video.
    """

    def __init__(self, folder: Path, sizes: Sizes, long: Path | None) -> None:
        self._folder = folder
        self._sizes = sizes
        self._long = long

    def get(self, media: str | float) -> Clip:
        """Return a video by its name, or by its length in minutes."""
        if media == "long" and self._long is not None:
            return clip(self._long)
        if media in {"hd", "long"}:
            seconds = self._sizes.hd_seconds if media == "hd" else self._sizes.long_seconds
            return clip(self._looped("hd", seconds))
        seconds = self._sizes.small_seconds if isinstance(media, str) else media * 60
        return clip(self._looped("small", seconds))

    def _looped(self, kind: str, seconds: float) -> Path:
        seed = self._made(f"{kind}-seed.mp4", lambda path: _encode_seed(kind, path))
        return self._made(f"{kind}-{seconds:g}s.mp4", lambda path: loop(seed, path, seconds))

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            unfinished = path.with_suffix(".part")
            make(unfinished)
            unfinished.rename(path)
        return path


def _encode_seed(kind: str, path: Path) -> None:
    if kind == "hd":
        encode(DEMO_CLIP, path, width=1920, height=1080, options=HD)
    else:
        encode(DEMO_CLIP, path, width=320, height=180, options=SMALL)
