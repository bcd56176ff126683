"""The videos, made when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av

from benchmarks.contest.workloads import Sizes
from benchmarks.make_media import DEMO_CLIP, HD, encode, loop
from benchmarks.peers.job import Clip

SMALL = {"preset": "veryfast", "crf": "28"}
STEPS = HD | {"x264-params": "keyint=60:min-keyint=60:scenecut=0:bframes=3:b-adapt=0"}


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
        sizes = self._sizes
        if media == "steps":
            source = self._looped("hd", sizes.step_seconds)
            return clip(self._made("steps.mp4", lambda path: _encode(source, path, "steps")))
        hd = {"hd": sizes.hd_seconds, "long": sizes.long_seconds, "uniform": sizes.uniform_seconds}
        if media in hd:
            return clip(self._looped("hd", hd[str(media)]))
        small = {"small": sizes.small_seconds, "clip": sizes.clip_seconds}
        seconds = small[media] if isinstance(media, str) else media * 60
        return clip(self._looped("small", seconds))

    def _looped(self, kind: str, seconds: float) -> Path:
        seed = self._made(f"{kind}-seed.mp4", lambda path: _encode(DEMO_CLIP, path, kind))
        return self._made(f"{kind}-{seconds:g}s.mp4", lambda path: loop(seed, path, seconds))

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            unfinished = path.with_suffix(".part")
            make(unfinished)
            unfinished.rename(path)
        return path


def _encode(source: Path, path: Path, kind: str) -> None:
    width, height = (320, 180) if kind == "small" else (1920, 1080)
    encode(source, path, width=width, height=height, options={"hd": HD, "steps": STEPS, "small": SMALL}[kind])
