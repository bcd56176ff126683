"""Tone mapping: HDR pictures to the range and primaries of BT.709."""

from __future__ import annotations

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from asyncframes._media.image.filters import filtered, make_chain
from asyncframes.errors import UnsupportedMediaError

_UNSPECIFIED = 2

SCALE = {
    "out_primaries": "bt709",
    "out_transfer": "bt709",
    "out_range": "pc",
    "intent": "perceptual",
    "flags": "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact",
}
"""Options of the scale filter for HDR to BT.709."""


class ToneMapper:
    """Maps PQ and HLG with libavfilter's scale filter, in the same pass that resizes and converts.

    The filter (FFmpeg 7.1 and later) computes a table from the stream's colours, which
    takes seconds, and reuses it for later pictures.
    """

    def __init__(self) -> None:
        self._facts: tuple[object, ...] = ()
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame, *, size: tuple[int, int], target: str, matrix: str) -> VideoFrame:
        """Return the picture tone-mapped, in the given size and layout.

        Raises
        ------
        UnsupportedMediaError
            The bundled FFmpeg does not support tone mapping.
        """
        facts = (picture.format.name, picture.width, picture.height, picture.color_trc, size, target, matrix)
        if self._graph is None or facts != self._facts:
            self._graph = _tone_mapping(picture, size, target, matrix)
            self._facts = facts
        return filtered(self._graph, picture)


def _tone_mapping(picture: VideoFrame, size: tuple[int, int], target: str, matrix: str) -> Graph:
    scale = SCALE | {"w": str(size[0]), "h": str(size[1]), "in_color_matrix": matrix}
    if picture.color_primaries == _UNSPECIFIED:
        scale["in_primaries"] = "bt2020"
    try:
        return make_chain(picture, ("scale", scale), ("format", {"pix_fmts": target}))
    except (av.FFmpegError, ValueError) as exc:
        raise UnsupportedMediaError(
            "tone_map=True needs libavfilter's scale filter with an intent option (FFmpeg 7.1 or later)"
        ) from exc
