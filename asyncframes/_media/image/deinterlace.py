"""Deinterlaces pictures, each from itself and its two neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.codec.pictures import Picture
from asyncframes._media.image.filters import keeps_layout, make_chain, pull
from asyncframes.errors import UnsupportedMediaError

# One picture comes out for each that goes in. Pictures not marked as interlaced pass through unchanged.
_BWDIF = ("bwdif", {"mode": "send_frame", "parity": "auto", "deint": "interlaced"})
_LEAST_WIDTH, _LEAST_HEIGHT = 3, 4


def deinterlace(
    rows: Iterable[tuple[int, Picture] | None], *, last_row: int | None, source: str
) -> Iterator[tuple[int, Picture] | None]:
    """Deinterlace numbered pictures.

    A picture depends on itself and its two neighbours, and on nothing else. So it is
    yielded once the next one has arrived, and only if the one before it did. The first
    and the last picture of the stream have one neighbour, and so do the pictures before
    and after a change of size.

    Parameters
    ----------
    rows
        Pictures with their frame indices, in ascending order; ``None`` is passed on.
    last_row
        Index of the stream's last frame; ``None`` if `rows` continue to the end of the
        stream.
    source
        Name of the source, for errors.
    """
    chain = _Chain(source)
    for item in rows:
        if item is None:
            yield None
        else:
            yield from chain.add(*item) or (None,)
    if last_row is None or chain.row == last_row:
        yield from chain.finish()


class _Chain:
    """A run of consecutive pictures in the filter, which still holds the last one."""

    def __init__(self, source: str) -> None:
        self.row = -1
        self._source = source
        self._picture: Picture | None = None
        self._graph: Graph | None = None
        self._has_predecessor = False

    def add(self, row: int, picture: Picture) -> list[tuple[int, Picture]]:
        """Add the next picture, and return the one before it if both of its neighbours were added."""
        follows = self._picture is not None and row == self.row + 1
        if follows and _kind(picture) == _kind(self._picture):
            done = self._give(self._push(picture.frame))
            self._has_predecessor = True
        else:
            done = self.finish() if follows else []
            self._has_predecessor = follows or row == 0
            self._graph = _graph_for(picture.frame, self._source)
            self._push(picture.frame)
        self.row, self._picture = row, picture
        return done

    def finish(self) -> list[tuple[int, Picture]]:
        """Return the last picture, which has no picture after it."""
        return self._give(self._push(None))

    def _push(self, frame: VideoFrame | None) -> VideoFrame | None:
        if self._graph is None:
            return None
        self._graph.vpush(frame)
        return pull(self._graph)

    def _give(self, frame: VideoFrame | None) -> list[tuple[int, Picture]]:
        if self._picture is None or not self._has_predecessor:
            return []
        return [(self.row, self._picture if frame is None else replace(self._picture, frame=frame))]


def _kind(picture: Picture | None) -> tuple[str, int, int] | None:
    if picture is None:
        return None
    return picture.frame.format.name, picture.frame.width, picture.frame.height


def _graph_for(frame: VideoFrame, source: str) -> Graph | None:
    """Make a filter chain for pictures like this one, or ``None`` if they have no fields to separate."""
    if frame.width < _LEAST_WIDTH or frame.height < _LEAST_HEIGHT:
        return None
    if _accepts(frame.format.name):
        return make_chain(frame, _BWDIF)
    if frame.interlaced_frame:
        raise UnsupportedMediaError(
            f"pictures in {frame.format.name} cannot be deinterlaced: pass deinterlace=False", source=source
        )
    return None


@cache
def _accepts(layout: str) -> bool:
    return keeps_layout(layout, _BWDIF)
