"""Interlaced pictures, converted as a whole."""

from __future__ import annotations

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.image.filters import filtered, make_chain
from asyncframes.errors import UnsupportedMediaError

_UNMARK = ("setparams", {"field_mode": "prog"})


class WholePictures:
    """Takes the mark off interlaced pictures of one kind.

    swscale, called for itself, would convert each field of a marked picture
    alone, with chroma of that field. libavfilter's scale filter does not, nor
    does the ffmpeg program. The pixels are shared, not copied.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """Return the picture without the mark, itself where it has none.

        Raises
        ------
        UnsupportedMediaError
            The bundled FFmpeg cannot take it off.
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
        raise UnsupportedMediaError("interlaced pictures need libavfilter's setparams filter") from exc
