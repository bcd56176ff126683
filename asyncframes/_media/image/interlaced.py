"""Converts interlaced pictures as a whole, rather than field by field."""

from __future__ import annotations

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.image.filters import filtered, make_chain
from asyncframes.errors import UnsupportedMediaError

_UNMARK = ("setparams", {"field_mode": "prog"})


class WholePictures:
    """Removes the interlaced mark from pictures of one kind.

    Called directly, swscale converts each field of a marked picture separately, with the
    chroma of that field. libavfilter's scale filter and the ffmpeg program do not. The
    result shares the pixels of the picture.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """Return the picture without the mark; the same picture if it has none.

        Raises
        ------
        UnsupportedMediaError
            The bundled FFmpeg cannot remove it.
        """
        if not picture.interlaced_frame:
            return picture
        if self._graph is None:
            self._graph = _unmarking(picture)
        return filtered(self._graph, picture)


def _unmarking(picture: VideoFrame) -> Graph:
    try:
        return make_chain(picture, _UNMARK)
    except (av.FFmpegError, ValueError) as exc:
        raise UnsupportedMediaError(
            "interlaced pictures need libavfilter's setparams filter, which this FFmpeg lacks"
        ) from exc
